package web_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
	"latchkey/internal/stand"
)

// verifier is the service that docs/verifiers.md shows, running.
type verifier struct{ url string }

func verifierCommand(t *testing.T, keysURL, endedURL, key string) (cmd *exec.Cmd, stderr *logBuffer) {
	t.Helper()
	cmd, stderr = stand.NodeCommand(t, "conformance", "verifier.mjs"), &logBuffer{}
	cmd.Stderr = stderr
	cmd.Env = append(os.Environ(), "ISSUER="+publicURL, "AUDIENCE="+authtest.Settings().Audience,
		"JWKS_URL="+keysURL, "ENDED_URL="+endedURL, "SERVICE_KEY="+key, "PORT=0")
	return cmd, stderr
}

func startVerifier(t *testing.T, keysURL, endedURL string) *verifier {
	t.Helper()
	cmd, stderr := verifierCommand(t, keysURL, endedURL, serviceKey)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Wait() // killed: the test's context has ended
		if t.Failed() {
			t.Logf("the service wrote: %s", stderr)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	return &verifier{url: strings.TrimSpace(strings.TrimPrefix(line, "listening on "))}
}

const (
	tokenNeeded  = "401 Bearer"
	tokenRefused = `401 Bearer error="invalid_token"`
)

// letIn is the answer to a token of a user.
func letIn(user string) string { return fmt.Sprintf(`200 {"sub":"%s","roles":["USER"]}`, user) }

// ask returns what the service answers to an Authorization header: its status, and who it is or what is wanted.
func (v *verifier) ask(t *testing.T, authorization string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, v.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		body = []byte(response.Header.Get("WWW-Authenticate"))
	}
	return strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", string(body)))
}

// await asks with a token until it gets an answer, and asserts how long that takes at the most.
func (v *verifier) await(t *testing.T, what, token, answer string, atMost time.Duration) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		got := v.ask(t, "Bearer "+token)
		took := time.Since(began).Round(time.Millisecond)
		if took > atMost {
			t.Fatalf("%s: got %s after %v, want %s within %v", what, got, took, answer, atMost)
		}
		if got == answer {
			t.Logf("%s: %s after %v", what, got, took)
			return
		}
	}
}

func TestTheServiceOfTheDocsLetsInWhoHasALiveToken(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.clock.Advance(time.Since(s.clock.Now())) // the service has the time of day
		leaving := s.signUp(t)
		staying := s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "")
		ada := letIn(leaving.User.ID)
		service := startVerifier(t, s.URL+"/.well-known/jwks.json", s.URL+"/sessions/ended")
		want(t, "no token", service.ask(t, ""), tokenNeeded)
		want(t, "another scheme", service.ask(t, "Basic "+leaving.AccessToken), tokenNeeded)
		want(t, "garbage", service.ask(t, "Bearer garbage"), tokenRefused)
		want(t, "a refresh token", service.ask(t, "Bearer "+leaving.RefreshToken), tokenRefused)
		want(t, "a live one", service.ask(t, "Bearer "+leaving.AccessToken), ada)
		want(t, "another live one", service.ask(t, "Bearer "+staying.AccessToken), ada)

		s.ask(t, `mutation { revokeSession { revoked } }`, nil, leaving.AccessToken)
		service.await(t, "its session ended", leaving.AccessToken, tokenRefused, time.Second)
		want(t, "another session", service.ask(t, "Bearer "+staying.AccessToken), ada)

		old := s.service.CurrentKey(auth.SigningKey).ID
		if _, err := s.service.RotateKey(t.Context(), auth.SigningKey, true); err != nil {
			t.Fatal(err)
		}
		const ahead = 2 * time.Second // how long a new key is published before its use, which the clock skips here
		s.clock.Advance(ahead)
		renewed := s.refresh(t, staying.RefreshToken)
		service.await(t, "by a new key", renewed.AccessToken, ada, ahead)
		want(t, "by the previous key", service.ask(t, "Bearer "+staying.AccessToken), ada)

		if _, err := s.service.RevokeKey(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		service.await(t, "its key was revoked", staying.AccessToken, tokenRefused, time.Second)
		want(t, "by the new key still", service.ask(t, "Bearer "+renewed.AccessToken), ada)
	})
}

// issuer says what Latchkey never says.
type issuer struct {
	*httptest.Server
	key, longer *ecdsa.PrivateKey // for ES256, and for ES384
	set         []byte            // the public keys

	mu       sync.Mutex
	keysGone bool     // whether it does not tell its keys
	gone     bool     // whether it does not tell what ended
	refusals int      // how often it did not
	asked    int      // how often it was asked for its keys
	ended    []string // sessions, to be told once
	keepFor  int      // seconds
	cursors  []string // that it was given
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{keepFor: 60}
	var err error
	if i.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if i.longer, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	if i.set, err = json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: &i.key.PublicKey, KeyID: "its", Algorithm: "ES256", Use: "sig"},
		{Key: &i.longer.PublicKey, KeyID: "longer", Algorithm: "ES384", Use: "sig"},
	}}); err != nil {
		t.Fatal(err)
	}
	i.Server = httptest.NewServer(http.HandlerFunc(i.answer))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) answer(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case r.URL.Path == "/keys":
		i.asked++
		if i.keysGone {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(i.set)
	case r.Header.Get("Authorization") != "Bearer "+serviceKey:
		w.WriteHeader(http.StatusUnauthorized)
	case i.gone:
		i.refusals++
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		i.cursors = append(i.cursors, r.URL.Query().Get("since"))
		sessions, _ := json.Marshal(append([]string{}, i.ended...))
		_, _ = fmt.Fprintf(w, `{"cursor":"%d & so on","sessions":%s,"revokedKeys":[],"keepFor":%d}`, len(i.cursors), sessions, i.keepFor)
		i.ended = nil
	}
}

// change changes what it says from now on.
func (i *issuer) change(change func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change()
}

type members = map[string]any

// token returns one that is good, but for a change.
func (i *issuer) token(t *testing.T, change func(header, claims members)) string {
	t.Helper()
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": publicURL, "aud": []string{authtest.Settings().Audience}, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
		"sub": "ada", "jti": uuid.NewString(), "sid": "hers", "gen": 1, "roles": []string{"USER"},
	}
	unsigned := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	maps.Copy(unsigned.Header, members{"typ": "at+jwt", "kid": "its"})
	change(unsigned.Header, claims)
	key := i.key
	if unsigned.Header["kid"] == "longer" {
		unsigned.Method, key = jwt.SigningMethodES384, i.longer
	}
	signed, err := unsigned.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func good(_, _ members) {}

var notQuiteTokens = map[string]func(header, claims members){
	"of another kind":         func(header, _ members) { header["typ"] = "JWT" },
	"of no kind":              func(header, _ members) { delete(header, "typ") },
	"of an unknown extension": func(header, _ members) { header["crit"], header["x"] = []string{"x"}, 1 },
	"by an unknown key":       func(header, _ members) { header["kid"] = "another" },
	"by another algorithm":    func(header, _ members) { header["alg"], header["kid"] = "ES384", "longer" },
	"by no algorithm":         func(header, _ members) { header["alg"] = "none" },
	"of another issuer":       func(_, claims members) { claims["iss"] = publicURL + "/" },
	"of no issuer":            func(_, claims members) { delete(claims, "iss") },
	"for another audience":    func(_, claims members) { claims["aud"] = []string{"https://other.example.com"} },
	"for no audience":         func(_, claims members) { delete(claims, "aud") },
	"that has expired":        func(_, claims members) { claims["exp"] = time.Now().Add(-time.Second).Unix() },
	"that never expires":      func(_, claims members) { delete(claims, "exp") },
	"that is not valid yet":   func(_, claims members) { claims["nbf"] = time.Now().Add(time.Minute).Unix() },
	"of nobody":               func(_, claims members) { delete(claims, "sub") },
	"of no session":           func(_, claims members) { delete(claims, "sid") },
	"of no role":              func(_, claims members) { delete(claims, "roles") },
}

func TestTheServiceOfTheDocsRefusesWhatIsNotQuiteAToken(t *testing.T) {
	i := newIssuer(t)
	service := startVerifier(t, i.URL+"/keys", i.URL+"/ended")
	token := i.token(t, good)
	want(t, "good", service.ask(t, "Bearer "+token), letIn("ada"))
	for name, change := range notQuiteTokens {
		want(t, name, service.ask(t, "Bearer "+i.token(t, change)), tokenRefused)
	}
	parts := strings.Split(token, ".")
	for name, text := range map[string]string{
		"unsigned":            parts[0] + "." + parts[1] + ".",
		"signed for another":  parts[0] + "." + strings.Split(i.token(t, notQuiteTokens["that never expires"]), ".")[1] + "." + parts[2],
		"not base64":          parts[0] + "." + parts[1] + ".!",
		"of a header that is": "e30." + parts[1] + "." + parts[2],
		"of two parts":        parts[0] + "." + parts[1],
		"of four parts":       token + "." + parts[2],
		"of nothing":          "..",
		"beside another":      token + " " + token,
	} {
		got := service.ask(t, "Bearer "+text)
		want(t, name, got == tokenRefused || got == tokenNeeded, true)
	}
}

func TestTheServiceOfTheDocsLooksForUnknownKeysOnceASecond(t *testing.T) {
	i := newIssuer(t)
	began := time.Now()
	service := startVerifier(t, i.URL+"/keys", i.URL+"/ended")
	unknown := i.token(t, notQuiteTokens["by an unknown key"])
	for asked := 1; asked == 1; i.change(func() { asked = i.asked }) {
		want(t, "unknown", service.ask(t, "Bearer "+unknown), tokenRefused)
	}
	want(t, "looked again within a second", time.Since(began) < time.Second, false)

	i.change(func() { i.keysGone = true })
	service.await(t, "whether there is such a key is not known", unknown, "503", 2*time.Second)
	want(t, "by a known key", service.ask(t, "Bearer "+i.token(t, good)), letIn("ada"))
}

func TestTheServiceOfTheDocsForgetsSessionsThatNoTokenIsLeftOf(t *testing.T) {
	i := newIssuer(t)
	service := startVerifier(t, i.URL+"/keys", i.URL+"/ended")
	token := i.token(t, good)
	want(t, "good", service.ask(t, "Bearer "+token), letIn("ada"))
	i.change(func() { i.ended = []string{"another", "hers"} })
	service.await(t, "ended", token, tokenRefused, time.Second)
	i.change(func() { i.keepFor = 1 })
	const most = 3 * time.Second
	began := time.Now()
	for service.ask(t, "Bearer "+i.token(t, good)) != letIn("ada") { // a new token of that session
		if time.Since(began) > most {
			t.Fatalf("not forgotten within %s", most)
		}
	}
	old := i.token(t, func(_, claims members) { claims["iat"] = time.Now().Add(-3 * time.Second).Unix() })
	want(t, "older than what is remembered", service.ask(t, "Bearer "+old), tokenRefused)
	i.change(func() { want(t, "cursors", strings.Join(i.cursors[:3], ","), ",1 & so on,2 & so on") })
}

func TestTheServiceOfTheDocsGoesOnWhereNothingIsSaidOfSessions(t *testing.T) {
	i := newIssuer(t)
	service := startVerifier(t, i.URL+"/keys", i.URL+"/ended")
	token := i.token(t, good)
	i.change(func() { i.gone = true })
	for missed := 0; missed == 0; i.change(func() { missed = i.refusals }) {
		want(t, "not told", service.ask(t, "Bearer "+token), letIn("ada"))
	}
	i.change(func() { i.gone, i.ended = false, []string{"hers"} })
	service.await(t, "told again", token, tokenRefused, 3*time.Second)
}

func TestTheServiceOfTheDocsDoesNotStartWithoutWhatItNeeds(t *testing.T) {
	s, i := newServer(t, dbtest.SQLite(t)), newIssuer(t)
	i.change(func() { i.keysGone = true })
	keysURL, endedURL := s.URL+"/.well-known/jwks.json", s.URL+"/sessions/ended"
	for _, c := range []struct{ keysURL, endedURL, key, says string }{
		{keysURL, endedURL, "", "Error: SERVICE_KEY is not set"},
		{keysURL, endedURL, "a wrong key", "Error: /sessions/ended: 401 this needs a service key"},
		{i.URL + "/keys", endedURL, serviceKey, "Expected 200 OK from the JSON Web Key Set"},
	} {
		cmd, stderr := verifierCommand(t, c.keysURL, c.endedURL, c.key)
		want(t, "started", cmd.Run() == nil, false)
		want(t, stderr.String(), strings.Contains(stderr.String(), c.says), true)
	}
}

func TestTheDocsShowTheServiceThatIsTested(t *testing.T) {
	docs := verifiersDocs(t)
	service, err := os.ReadFile("conformance/verifier.mjs")
	if err != nil {
		t.Fatal(err)
	}
	want(t, "shown", strings.Contains(docs, "\n```js\n"+string(service)+"```\n"), true)
	packages, err := os.ReadFile("conformance/package.json")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`"jose": "([0-9.]+)"`).FindStringSubmatch(string(packages))
	want(t, "with its version of jose", version != nil && strings.Contains(docs, "with jose "+version[1]+"."), true)
}

func verifiersDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/verifiers.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheDocsShowClaimsThatLatchkeyTakes(t *testing.T) {
	var shown []string
	for _, block := range regexp.MustCompile("(?s)\n```json\n(.*?)```\n").FindAllStringSubmatch(verifiersDocs(t), -1) {
		want(t, block[1], json.Valid([]byte(block[1])), true)
		if strings.Contains(block[1], "{{") {
			shown = append(shown, block[1])
		}
	}
	want(t, "claims", len(shown), 2)
	for i, claim := range []struct {
		of   func(claims members) any
		want string
	}{
		{func(claims members) any { return claims["https://hasura.io/jwt/claims"] },
			"map[x-hasura-allowed-roles:[USER] x-hasura-default-role:USER x-hasura-user-id:%s]"},
		{func(claims members) any { return claims["role"] }, "USER"},
	} {
		extra, err := auth.ParseExtraClaims([]byte(shown[i]))
		if err != nil {
			t.Fatal(err)
		}
		settings := authtest.Settings()
		settings.ExtraClaims = extra
		user := startServer(t, dbtest.SQLite(t), &server{settings: &settings}).signUp(t)
		claims := jwt.MapClaims{}
		if _, _, err := jwt.NewParser().ParseUnverified(user.AccessToken, claims); err != nil {
			t.Fatal(err)
		}
		want(t, shown[i], fmt.Sprint(claim.of(claims)), strings.ReplaceAll(claim.want, "%s", user.User.ID))
	}
}
