package verify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db"
	"latchkey/db/dbtest"
	"latchkey/graph"
	"latchkey/internal/leaks"
	"latchkey/verify"
	"latchkey/web"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	password   = auth.Secret("correct horse battery staple")
	serviceKey = "a key for services, of the tests"
)

var client = auth.Client{UserAgent: "test/1", IP: "192.0.2.1"}

// server issues tokens and publishes what verifiers ask for, which can be turned off.
type server struct {
	*httptest.Server
	service *auth.Service
	store   *db.Store
	clock   *authtest.Clock

	mu      sync.Mutex
	away    map[string]bool // by path
	hits    map[string]int
	keepFor int // what the feed says instead of what it does; 0: nothing
}

func newServer(t *testing.T, databaseURL string) *server {
	t.Helper()
	settings := authtest.Settings()
	var err error
	if settings.ExtraClaims, err = auth.ParseExtraClaims([]byte(`{"tenant": {"name": "acme"}}`)); err != nil {
		t.Fatal(err)
	}
	settings.MaxSessions, settings.LoginLimit, settings.LoginIPLimit = 0, auth.Limit{}, auth.Limit{}
	log := leaks.Log()
	s := &server{clock: authtest.NewClock(), away: map[string]bool{}, hits: map[string]int{}}
	s.service, s.store = authtest.NewService(t, authtest.Options{URL: databaseURL, Settings: &settings, Clock: s.clock, Log: log})
	edge, err := web.New(web.Options{
		Executor: graph.NewExecutor(s.service, log, graph.Options{}), PublicKeys: s.service.PublicKeys,
		EndedSince: s.service.EndedSince, ServiceKeys: []auth.Secret{serviceKey},
		ClockSkew: func(context.Context) (time.Duration, error) { return 0, nil }, Log: log, Metrics: web.NewMetrics(), PublicURL: settings.Issuer,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		away := s.away[r.URL.Path]
		s.hits[r.URL.Path]++
		s.mu.Unlock()
		if away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		s.mu.Lock()
		keepFor := s.keepFor
		s.mu.Unlock()
		if keepFor == 0 || r.URL.Path != feedPath {
			edge.ServeHTTP(w, r)
			return
		}
		recorded := httptest.NewRecorder()
		edge.ServeHTTP(recorded, r)
		_, _ = io.WriteString(w, strings.Replace(recorded.Body.String(), `"keepFor":360`, fmt.Sprintf(`"keepFor":%d`, keepFor), 1))
	}))
	t.Cleanup(s.Close)
	return s
}

const (
	keysPath = "/.well-known/jwks.json"
	feedPath = "/sessions/ended"
)

func (s *server) setAway(path string, away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away[path] = away
}

// setKeepFor has the feed say so, as that of a server whose access tokens live shorter now.
func (s *server) setKeepFor(seconds int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keepFor = seconds
}

func (s *server) hitsOf(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hits[path]
}

// verifier returns one that runs until the test ends.
func (s *server) verifier(t *testing.T, change func(*verify.Options)) *verify.Verifier {
	t.Helper()
	settings := authtest.Settings()
	options := verify.Options{
		Issuer: settings.Issuer, Audience: settings.Audience, URL: s.URL, ServiceKey: serviceKey,
		Log: leaks.Log(), Now: s.clock.Now,
	}
	if change != nil {
		change(&options)
	}
	v, err := verify.New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); v.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-over })
	return v
}

func (s *server) signUp(t *testing.T) *auth.Tokens {
	t.Helper()
	tokens, err := s.service.SignUp(t.Context(), auth.SignUpRequest{Email: "ada@example.com", Password: password}, client)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

func (s *server) revoke(t *testing.T, tokens *auth.Tokens) {
	t.Helper()
	if _, _, err := s.service.RevokeByRefreshToken(t.Context(), tokens.RefreshToken, client); err != nil {
		t.Fatal(err)
	}
}

// within asks until something holds, for a time.
func within(t *testing.T, most time.Duration, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); time.Since(began) < most; time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within %s: %s", most, what)
}

func wantErr(t *testing.T, what string, err, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Fatalf("%s: got %v, want %v", what, err, wanted)
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestAGoodTokenIsLetInAndItsClaimsAreKnown(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	tokens := s.signUp(t)
	v := s.verifier(t, nil)
	service := httptest.NewServer(v.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims := verify.ClaimsOf(r.Context())
		_, _ = fmt.Fprintln(w, claims.Subject, claims.SessionID, claims.Roles)
	})))
	defer service.Close()
	for _, test := range []struct {
		authorization []string
		answer        string
	}{
		{[]string{"Bearer " + tokens.AccessToken.Reveal()}, fmt.Sprintf("200 %s %s [USER] ", tokens.User.ID, tokens.Session.ID)},
		{[]string{"bearer  " + tokens.AccessToken.Reveal()}, fmt.Sprintf("200 %s %s [USER] ", tokens.User.ID, tokens.Session.ID)},
		{nil, "401 an access token is needed Bearer"},
		{[]string{"Basic abc"}, "401 an access token is needed Bearer"},
		{[]string{"Bearer a", "Bearer b"}, "401 an access token is needed Bearer"},
		{[]string{"Bearer " + tokens.RefreshToken.Reveal()}, `401 not a valid access token Bearer error="invalid_token"`},
		{[]string{"Bearer " + tokens.AccessToken.Reveal() + "x"}, `401 not a valid access token Bearer error="invalid_token"`},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, service.URL+"?access_token="+tokens.AccessToken.Reveal(), nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header["Authorization"] = test.authorization
		response, err := service.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		want(t, fmt.Sprint(test.authorization), fmt.Sprint(response.StatusCode, " ", strings.TrimSpace(string(body)), " ", response.Header.Get("WWW-Authenticate")), test.answer)
	}
	metrics, err := testutil.CollectAndFormat(v, expfmt.TypeTextPlain, "latchkey_verify_requests_total")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`outcome="ok"} 2`, `outcome="missing"} 3`, `outcome="invalid"} 2`} {
		want(t, line, strings.Contains(string(metrics), line), true)
	}
}

func TestATokenIsForItsAudienceAndIssuerAndItsTime(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	token := s.signUp(t).AccessToken.Reveal()
	for _, change := range []func(*verify.Options){
		func(o *verify.Options) { o.Audience = "https://other.example.com" },
		func(o *verify.Options) { o.Issuer = "https://other.example.com" },
	} {
		_, err := s.verifier(t, change).Verify(t.Context(), token)
		wantErr(t, "other", err, verify.ErrInvalid)
	}
	v := s.verifier(t, nil)
	s.clock.Advance(5*time.Minute - time.Second)
	_, err := v.Verify(t.Context(), token)
	wantErr(t, "just before", err, nil)
	s.clock.Advance(time.Second)
	_, err = v.Verify(t.Context(), token)
	wantErr(t, "just after", err, verify.ErrExpired)
}

func TestKeysAreRotatedAndRevokedWithoutARestart(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	before := s.signUp(t)
	v := s.verifier(t, nil)
	_, err := v.Verify(t.Context(), before.AccessToken.Reveal())
	wantErr(t, "before", err, nil)
	leaked := s.service.CurrentKey(auth.SigningKey).ID
	if _, err := s.service.RotateKey(t.Context(), auth.SigningKey, true); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Minute)
	after, err := s.service.Refresh(t.Context(), before.RefreshToken, client)
	if err != nil {
		t.Fatal(err)
	}
	within(t, 2*time.Second, "the new key is found", func() bool {
		_, err := v.Verify(t.Context(), after.AccessToken.Reveal())
		return err == nil
	})
	_, err = v.Verify(t.Context(), before.AccessToken.Reveal())
	wantErr(t, "by the old key", err, nil)
	if _, err := s.service.RevokeKey(t.Context(), leaked); err != nil {
		t.Fatal(err)
	}
	within(t, time.Second, "tokens of the leaked key are refused", func() bool {
		_, err := v.Verify(t.Context(), before.AccessToken.Reveal())
		return errors.Is(err, verify.ErrInvalid)
	})
	_, err = v.Verify(t.Context(), after.AccessToken.Reveal())
	wantErr(t, "by the new key", err, nil)
}

func TestForgedKeysCostOneLookInASecond(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	other := newServer(t, dbtest.SQLite(t)) // whose key ours does not know
	forged := other.signUp(t).AccessToken.Reveal()
	v := s.verifier(t, nil)
	began := time.Now()
	for range 3 {
		var many sync.WaitGroup
		for range 100 {
			many.Go(func() {
				_, err := v.Verify(t.Context(), forged)
				if !errors.Is(err, verify.ErrInvalid) {
					t.Errorf("got %v", err)
				}
			})
		}
		many.Wait()
	}
	if hits, most := s.hitsOf(keysPath), 2+int(time.Since(began)/time.Second)+1; hits > most {
		t.Errorf("300 forged tokens had the keys read %d times, want at most %d", hits, most)
	}
}

func TestWithoutKeysNothingIsLetInAndWithOldOnesWhatTheyVerify(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	token := s.signUp(t).AccessToken.Reveal()
	s.setAway(keysPath, true)
	v := s.verifier(t, nil)
	_, err := v.Verify(t.Context(), token)
	wantErr(t, "no keys", err, verify.ErrUnavailable)
	s.setAway(keysPath, false)
	within(t, 3*time.Second, "keys are found", func() bool { _, err := v.Verify(t.Context(), token); return err == nil })
	s.setAway(keysPath, true)
	_, err = v.Verify(t.Context(), token)
	wantErr(t, "old keys", err, nil)
	if _, err := s.service.RotateKey(t.Context(), auth.SigningKey, true); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Minute)
	later, err := s.service.Login(t.Context(), auth.LoginRequest{Email: "ada@example.com", Password: password}, client)
	if err != nil {
		t.Fatal(err)
	}
	within(t, 3*time.Second, "a newer key cannot be judged", func() bool { // or its client would refresh, in vain
		_, err := v.Verify(t.Context(), later.AccessToken.Reveal())
		return errors.Is(err, verify.ErrUnavailable)
	})
}

func TestATokenOfATimeWhenTheyLivedLongerIsNotTaken(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	token := s.signUp(t).AccessToken.Reveal()
	s.setKeepFor(100)
	v := s.verifier(t, nil)
	within(t, time.Second, "taken at first", func() bool { _, err := v.Verify(t.Context(), token); return err == nil })
	within(t, time.Second, "the feed is read", func() bool { return strings.HasSuffix(feedMetrics(t, v), "feed_up 1") })
	s.clock.Advance(101 * time.Second)
	_, err := v.Verify(t.Context(), token)
	wantErr(t, "older than what is remembered", err, verify.ErrExpired)
}

func TestFurtherClaimsAreRead(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	token := s.signUp(t).AccessToken.Reveal()
	claims, err := s.verifier(t, nil).Verify(t.Context(), token)
	wantErr(t, "verified", err, nil)
	var tenant struct{ Name string }
	found, err := claims.Claim("tenant", &tenant)
	want(t, "of CLAIMS_FILE", fmt.Sprint(found, " ", tenant.Name), "true acme")
	wantErr(t, "read", err, nil)
	found, err = claims.Claim("other", &tenant)
	want(t, "none", found, false)
	wantErr(t, "none", err, nil)
}

// feedMetrics returns what the metrics say of the feed.
func feedMetrics(t *testing.T, v *verify.Verifier) string {
	t.Helper()
	text, err := testutil.CollectAndFormat(v, expfmt.TypeTextPlain, "latchkey_verify_feed_up", "latchkey_verify_ended_sessions")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			values = append(values, strings.TrimPrefix(strings.TrimSpace(line), "latchkey_verify_"))
		}
	}
	slices.Sort(values)
	return strings.Join(values, ", ")
}

func TestWithTheFeedAwayItGoesOnAsConfiguredAndSaysSo(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	ended, live := s.signUp(t), (*auth.Tokens)(nil)
	live, err := s.service.Login(t.Context(), auth.LoginRequest{Email: "ada@example.com", Password: password}, client)
	if err != nil {
		t.Fatal(err)
	}
	soon := func(o *verify.Options) { o.AwayAfter, o.Every = 200*time.Millisecond, 20*time.Millisecond }
	open := s.verifier(t, soon)
	closed := s.verifier(t, func(o *verify.Options) { soon(o); o.FailClosed = true })
	both := func(what string, openWants, closedWants error) {
		t.Helper()
		within(t, 2*time.Second, what, func() bool {
			_, openErr := open.Verify(t.Context(), live.AccessToken.Reveal())
			_, closedErr := closed.Verify(t.Context(), live.AccessToken.Reveal())
			return errors.Is(openErr, openWants) && errors.Is(closedErr, closedWants)
		})
	}
	both("with the feed", nil, nil)
	say := func(v *verify.Verifier, metrics string) { // a busy machine may keep an answer for longer than AwayAfter
		t.Helper()
		within(t, 2*time.Second, "the metrics say "+metrics, func() bool { return feedMetrics(t, v) == metrics })
	}
	say(closed, "ended_sessions 0, feed_up 1")
	s.setAway(feedPath, true)
	both("with the feed away", nil, verify.ErrUnavailable)
	for _, v := range []*verify.Verifier{open, closed} {
		say(v, "ended_sessions 0, feed_up 0")
	}
	s.revoke(t, ended)
	s.setAway(feedPath, false)
	both("with the feed back", nil, nil)
	for _, v := range []*verify.Verifier{open, closed} {
		within(t, time.Second, "what ended meanwhile is told", func() bool {
			_, err := v.Verify(t.Context(), ended.AccessToken.Reveal())
			return errors.Is(err, verify.ErrEnded)
		})
		say(v, "ended_sessions 1, feed_up 1")
	}
}

func TestWithAWrongServiceKeyTheFeedIsAway(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	token := s.signUp(t).AccessToken.Reveal()
	v := s.verifier(t, func(o *verify.Options) { o.ServiceKey, o.FailClosed = "another key, of the same length", true })
	within(t, 2*time.Second, "it has asked", func() bool { return s.hitsOf(feedPath) > 1 })
	_, err := v.Verify(t.Context(), token)
	wantErr(t, "closed", err, verify.ErrUnavailable)
	want(t, "away", feedMetrics(t, v), "ended_sessions 0, feed_up 0")
}

func TestTheDocsShowTheExample(t *testing.T) {
	docs, err := os.ReadFile("../docs/verifiers.md")
	wantErr(t, "read", err, nil)
	source, err := os.ReadFile("example_test.go")
	wantErr(t, "read", err, nil)
	_, example, _ := strings.Cut(string(source), "func Example() {\n")
	for line := range strings.Lines(strings.TrimSuffix(example, "}\n")) {
		want(t, line, strings.Contains(string(docs), "\n"+strings.TrimPrefix(line, "\t")), true)
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	good := verify.Options{Issuer: "https://auth.example.com", Audience: "a"}
	for name, change := range map[string]func(*verify.Options){
		"no issuer":                 func(o *verify.Options) { o.Issuer = "" },
		"no audience":               func(o *verify.Options) { o.Audience = "" },
		"closed without a key":      func(o *verify.Options) { o.FailClosed = true },
		"an interval below zero":    func(o *verify.Options) { o.Every = -1 },
		"away before it asks again": func(o *verify.Options) { o.Every, o.AwayAfter = 2*time.Second, time.Second },
		"a URL of another scheme":   func(o *verify.Options) { o.URL = "ftp://auth.example.com" },
		"a URL without a host":      func(o *verify.Options) { o.URL = "auth.example.com" },
	} {
		options := good
		change(&options)
		if _, err := verify.New(options); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// A thousand sessions are ended a second; of every thirtieth of them it is measured how long its token is still let in.
func TestARevokeArrivesWithinASecondAtAThousandASecond(t *testing.T) {
	if testing.Short() {
		t.Skip("it needs the machine")
	}
	const perSecond, seconds, watchedEvery = 1000, 3, 30
	s := newServer(t, dbtest.Postgres(t))
	owner := s.signUp(t)
	principal, err := s.service.Authenticate(t.Context(), owner.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	_, hash, err := s.store.UserByEmail(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	var sessions []uuid.UUID
	watched := map[uuid.UUID]string{}
	for i := range perSecond * seconds {
		if i%watchedEvery == 0 {
			tokens, err := s.service.Login(t.Context(), auth.LoginRequest{Email: "ada@example.com", Password: password}, client)
			if err != nil {
				t.Fatal(err)
			}
			watched[tokens.Session.ID] = tokens.AccessToken.Reveal()
			sessions = append(sessions, tokens.Session.ID)
			continue
		}
		session := auth.NewSession{Session: owner.Session, IdleExpiresAt: owner.Session.ExpiresAt, RefreshHash: []byte("x"), RefreshKeyID: "x"}
		session.ID = uuid.Must(uuid.NewV7())
		if err := s.store.CreateSession(t.Context(), session, hash); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, session.ID)
	}
	v := s.verifier(t, nil)
	for _, token := range watched {
		_, err := v.Verify(t.Context(), token)
		wantErr(t, "before", err, nil)
	}

	began := time.Now()
	slowest := make(chan time.Duration, len(watched))
	var acts sync.WaitGroup
	for i, id := range sessions {
		time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / perSecond)))
		acts.Go(func() {
			if _, err := s.service.RevokeSession(t.Context(), principal, id, client); err != nil {
				t.Errorf("revoke: %v", err)
			}
			if token, ok := watched[id]; ok {
				revoked := time.Now()
				for !errors.Is(second(v.Verify(t.Context(), token)), verify.ErrEnded) && time.Since(revoked) < 10*time.Second {
					time.Sleep(5 * time.Millisecond)
				}
				slowest <- time.Since(revoked)
			}
		})
	}
	sent := time.Since(began)
	acts.Wait()
	close(slowest)
	var times []time.Duration
	for took := range slowest {
		times = append(times, took)
	}
	slices.Sort(times)
	rate := float64(len(sessions)) / sent.Seconds()
	t.Logf("%.0f revokes a second; they arrived after %s (median), %s (slowest)", rate, times[len(times)/2], times[len(times)-1])
	if rate < 0.95*perSecond {
		t.Errorf("%.0f a second only", rate)
	}
	if last := times[len(times)-1]; last >= time.Second {
		t.Errorf("the slowest arrived after %s", last)
	}
	within(t, time.Second, "told of all", func() bool {
		return feedMetrics(t, v) == fmt.Sprintf("ended_sessions %d, feed_up 1", len(sessions))
	})
}

func second[T any](_ T, err error) error { return err }
