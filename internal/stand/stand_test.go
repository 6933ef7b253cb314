package stand_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latchkey/db/dbtest"
	"latchkey/internal/stand"
)

func TestMain(m *testing.M) { stand.Main(m) }

const (
	password = "correct horse battery staple"
	signUp   = `mutation SignUp { result: signUp(input: {email: "ada@example.com", password: "` + password + `"}) { ... on AuthSuccess { accessToken refreshToken } } }`
	refresh  = `mutation Refresh { result: refreshToken(input: {refreshToken: "%s"}) { ... on AuthSuccess { accessToken refreshToken } ... on AuthFailure { code endReason } } }`
	me       = `query Me { result: me { email } }`
)

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// answer is what came of an operation.
type answer struct {
	Status int
	Header http.Header
	Body   string
	Data   struct{ Result map[string]any }
	Errors []struct{ Extensions map[string]any }
}

// ask sends an operation through the proxy.
func ask(s *stand.Stand, query string, header ...string) (answer, error) {
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequest(http.MethodPost, s.URL+"/graphql", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	a := answer{Status: response.StatusCode, Header: response.Header, Body: string(text)}
	_ = json.Unmarshal(text, &a) // a gateway's page is no JSON
	return a, err
}

func mustAsk(t *testing.T, s *stand.Stand, query string, header ...string) answer {
	t.Helper()
	a, err := ask(s, query, header...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// do tells the control to do something.
func do(t *testing.T, s *stand.Stand, path string) {
	t.Helper()
	if status, text := post(t, s, path); status != http.StatusNoContent {
		t.Fatalf("%s: %d %s", path, status, text)
	}
}

func post(t *testing.T, s *stand.Stand, path string) (status int, text string) {
	t.Helper()
	response, err := http.Post(s.Control+path, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// seen returns what the proxy saw, each operation in a line.
func seen(t *testing.T, s *stand.Stand) string {
	t.Helper()
	var requests []struct {
		Operation, Method, Fault string
		Status                   int
		At                       int64
		Authorized               bool
		Error                    *struct{ Code, Reason string }
	}
	if err := json.Unmarshal([]byte(get(t, s.Control+"/requests")), &requests); err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, r := range requests {
		if age := time.Since(time.UnixMilli(r.At)); age < 0 || age > time.Minute {
			t.Fatalf("a request that is %v old", age)
		}
		line := fmt.Sprint(r.Method, " ", r.Operation, " ", r.Status, " ", r.Fault)
		if r.Authorized {
			line += " authorized"
		}
		if r.Error != nil {
			line += " " + r.Error.Code + " " + r.Error.Reason
		}
		lines.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return lines.String()
}

func TestAnAnswerThatIsCutWasCommitted(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		s := stand.Start(t, stand.Options{DatabaseURL: url})
		first := mustAsk(t, s, signUp).Data.Result
		do(t, s, "/answers/cut?operation=Refresh&times=2")
		for range 2 {
			if a, err := ask(s, fmt.Sprintf(refresh, first["refreshToken"])); err == nil {
				t.Fatalf("answered: %s", a.Body)
			}
			var generation int
			if err := dbtest.Open(t, url).QueryRow(`SELECT refresh_generation FROM sessions`).Scan(&generation); err != nil {
				t.Fatal(err)
			}
			want(t, "generation", generation, 2)
		}
		second := mustAsk(t, s, fmt.Sprintf(refresh, first["refreshToken"])).Data.Result
		want(t, "another token", second["refreshToken"] != nil && second["refreshToken"] != first["refreshToken"], true)
		want(t, "seen", seen(t, s), "POST SignUp 200\nPOST Refresh 0 cut\nPOST Refresh 0 cut\nPOST Refresh 200\n")
	})
}

func TestAServerThatIsStartedAgainHasItsURLAndItsSessions(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		s := stand.Start(t, stand.Options{DatabaseURL: url})
		bearer := fmt.Sprint("Bearer ", mustAsk(t, s, signUp).Data.Result["accessToken"])
		for _, end := range []string{"/server/stop", "/server/kill"} {
			do(t, s, end)
			want(t, "away", mustAsk(t, s, me).Status, http.StatusBadGateway)
			if status, text := post(t, s, end); status != http.StatusInternalServerError || !strings.Contains(text, "not running") {
				t.Fatalf("%s twice: %d %s", end, status, text)
			}
			do(t, s, "/server/start")
			want(t, "signed in", mustAsk(t, s, me, "Authorization", bearer).Data.Result["email"], any("ada@example.com"))
		}
		do(t, s, "/server/restart")
		want(t, "signed in", mustAsk(t, s, me, "Authorization", bearer).Data.Result["email"], any("ada@example.com"))
	})
}

func TestRequestsAreListedWithoutASecret(t *testing.T) {
	s := stand.Start(t, stand.Options{DatabaseURL: dbtest.SQLite(t)})
	token := fmt.Sprint(mustAsk(t, s, signUp).Data.Result["accessToken"])
	mustAsk(t, s, me, "Authorization", "Bearer "+token)
	mustAsk(t, s, me, "Authorization", "Bearer "+token+"x")
	mustAsk(t, s, `{ me { email } }`, "Authorization", "") // as clients send that have no token
	mustAsk(t, s, `no GraphQL`)
	get(t, s.URL+"/graphql?query=query+First{__typename}query+Second{__typename}&operationName=Second")
	get(t, s.URL+"/graphql?query=query+First{__typename}")
	get(t, s.URL+"/readyz")
	want(t, "seen", seen(t, s), `POST SignUp 200
POST Me 200 authorized
POST Me 200 authorized UNAUTHENTICATED TOKEN_INVALID
POST 200 UNAUTHENTICATED TOKEN_MISSING
POST 200 GRAPHQL_PARSE_FAILED
GET Second 200
GET First 200
`)
	list := get(t, s.Control+"/requests")
	for _, secret := range []string{"eyJ", "lkr1.", password, "ada@example.com"} {
		want(t, secret, strings.Contains(list, secret), false)
	}
	do(t, s, "/requests/clear")
	want(t, "seen", seen(t, s), "")
}

func TestADatabaseThatWasAwayComesBack(t *testing.T) {
	s := stand.Start(t, stand.Options{Postgres: dbtest.PostgresServer(t), Env: []string{"DATABASE_TIMEOUT=1s"}})
	bearer := fmt.Sprint("Bearer ", mustAsk(t, s, signUp).Data.Result["accessToken"])
	for _, mode := range []string{"fast", "immediate"} {
		do(t, s, "/database/stop?mode="+mode)
		want(t, "away", mustAsk(t, s, me, "Authorization", bearer).Errors[0].Extensions["code"], any("UNAVAILABLE"))
		if status, text := post(t, s, "/database/stop?mode="+mode); status != http.StatusInternalServerError {
			t.Fatalf("stopped twice: %d %s", status, text)
		}
		do(t, s, "/database/start")
		want(t, "signed in", mustAsk(t, s, me, "Authorization", bearer).Data.Result["email"], any("ada@example.com"))
	}
}

func TestAnswersAreDelayedAndRefused(t *testing.T) {
	s := stand.Start(t, stand.Options{DatabaseURL: dbtest.SQLite(t), Origins: 1})
	do(t, s, "/answers/delay?for=300ms&operation=Me")
	mustAsk(t, s, `query Other { __typename }`)
	for _, slow := range []bool{true, false} {
		before := time.Now()
		mustAsk(t, s, me)
		want(t, "slow", time.Since(before) >= 300*time.Millisecond, slow)
	}

	do(t, s, "/answers/refuse?status=503&times=2&retryAfter=1")
	for range 2 {
		a := mustAsk(t, s, me, "Origin", s.Origins[0])
		want(t, "status", a.Status, http.StatusServiceUnavailable)
		want(t, "Retry-After", a.Header.Get("Retry-After"), "1")
		want(t, "for people", strings.HasPrefix(a.Header.Get("Content-Type"), "text/html") && strings.Contains(a.Body, "<h1>"), true)
		want(t, "for pages of other origins", a.Header.Get("Access-Control-Allow-Origin"), "")
	}
	do(t, s, "/answers/refuse?status=429&readable=yes")
	a := mustAsk(t, s, me, "Origin", s.Origins[0])
	want(t, "status", a.Status, http.StatusTooManyRequests)
	want(t, "for pages of other origins", a.Header.Get("Access-Control-Allow-Origin"), s.Origins[0])

	do(t, s, "/answers/refuse?status=503&times=10")
	do(t, s, "/answers/clear")
	want(t, "status", mustAsk(t, s, me).Status, http.StatusOK)
}

func TestWhatTheControlDoesNotKnowIsRefused(t *testing.T) {
	s := stand.Start(t, stand.Options{DatabaseURL: dbtest.SQLite(t)})
	for _, path := range []string{
		"/server/reload", "/database/stop?mode=fast", "/answers/lose", "/answers/cut?times=0", "/answers/cut?times=x",
		"/answers/delay", "/answers/refuse", "/answers/refuse?status=200",
	} {
		status, _ := post(t, s, path)
		want(t, path, status, http.StatusBadRequest)
	}
}

func TestPagesOfItsOriginsMayAsk(t *testing.T) {
	s := stand.Start(t, stand.Options{DatabaseURL: dbtest.SQLite(t), Origins: 2})
	want(t, "named localhost", strings.HasPrefix(s.URL, "http://localhost:") && strings.HasPrefix(s.Origins[1], "http://localhost:"), true)
	for _, origin := range s.Origins {
		want(t, origin, mustAsk(t, s, `{ __typename }`, "Origin", origin).Header.Get("Access-Control-Allow-Origin"), origin)
	}
	want(t, "another", mustAsk(t, s, `{ __typename }`, "Origin", "http://localhost:1").Status, http.StatusForbidden)

	folder := t.TempDir()
	for name, text := range map[string]string{"index.html": "the page", "script.js": "the script"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "before", strings.Contains(get(t, s.Origins[1]), "no pages"), true)
	s.Serve(1, folder)
	for path, text := range map[string]string{"": "the page", "/": "the page", "/devices/1": "the page", "/script.js": "the script"} {
		want(t, path, get(t, s.Origins[1]+path), text)
	}
	want(t, "the other", strings.Contains(get(t, s.Origins[0]), "no pages"), true)
}

func TestAProgramOfNodeDrivesIt(t *testing.T) {
	s := stand.Start(t, stand.Options{DatabaseURL: dbtest.SQLite(t), Origins: 1})
	s.Node(t, filepath.Join(stand.Root(), "examples", "browser"), "--input-type=module", "--eval", `
		import assert from 'node:assert/strict';
		import { stand } from './stand.mjs';
		assert.equal(process.env.VITE_LATCHKEY_URL, stand.url + '/graphql');
		assert.equal(stand.origins.length, 1);
		const ask = async (name) => (await fetch(stand.url + '/graphql?query=query+' + name + '{__typename}')).status;
		await stand.refuse({ status: 503, retryAfter: 1, operation: 'Second' });
		assert.deepEqual([await ask('First'), await ask('Second'), await ask('Second')], [200, 503, 200]);
		await stand.cutAnswer('Third');
		await assert.rejects(ask('Third'));
		await stand.delayAnswer(10, 'Third');
		await ask('Third');
		await stand.killServer();
		assert.equal(await ask('Fourth'), 502);
		await stand.startServer();
		await stand.stopServer();
		await stand.restartServer();
		await stand.cutAnswer();
		await stand.clearAnswers();
		assert.equal(await ask('Fifth'), 200);
		assert.deepEqual((await stand.requests('Third')).map(({ status, fault }) => [status, fault]), [[0, 'cut'], [200, 'delay']]);
		await stand.clearRequests();
		assert.deepEqual(await stand.requests(), []);
		await assert.rejects(stand.stopDatabase(), /not its own/);
	`)
}
