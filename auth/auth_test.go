package auth_test

import (
	"context"
	"errors"

	"testing"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db"
	"latchkey/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	email    = "ada@example.com"
	password = auth.Secret("correct horse battery staple")
)

// service is a Service under test on a real database.
type service struct {
	*auth.Service
	clock *authtest.Clock
	store *db.Store
	url   string
}

// each runs a test on both databases.
func each(t *testing.T, test func(t *testing.T, s *service)) {
	t.Helper()
	eachWith(t, authtest.Options{}, test)
}

func eachWith(t *testing.T, options authtest.Options, test func(t *testing.T, s *service)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		options := options
		options.URL, options.Clock = url, authtest.NewClock()
		test(t, newService(t, options))
	})
}

func newService(t *testing.T, options authtest.Options) *service {
	t.Helper()
	s := &service{clock: options.Clock, url: options.URL}
	s.Service, s.store = authtest.NewService(t, options)
	return s
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

// disable has an operator disable a user.
func (s *service) disable(t *testing.T, email string) (int, error) {
	t.Helper()
	user, err := s.UserByEmail(t.Context(), email)
	if err != nil {
		return 0, err
	}
	return s.DisableUser(t.Context(), auth.Actor{}, user.ID)
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
