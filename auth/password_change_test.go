package auth_test

import (
	"errors"
	"sync"
	"testing"

	"latchkey/auth"
)

const newPassword auth.Secret = "an analytical engine of brass"

func (s *service) changePassword(t *testing.T, by *auth.Tokens, current, next auth.Secret) (int, error) {
	t.Helper()
	return s.ChangePassword(t.Context(), s.mustAuthenticate(t, by.AccessToken), current, next, client)
}

func TestAChangedPasswordEndsEveryOtherSessionAndKeepsThisOne(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		there, here, other := s.mustSignUp(t, email), s.mustLogin(t, email), s.mustSignUp(t, "grace@example.com")
		left := s.mustLogin(t, email)
		s.mustRevoke(t, left, left.Session.ID)
		ended, err := s.changePassword(t, here, password, newPassword)
		if err != nil || ended != 1 {
			t.Fatalf("ended %d sessions, %v, want 1", ended, err)
		}
		s.wantUnauthenticated(t, there.AccessToken, auth.SessionEnded)
		s.wantEnded(t, there.RefreshToken, auth.PasswordChanged)
		s.wantEnded(t, left.RefreshToken, auth.SignedOut)
		s.mustAuthenticate(t, here.AccessToken)
		s.mustRefresh(t, s.mustRefresh(t, here.RefreshToken).RefreshToken)
		s.mustRefresh(t, other.RefreshToken)
		if err := s.login(t, email, password); !errors.Is(err, auth.ErrInvalidCredentials) {
			t.Fatalf("the old password: got %v, want invalid credentials", err)
		}
		if err := s.login(t, email, newPassword); err != nil {
			t.Fatalf("the new password: %v", err)
		}
	})
}

func TestAPasswordThatIsNotChangedChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		here, there := s.mustSignUp(t, email), s.mustLogin(t, email)
		hash := s.passwordHash(t)
		if _, err := s.changePassword(t, here, "not the current password", newPassword); !errors.Is(err, auth.ErrWrongPassword) {
			t.Fatalf("got %v, want a wrong password", err)
		}
		for _, weak := range []auth.Secret{"short", "passwordpassword", "ada@example.com1"} {
			if _, err := s.changePassword(t, here, password, weak); !isWeak(err) {
				t.Fatalf("got %v, want a weak password", err)
			}
		}
		_, err := s.changePassword(t, here, password, "not text at all \xff")
		if invalid, ok := errors.AsType[*auth.InvalidInputError](err); !ok || invalid.Field != "newPassword" {
			t.Fatalf("got %v, want an invalid newPassword", err)
		}
		want(t, "hash", s.passwordHash(t), hash)
		s.mustRefresh(t, there.RefreshToken)
	})
}

func isWeak(err error) bool {
	_, ok := errors.AsType[*auth.WeakPasswordError](err)
	return ok
}

func TestASessionThatHasEndedChangesNoPassword(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		here, there := s.mustSignUp(t, email), s.mustLogin(t, email)
		principal, hash := s.mustAuthenticate(t, here.AccessToken), s.passwordHash(t)
		s.mustRevoke(t, there, here.Session.ID) // while the password is being hashed
		_, err := s.ChangePassword(t.Context(), principal, password, newPassword, client)
		if ended, ok := errors.AsType[*auth.UnauthenticatedError](err); !ok || ended.Reason != auth.SessionEnded {
			t.Fatalf("got %v, want that the session has ended", err)
		}
		want(t, "hash", s.passwordHash(t), hash)
		s.mustRefresh(t, there.RefreshToken)
	})
}

func TestASessionThatBeganWhileThePasswordWasBeingChangedIsDead(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		here, there := s.mustSignUp(t, email), s.mustLogin(t, email)
		if _, err := s.changePassword(t, here, password, newPassword); err != nil {
			t.Fatal(err)
		}
		// What is left behind if the session is committed right after others were ended.
		mustExec(t, s.sql(t), `UPDATE sessions SET revoked_at = NULL, revoke_reason = NULL, revocation_id = NULL`)
		s.wantUnauthenticated(t, there.AccessToken, auth.SessionEnded)
		s.wantEnded(t, there.RefreshToken, auth.PasswordChanged)
		want(t, "generation", s.state(t, there.Session.ID).Generation, 1)
		listed, err := s.Sessions(t.Context(), &s.mustAuthenticate(t, here.AccessToken).User)
		if err != nil || len(listed) != 1 || listed[0].ID != here.Session.ID {
			t.Fatalf("got %d sessions, %v, want this one", len(listed), err)
		}
	})
}

func TestAPasswordIsChangedWhileALoginRenewsItsHash(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		here, current := s.mustSignUp(t, email), password
		principal := s.mustAuthenticate(t, here.AccessToken)
		brought := map[auth.Secret]string{password: bcryptHash(t, password), newPassword: bcryptHash(t, newPassword)}
		for range 10 {
			mustExec(t, s.sql(t), `UPDATE users SET password_hash = ?`, brought[current])
			next := newPassword
			if current == newPassword {
				next = password
			}
			var group sync.WaitGroup
			group.Go(func() {
				if err := s.login(t, email, current); err != nil && !errors.Is(err, auth.ErrInvalidCredentials) {
					t.Error(err)
				}
			})
			_, err := s.ChangePassword(t.Context(), principal, current, next, client)
			group.Wait()
			if err != nil {
				t.Fatal(err)
			}
			current = next
		}
	})
}

func TestOfSeveralChangesOfAPasswordAtOnceOneSucceeds(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.mustSignUp(t, email)
		const several = 6
		results := make([]error, several)
		var sessions [several]*auth.Tokens
		for i := range sessions {
			sessions[i] = s.mustLogin(t, email)
		}
		var group sync.WaitGroup
		for i := range several {
			principal := s.mustAuthenticate(t, sessions[i].AccessToken)
			group.Go(func() {
				_, results[i] = s.ChangePassword(t.Context(), principal, password, newPassword+auth.Secret(rune('a'+i)), client)
			})
		}
		group.Wait()
		changed := 0
		for i, err := range results {
			_, refused := s.Refresh(t.Context(), sessions[i].RefreshToken, client)
			switch ended, isEnded := errors.AsType[*auth.UnauthenticatedError](err); {
			case err == nil:
				changed++
				if refused != nil {
					t.Errorf("the session that changed it is over: %v", refused)
				}
				if err := s.login(t, email, newPassword+auth.Secret(rune('a'+i))); err != nil {
					t.Errorf("its password: %v", err)
				}
			case isEnded && ended.Reason == auth.SessionEnded, errors.Is(err, auth.ErrWrongPassword):
				if refused == nil {
					t.Error("another session goes on")
				}
			default:
				t.Error(err)
			}
		}
		want(t, "changed", changed, 1)
	})
}

func TestASessionOfAnOlderServerGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		// Servers of two versions share a database while the newer one is being rolled out.
		mustExec(t, s.sql(t), `UPDATE sessions SET password_generation = NULL`)
		mustExec(t, s.sql(t), `UPDATE users SET password_generation = 2`)
		s.mustAuthenticate(t, tokens.AccessToken)
		s.mustRefresh(t, tokens.RefreshToken)
	})
}
