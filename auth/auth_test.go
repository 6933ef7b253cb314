package auth_test

import (
	"context"
	"errors"

	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"latchkey/auth"
	"latchkey/db"
	"latchkey/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	email    = "ada@example.com"
	password = auth.Secret("correct horse battery staple")
	issuer   = "https://auth.example.com"
	audience = "https://api.example.com"
)

var secret = []byte("a secret of the test's own, long enough")

// clock is the time of a test, which it moves itself.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// service is a Service under test on a real database.
type service struct {
	*auth.Service
	clock    *clock
	store    *db.Store
	url      string
	settings auth.Settings
}

func settings() auth.Settings {
	return auth.Settings{
		Issuer: issuer, Audience: audience,
		AccessTokenTTL: 5 * time.Minute, SessionIdleTTL: 7 * 24 * time.Hour, SessionTTL: 30 * 24 * time.Hour,
		RefreshGrace: 10 * time.Second, RefreshRetryWindow: 24 * time.Hour,
		PasswordMinLength: 15,
	}
}

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, s *service)) {
	t.Helper()
	eachWith(t, settings(), test)
}

func eachWith(t *testing.T, settings auth.Settings, test func(t *testing.T, s *service)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		test(t, newService(t, url, settings, &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}))
	})
}

func newService(t *testing.T, url string, settings auth.Settings, clock *clock) *service {
	t.Helper()
	return newServiceOn(t, url, settings, clock, func(store auth.Store) auth.Store { return store })
}

// newServiceOn also puts something between the service and its store.
func newServiceOn(t *testing.T, url string, settings auth.Settings, clock *clock, between func(auth.Store) auth.Store) *service {
	t.Helper()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	if os.Getenv("TEST_LOG") != "" {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	store, err := db.Open(t.Context(), db.Options{URL: url, Timeout: 10 * time.Second, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	ring, err := auth.OpenKeyRing(t.Context(), store, secret, nil, clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	svc, err := auth.New(between(store), ring, settings, clock.Now, log)
	if err != nil {
		t.Fatal(err)
	}
	return &service{Service: svc, clock: clock, store: store, url: url, settings: settings}
}

// sql returns a connection of the test's own to the service's database.
func (s *service) sql(t *testing.T) *sqlx.DB {
	t.Helper()
	return rawDB(t, s.url)
}

var client = auth.Client{UserAgent: "test/1", IP: "192.0.2.1"}

func (s *service) mustSignUp(t *testing.T, email string) *auth.Tokens {
	t.Helper()
	tokens, err := s.SignUp(t.Context(), auth.SignUpRequest{Email: email, Password: password}, client)
	if err != nil {
		t.Fatalf("sign up: %v", err)
	}
	return tokens
}

func (s *service) mustLogin(t *testing.T, email string) *auth.Tokens {
	t.Helper()
	tokens, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: password}, client)
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	return tokens
}

func (s *service) mustRefresh(t *testing.T, token auth.Secret) *auth.Tokens {
	t.Helper()
	tokens, err := s.Refresh(t.Context(), token, client)
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	return tokens
}

func (s *service) mustAuthenticate(t *testing.T, token auth.Secret) *auth.Principal {
	t.Helper()
	principal, err := s.Authenticate(t.Context(), token)
	if err != nil {
		t.Fatalf("authenticate: %v", err)
	}
	return principal
}

// mustConfirm uses an access token and has the proof written.
func (s *service) mustConfirm(t *testing.T, token auth.Secret) {
	t.Helper()
	s.mustAuthenticate(t, token)
	if err := s.FlushConfirmations(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantEnded refreshes with a token whose session must be over.
func (s *service) wantEnded(t *testing.T, token auth.Secret, reason auth.EndReason) {
	t.Helper()
	_, err := s.Refresh(t.Context(), token, client)
	if ended, ok := errors.AsType[*auth.SessionEndedError](err); !ok || ended.Reason != reason {
		t.Fatalf("refresh: got %v, want the session ended with %s", err, reason)
	}
}

func (s *service) wantUnauthenticated(t *testing.T, token auth.Secret, reason auth.UnauthenticatedReason) {
	t.Helper()
	_, err := s.Authenticate(t.Context(), token)
	if refused, ok := errors.AsType[*auth.UnauthenticatedError](err); !ok || refused.Reason != reason {
		t.Fatalf("authenticate: got %v, want %s", err, reason)
	}
}

func (s *service) state(t *testing.T, id uuid.UUID) *auth.SessionState {
	t.Helper()
	state, err := s.store.Session(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
