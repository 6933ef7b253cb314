package auth_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
)

// liveSessions returns the ids of the sessions of the user whose tokens are given.
func (s *service) liveSessions(t *testing.T, tokens *auth.Tokens) []string {
	t.Helper()
	sessions, err := s.Sessions(t.Context(), &tokens.User)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, session := range sessions {
		ids = append(ids, session.ID.String())
	}
	return ids
}

// live counts the live sessions of a user, however many a list would show.
func (s *service) live(t *testing.T, user uuid.UUID) (count int) {
	t.Helper()
	if err := s.sql(t).Get(&count, `SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL AND user_id = '`+user.String()+`'`); err != nil {
		t.Fatal(err)
	}
	return count
}

func TestOneSessionTooManyEndsTheLongestUnused(t *testing.T) {
	three := authtest.Settings()
	three.MaxSessions = 3
	eachWith(t, authtest.Options{Settings: &three}, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		other := s.mustSignUp(t, "grace@example.com")
		s.clock.Advance(time.Minute)
		second := s.mustLogin(t, email)
		s.clock.Advance(time.Minute)
		third := s.mustLogin(t, email)
		s.clock.Advance(time.Minute)
		first = s.mustRefresh(t, first.RefreshToken) // so that it is the last used
		s.clock.Advance(time.Minute)
		fourth := s.mustLogin(t, email)
		s.wantEnded(t, second.RefreshToken, auth.Revoked)
		want(t, "live", fmt.Sprint(s.liveSessions(t, first)), fmt.Sprint([]any{fourth.Session.ID, first.Session.ID, third.Session.ID}))
		want(t, "account", s.events(t, first.User), "SIGN_UP\nLOGIN\nLOGIN\nLOGIN\nSESSION_ENDED REVOKED")
		s.mustAuthenticate(t, other.AccessToken)
	})
}

func TestHoweverManyLogInAtOnceThereAreNoMoreSessionsThanAllowed(t *testing.T) {
	three := authtest.Settings()
	three.MaxSessions = 3
	dbtest.Each(t, func(t *testing.T, url string) {
		clock := authtest.NewClock()
		servers := []*service{
			newService(t, authtest.Options{URL: url, Clock: clock, Settings: &three}),
			newService(t, authtest.Options{URL: url, Clock: clock, Settings: &three}),
		}
		tokens := servers[0].mustSignUp(t, email)
		var devices []auth.Secret // each with budgets of its own, so that no budget puts them in a row
		for range 2 {
			devices = append(devices, servers[0].mustLogin(t, email).DeviceToken)
		}
		for range 30 {
			var group sync.WaitGroup
			for i, device := range devices {
				group.Go(func() {
					from := auth.Client{IP: fmt.Sprintf("192.0.2.%d", i)}
					if _, err := servers[i%2].Login(t.Context(), auth.LoginRequest{Email: email, Password: password, DeviceToken: device}, from); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			want(t, "live", servers[0].live(t, tokens.User.ID), 3)
		}
	})
}

func TestASignInEndsTheSessionThatTheClientHad(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		login := func(presented auth.Secret) *auth.Tokens {
			t.Helper()
			tokens, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: password, Presented: presented}, client)
			if err != nil {
				t.Fatal(err)
			}
			return tokens
		}
		first, another := s.mustSignUp(t, email), s.mustSignUp(t, "grace@example.com")
		second := login(first.RefreshToken)
		s.wantEnded(t, first.RefreshToken, auth.SignedOut)
		s.wantUnauthenticated(t, first.AccessToken, auth.SessionEnded)
		third := login(another.RefreshToken) // whose it is does not matter: who has it could end it
		s.wantEnded(t, another.RefreshToken, auth.SignedOut)
		want(t, "in the account of its user", s.events(t, another.User), "SIGN_UP\nSESSION_ENDED SIGNED_OUT")
		for _, none := range []auth.Secret{"", "x", first.RefreshToken, third.RefreshToken[:len(third.RefreshToken)-4] + "AAAA", auth.Secret(third.AccessToken)} {
			login(none)
		}
		s.mustAuthenticate(t, second.AccessToken)
		s.mustAuthenticate(t, third.AccessToken)

		_, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: wrongPassword, Presented: second.RefreshToken}, client)
		want(t, "a wrong password", errors.Is(err, auth.ErrInvalidCredentials), true)
		s.mustAuthenticate(t, second.AccessToken)
		signedUp, err := s.SignUp(t.Context(), auth.SignUpRequest{Email: "edsger@example.com", Password: password, Presented: second.RefreshToken}, client)
		if err != nil {
			t.Fatal(err)
		}
		s.wantEnded(t, second.RefreshToken, auth.SignedOut)
		s.mustAuthenticate(t, signedUp.AccessToken)
	})
}

func TestAProgramIsNamedInWords(t *testing.T) {
	for header, name := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "Firefox on Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36 Edg/139.0.0.0":           "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15":                   "Safari on macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1": "Safari on iPhone",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Mobile Safari/537.36":                   "Chrome on Pixel 9",
		"curl/8.5.0": "curl",
		"":           "",
	} {
		session := auth.Session{UserAgent: &header}
		got := ""
		if session.ClientName() != nil {
			got = *session.ClientName()
		}
		if got != name {
			t.Errorf("%s: got %q, want %q", header, got, name)
		}
	}
	if name := (&auth.Session{}).ClientName(); name != nil {
		t.Errorf("of none: got %q", *name)
	}
}
