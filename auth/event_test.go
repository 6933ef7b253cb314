package auth_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"latchkey/auth"
)

// events returns the whole account of the user whose tokens are given, the oldest event first, a line each.
func (s *service) events(t *testing.T, user auth.User) string {
	t.Helper()
	var lines []string
	var after *string
	for {
		page, err := s.Events(t.Context(), &user, 3, after)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			lines = append([]string{line(page.Events[i])}, lines...)
		}
		if !page.More {
			return strings.Join(lines, "\n")
		}
		cursor := page.Events[2].Cursor()
		after = &cursor
	}
}

func line(e auth.Event) string {
	text := string(e.Kind)
	if e.Reason != nil {
		text += " " + string(*e.Reason)
	}
	if e.EndedCount != nil {
		text += fmt.Sprintf(" %d", *e.EndedCount)
	}
	return text
}

func TestTheAccountSaysWhatHappenedWhenAndFromWhere(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		steps := []func(){
			func() { s.mustLogin(t, email) },
			func() { s.mustRevoke(t, first, s.mustLogin(t, email).Session.ID) },
			func() {
				if _, err := s.RevokeOtherSessions(t.Context(), s.mustAuthenticate(t, first.AccessToken), client); err != nil {
					t.Fatal(err)
				}
			},
			func() {
				if _, err := s.RevokeOtherSessions(t.Context(), s.mustAuthenticate(t, first.AccessToken), client); err != nil {
					t.Fatal(err)
				}
			},
			func() { s.mustLogin(t, email) },
			func() {
				if _, err := s.changePassword(t, first, password, newPassword); err != nil {
					t.Fatal(err)
				}
			},
			func() { s.mustRevoke(t, first, first.Session.ID) },
			func() {
				if _, err := s.disable(t, email); err != nil {
					t.Fatal(err)
				}
			},
		}
		for _, step := range steps {
			s.clock.Advance(10 * time.Second)
			step()
		}
		s.mustSignUp(t, "grace@example.com")
		want(t, "events", s.events(t, first.User), strings.Join([]string{
			"SIGN_UP", "LOGIN", "LOGIN", "SESSION_ENDED REVOKED", "SESSIONS_ENDED REVOKED 1", "LOGIN",
			"PASSWORD_CHANGED 1", "SESSION_ENDED SIGNED_OUT", "USER_DISABLED 0",
		}, "\n"))
		page, err := s.Events(t.Context(), &first.User, 100, nil)
		if err != nil {
			t.Fatal(err)
		}
		signUp := page.Events[len(page.Events)-1]
		want(t, "when", signUp.CreatedAt, first.Session.CreatedAt)
		want(t, "session", *signUp.SessionID, first.Session.ID)
		for _, event := range page.Events[1:] { // an operator has no address
			want(t, "where", *event.IP, client.IP)
			want(t, "with what", *event.UserAgent, client.UserAgent)
		}
	})
}

func TestAReuseIsInTheAccountWithTheAddressThatItCameFrom(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		s.mustRefresh(t, second.RefreshToken)
		thief := auth.Client{UserAgent: "curl/8", IP: "203.0.113.7"}
		if _, err := s.Refresh(t.Context(), first.RefreshToken, thief); err == nil {
			t.Fatal("an old token was exchanged")
		}
		page, err := s.Events(t.Context(), &first.User, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "event", line(page.Events[0]), "SESSION_ENDED REUSE_DETECTED")
		want(t, "where", *page.Events[0].IP, thief.IP)
		want(t, "with what", *page.Events[0].UserAgent, thief.UserAgent)
	})
}

func TestACursorThatIsNoneIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		user := s.mustSignUp(t, email).User
		good := (&auth.Event{CreatedAt: s.clock.Now()}).Cursor()
		for _, cursor := range []string{"", "x", good + "A", good[1:], good[:len(good)-1] + "\n", strings.Repeat("_", len(good))} {
			_, err := s.Events(t.Context(), &user, 10, &cursor)
			if invalid, ok := errors.AsType[*auth.InvalidInputError](err); !ok || invalid.Field != "after" {
				t.Fatalf("%q: got %v, want an invalid cursor", cursor, err)
			}
		}
		for _, first := range []int{-1, 0, 101} {
			_, err := s.Events(t.Context(), &user, first, nil)
			if invalid, ok := errors.AsType[*auth.InvalidInputError](err); !ok || invalid.Field != "first" {
				t.Fatalf("%d: got %v, want an invalid number", first, err)
			}
		}
	})
}
