package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/executor"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db"
	"latchkey/db/dbtest"
	"latchkey/graph"
	"latchkey/internal/leaks"
	"latchkey/telemetry"
	"latchkey/web"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	email    = "ada@example.com"
	password = "correct horse battery staple"

	serviceKey = "a key for services, of the tests"

	publicURL     = "https://auth.example.com"
	allowedOrigin = "https://app.example.com"
)

// logBuffer is a log that a test reads while servers write it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	leaks.Scan("log", p)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBuffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.text.Reset()
}

// server is the whole of Latchkey but its configuration, on a real database.
type server struct {
	*httptest.Server
	edge     *web.Edge
	clock    *authtest.Clock
	log      *logBuffer // everything, at debug level
	logger   *slog.Logger
	executor *executor.Executor
	service  *auth.Service
	store    *db.Store

	databaseURL string
	metrics     *web.Metrics
	explorable  bool // whether introspection, the schema and the explorer are on
	proxies     []netip.Prefix
	settings    *auth.Settings // nil: the defaults
}

// newServer is one as in production, newExplorable one as in development: without allowed origins.
func newServer(t testing.TB, databaseURL string) *server {
	t.Helper()
	return startServer(t, databaseURL, &server{})
}

func newExplorable(t testing.TB, databaseURL string) *server {
	t.Helper()
	return startServer(t, databaseURL, &server{explorable: true})
}

func startServer(t testing.TB, databaseURL string, s *server) *server {
	t.Helper()
	s.clock, s.log = authtest.NewClock(), &logBuffer{}
	log := slog.New(telemetry.LogHandler(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	service, store := authtest.NewService(t, authtest.Options{URL: databaseURL, Timeout: time.Second, Clock: s.clock, Log: log, Settings: s.settings})
	s.service, s.store, s.databaseURL = service, store, databaseURL
	s.logger, s.metrics = log, web.NewMetrics()
	s.metrics.Watch("test", service, store.Stats)
	s.executor = graph.NewExecutor(service, log, graph.Options{Introspection: s.explorable, Metrics: s.metrics})
	options := web.Options{
		Executor: s.executor, PublicKeys: service.PublicKeys, EndedSince: service.EndedSince, ServiceKeys: []auth.Secret{"another", serviceKey},
		ClockSkew: inStep(store), Log: log, Metrics: s.metrics, TrustedProxies: s.proxies,
		PublicURL: publicURL, AllowedOrigins: []string{allowedOrigin},
	}
	if s.explorable {
		options.AllowedOrigins = nil
		schema, err := os.ReadFile("../schema.graphqls")
		if err != nil {
			t.Fatal(err)
		}
		options.Schema, options.Explorer = schema, true
	}
	edge, err := web.New(options)
	if err != nil {
		t.Fatal(err)
	}
	s.edge, s.Server = edge, httptest.NewServer(edge)
	t.Cleanup(func() {
		s.Server.Close()
		s.scrape(t)
	})
	return s
}

// inStep is a database whose clock is that of the test, if it answers.
func inStep(store *db.Store) func(context.Context) (time.Duration, error) {
	return func(ctx context.Context) (time.Duration, error) {
		_, err := store.ClockSkew(ctx, time.Now)
		return 0, err
	}
}

func each(t *testing.T, test func(t *testing.T, s *server)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) { test(t, newServer(t, url)) })
}

// answer is what a client gets.
type answer struct {
	Status int
	Header http.Header
	Body   string
	Data   map[string]json.RawMessage
	Errors []struct {
		Message    string
		Extensions struct{ Code, Reason, RequestID string }
	}
}

// code returns the code of the one error, or nothing.
func (a *answer) code() string {
	if len(a.Errors) == 0 {
		return ""
	}
	return a.Errors[0].Extensions.Code
}

func (s *server) do(t *testing.T, request *http.Request) *answer {
	t.Helper()
	response, err := s.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &answer{Status: response.StatusCode, Header: response.Header, Body: string(body)}
	if len(body) > 0 && strings.Contains(response.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(body, a); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	return a
}

func (s *server) request(t *testing.T, body string) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/graphql", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	return request
}

// ask sends an operation, with an access token where one is given.
func (s *server) ask(t *testing.T, query string, variables map[string]any, accessToken string) *answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	request := s.request(t, string(body))
	if accessToken != "" {
		request.Header.Set("Authorization", "Bearer "+accessToken)
	}
	return s.do(t, request)
}

// result is any member of the three unions.
type result struct {
	Typename                                              string `json:"__typename"`
	AccessToken, RefreshToken, Code, EndReason, Message   string
	RetryAt                                               string
	AccessTokenExpiresAt, RefreshTokenExpiresAt, ID, Name string
	User                                                  struct{ ID, Email, Role, CreatedAt string }
	Session                                               struct {
		ID      string
		Current bool
	}
}

const fields = `{
	__typename
	... on AuthSuccess { accessToken refreshToken accessTokenExpiresAt refreshTokenExpiresAt session { id current } user { id email role createdAt } }
	... on AuthFailure { code message endReason retryAt }
}`

const (
	signUpMutation  = `mutation ($input: SignUpInput!) { result: signUp(input: $input) ` + fields + ` }`
	loginMutation   = `mutation ($input: LoginInput!) { result: login(input: $input) ` + fields + ` }`
	refreshMutation = `mutation ($input: RefreshTokenInput) { result: refreshToken(input: $input) ` + fields + ` }`
)

func (s *server) mutate(t *testing.T, mutation string, input map[string]any, accessToken string) result {
	t.Helper()
	a := s.ask(t, mutation, map[string]any{"input": input}, accessToken)
	if a.Status != http.StatusOK || len(a.Errors) > 0 {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	var r result
	if err := json.Unmarshal(a.Data["result"], &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// decode reads a field of an answer that must have no errors.
func decode(t *testing.T, a *answer, field string, into any) {
	t.Helper()
	if len(a.Errors) > 0 {
		t.Fatal(a.Body)
	}
	if err := json.Unmarshal(a.Data[field], into); err != nil {
		t.Fatalf("%v: %s", err, a.Body)
	}
}

func (s *server) signUp(t *testing.T) result {
	t.Helper()
	return s.mutate(t, signUpMutation, map[string]any{"email": email, "password": password}, "")
}

func (s *server) refresh(t *testing.T, token string) result {
	t.Helper()
	return s.mutate(t, refreshMutation, map[string]any{"refreshToken": token}, "")
}

func (s *server) me(t *testing.T, accessToken string) *answer {
	t.Helper()
	return s.ask(t, `{ me { id email } }`, nil, accessToken)
}

func want[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
