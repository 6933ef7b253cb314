package auth_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
)

func (s *service) mustRevoke(t *testing.T, by *auth.Tokens, session uuid.UUID) bool {
	t.Helper()
	revoked, err := s.RevokeSession(t.Context(), s.mustAuthenticate(t, by.AccessToken), session, client)
	if err != nil {
		t.Fatal(err)
	}
	return revoked
}

func TestARevokeKillsBothTokensAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		successor := s.mustRefresh(t, tokens.RefreshToken)
		want(t, "revoked", s.mustRevoke(t, tokens, tokens.Session.ID), true)
		for _, dead := range []*auth.Tokens{tokens, successor} {
			s.wantUnauthenticated(t, dead.AccessToken, auth.SessionEnded)
			s.wantEnded(t, dead.RefreshToken, auth.SignedOut)
		}
	})
}

func TestARevokeWinsOverARetry(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		s.mustRefresh(t, tokens.RefreshToken)
		s.mustRevoke(t, tokens, tokens.Session.ID)
		s.wantEnded(t, tokens.RefreshToken, auth.SignedOut) // within the grace time
	})
}

func TestAnotherSessionOfOnesOwnIsRevokedByItsID(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		here, there := s.mustSignUp(t, email), s.mustLogin(t, email)
		want(t, "revoked", s.mustRevoke(t, here, there.Session.ID), true)
		want(t, "revoked again", s.mustRevoke(t, here, there.Session.ID), false)
		s.wantEnded(t, there.RefreshToken, auth.Revoked)
		s.mustRefresh(t, here.RefreshToken)
	})
}

func TestSomebodyElsesSessionAnswersLikeOneThatNeverWas(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		mine, theirs := s.mustSignUp(t, email), s.mustSignUp(t, "grace@example.com")
		want(t, "somebody else's", s.mustRevoke(t, mine, theirs.Session.ID), false)
		want(t, "never was", s.mustRevoke(t, mine, uuid.New()), false)
		s.mustAuthenticate(t, theirs.AccessToken)
		s.mustRefresh(t, theirs.RefreshToken)
	})
}

func TestARefreshTokenOfAnyGenerationRevokesItsSession(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		third := s.mustRefresh(t, s.mustRefresh(t, first.RefreshToken).RefreshToken)
		s.clock.Advance(time.Hour) // all access tokens have expired
		for i, revokes := range []bool{true, false} {
			id, revoked, err := s.RevokeByRefreshToken(t.Context(), first.RefreshToken, client)
			if err != nil || id == nil || *id != first.Session.ID || revoked != revokes {
				t.Fatalf("revoke %d: got %v, %v, %v", i, id, revoked, err)
			}
		}
		s.wantEnded(t, third.RefreshToken, auth.SignedOut)
	})
}

func TestRevokingAnExpiredSessionDoesNotChangeWhyItEnded(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		s.clock.Advance(8 * day)
		_, revoked, err := s.RevokeByRefreshToken(t.Context(), tokens.RefreshToken, client)
		if err != nil || revoked {
			t.Fatalf("got %v, %v, want false", revoked, err)
		}
		s.wantEnded(t, tokens.RefreshToken, auth.Idle)
	})
}

func TestAllOtherSessionsAreRevokedAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first, here, second := s.mustSignUp(t, email), s.mustLogin(t, email), s.mustLogin(t, email)
		other := s.mustSignUp(t, "grace@example.com")
		for _, count := range []int{2, 0} {
			ended, err := s.RevokeOtherSessions(t.Context(), s.mustAuthenticate(t, here.AccessToken), client)
			if err != nil || ended != count {
				t.Fatalf("ended %d sessions, %v, want %d", ended, err, count)
			}
		}
		for _, tokens := range []*auth.Tokens{first, second} {
			s.wantUnauthenticated(t, tokens.AccessToken, auth.SessionEnded)
			s.wantEnded(t, tokens.RefreshToken, auth.Revoked)
		}
		s.mustRefresh(t, here.RefreshToken)
		s.mustRefresh(t, other.RefreshToken)
	})
}
