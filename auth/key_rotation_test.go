package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/internal/leaks"
)

// another returns a second server of the same database.
func (s *service) another(t *testing.T) *service {
	t.Helper()
	return newService(t, authtest.Options{URL: s.url, Clock: s.clock})
}

func keyIDOf(t *testing.T, accessToken auth.Secret) string {
	t.Helper()
	var parsed struct{ Kid string }
	if err := json.Unmarshal(partOf(t, accessToken, 0), &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.Kid
}

func partOf(t *testing.T, accessToken auth.Secret, part int) []byte {
	t.Helper()
	decoded, err := base64.RawURLEncoding.DecodeString(strings.Split(accessToken.Reveal(), ".")[part])
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}

func (s *service) rotate(t *testing.T, kind auth.KeyKind) string {
	t.Helper()
	key, err := s.RotateKey(t.Context(), kind, true)
	if err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(key.ActiveAt.Sub(s.clock.Now()))
	return key.ID
}

func (s *service) tend(t *testing.T) {
	t.Helper()
	if err := s.TendKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// states returns what keys list says of a kind, the oldest first.
func (s *service) states(t *testing.T, kind auth.KeyKind) string {
	t.Helper()
	keys, err := s.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, key := range keys {
		if key.Kind == kind {
			states = append(states, string(key.State))
		}
	}
	return strings.Join(states, " ")
}

func (s *service) published(t *testing.T) string {
	t.Helper()
	var ids []string
	for _, key := range s.PublicKeys(t.Context()).Keys {
		want(t, "public", key.IsPublic(), true)
		want(t, "use and algorithm", key.Use+" "+key.Algorithm, "sig ES256")
		ids = append(ids, key.KeyID)
	}
	return strings.Join(ids, " ")
}

func withRotation() authtest.Options {
	settings := authtest.Settings()
	settings.KeyRotation = 720 * time.Hour
	return authtest.Options{Settings: &settings}
}

func TestAKeyIsPublishedThenUsedThenRetiredThenDeleted(t *testing.T) {
	eachWith(t, withRotation(), func(t *testing.T, s *service) {
		old := s.mustSignUp(t, email)
		first := keyIDOf(t, old.AccessToken)
		s.clock.Advance(720*time.Hour - time.Second)
		s.tend(t)
		want(t, "too early", s.states(t, auth.SigningKey), "current")
		s.clock.Advance(time.Second)
		s.tend(t)
		for _, kind := range []auth.KeyKind{auth.SigningKey, auth.RefreshKey} {
			want(t, "published", s.states(t, kind), "current next")
		}
		before := s.mustLogin(t, email)
		want(t, "not used yet", keyIDOf(t, before.AccessToken), first)
		second := strings.Fields(s.published(t))[1]

		s.clock.Advance(10*time.Minute - time.Microsecond)
		s.tend(t) // which makes no third
		last := s.mustLogin(t, email)
		want(t, "until the last moment", keyIDOf(t, last.AccessToken), first)
		s.clock.Advance(time.Microsecond)
		want(t, "used", s.states(t, auth.SigningKey), "previous current")
		after := s.mustLogin(t, email)
		want(t, "signed by", keyIDOf(t, after.AccessToken), second)
		s.mustAuthenticate(t, last.AccessToken)
		want(t, "refreshed by", keyIDOf(t, s.mustRefresh(t, before.RefreshToken).AccessToken), second)

		s.clock.Advance(5*time.Minute + 2*time.Minute)
		want(t, "published", s.published(t), first+" "+second)
		s.clock.Advance(time.Microsecond)
		want(t, "retired", s.states(t, auth.SigningKey), "retired current")
		want(t, "published", s.published(t), second)
		want(t, "refresh keys stay", s.states(t, auth.RefreshKey), "previous current")
		s.mustRefresh(t, last.RefreshToken)

		s.clock.Advance(24 * time.Hour)
		s.tend(t)
		want(t, "deleted", s.states(t, auth.SigningKey), "current")
	})
}

func TestARetiredKeySignsNothingThatIsTaken(t *testing.T) {
	settings := authtest.Settings()
	eachWith(t, authtest.Options{Settings: &settings}, func(t *testing.T, s *service) {
		long := settings
		long.AccessTokenTTL = 24 * time.Hour // a token that outlives the key, as a thief of the key would make one
		thief := newService(t, authtest.Options{URL: s.url, Clock: s.clock, Settings: &long})
		token := thief.mustSignUp(t, email).AccessToken
		s.rotate(t, auth.SigningKey)
		s.mustAuthenticate(t, token)
		s.clock.Advance(8 * time.Minute)
		s.wantUnauthenticated(t, token, auth.TokenInvalid)
	})
}

func TestAnExpiredTokenOfARetiredKeyIsExpired(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		token := s.mustSignUp(t, email).AccessToken
		s.rotate(t, auth.SigningKey)
		s.clock.Advance(8 * time.Minute)
		s.wantUnauthenticated(t, token, auth.TokenExpired)
	})
}

func TestARingWhoseKeysAreAllRevokedGetsNewOnes(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		before := s.mustSignUp(t, email)
		mustExec(t, s.sql(t), `UPDATE keys SET revoked_at = created_at`)
		again := s.another(t)
		_, err := again.Refresh(t.Context(), before.RefreshToken, client)
		want(t, "an old token", errors.Is(err, auth.ErrInvalidRefreshToken), true)
		again.mustAuthenticate(t, again.mustRefresh(t, again.mustLogin(t, email).RefreshToken).AccessToken)
	})
}

func TestAServerTakesTokensOfKeysThatItHasNotHeardOf(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		other := s.another(t)
		session := s.mustSignUp(t, email)
		s.rotate(t, auth.SigningKey)
		s.rotate(t, auth.RefreshKey)
		refreshed := s.mustRefresh(t, session.RefreshToken)
		again := other.mustRefresh(t, refreshed.RefreshToken) // of a refresh key that it does not know
		want(t, "generation", other.mustAuthenticate(t, refreshed.AccessToken).User.Email, email)
		s.mustAuthenticate(t, again.AccessToken)

		s.rotate(t, auth.SigningKey)
		token := s.mustRefresh(t, again.RefreshToken).AccessToken
		// The keys are two seconds old when they are used, but this clock is the test's: so within a real moment.
		deadline := time.Now().Add(10 * time.Second)
		for {
			_, err := other.Authenticate(t.Context(), token)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	})
}

func TestServersThatRotateAtOnceMakeOneKey(t *testing.T) {
	eachWith(t, withRotation(), func(t *testing.T, s *service) {
		s.clock.Advance(1000 * time.Hour)
		servers := []*service{s}
		for range 3 {
			options := withRotation()
			options.URL, options.Clock = s.url, s.clock
			servers = append(servers, newService(t, options))
		}
		var group sync.WaitGroup
		for _, server := range servers {
			group.Go(func() {
				if err := server.TendKeys(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		want(t, "signing keys", s.states(t, auth.SigningKey), "current next")
		want(t, "refresh keys", s.states(t, auth.RefreshKey), "current next")
	})
}

func TestKeysAreRotatedOnlyByCommandWhereThatIsSet(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.clock.Advance(10_000 * time.Hour)
		s.tend(t)
		want(t, "keys", s.states(t, auth.SigningKey), "current")
		for range 2 { // the second finds what the first made
			if _, err := s.RotateKey(t.Context(), auth.SigningKey, false); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "keys", s.states(t, auth.SigningKey), "current next")
		s.rotate(t, auth.SigningKey) // sooner than that one
		want(t, "keys", s.states(t, auth.SigningKey), "previous previous current")
	})
}

func TestARevokedSigningKeyIsOfNoUseAtOnceOnAnyServer(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		other := s.another(t)
		session := s.mustSignUp(t, email)
		other.mustAuthenticate(t, session.AccessToken)
		leaked := keyIDOf(t, session.AccessToken)
		next := s.rotate(t, auth.SigningKey)
		revoked, err := s.RevokeKey(t.Context(), leaked)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "state", revoked.State, auth.RevokedKey)
		other.wantUnauthenticated(t, session.AccessToken, auth.TokenInvalid)
		s.wantUnauthenticated(t, session.AccessToken, auth.TokenInvalid)
		want(t, "published", other.published(t), next)

		third := s.another(t)
		s.rotate(t, auth.SigningKey)
		if _, err := s.RevokeKey(t.Context(), next); err != nil {
			t.Fatal(err)
		}
		refreshed := third.mustRefresh(t, session.RefreshToken) // by a server that believes in the revoked one
		want(t, "not signed by it", keyIDOf(t, refreshed.AccessToken) != next, true)
		other.mustAuthenticate(t, refreshed.AccessToken)

		var left int
		if err := s.sql(t).Get(&left, `SELECT COUNT(*) FROM keys WHERE revoked_at IS NOT NULL AND length(sealed) > 0`); err != nil {
			t.Fatal(err)
		}
		want(t, "still sealed somewhere", left, 0)
		_, err = s.RevokeKey(t.Context(), "canary")
		want(t, "unknown", errors.Is(err, auth.ErrNotFound), true)
	})
}

func TestARevokedRefreshKeyMakesNothingMoreAndIsOfNoUseAtOnceOnAnyServer(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.mustSignUp(t, email)
		lost, kept, retried := s.mustLogin(t, email), s.mustLogin(t, email), s.mustLogin(t, email)
		s.mustRefresh(t, retried.RefreshToken)
		other := s.another(t)
		keys, err := s.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		leaked := keys[0].ID // refresh sorts before signing
		want(t, "kind", keys[0].Kind, auth.RefreshKey)
		s.rotate(t, auth.RefreshKey)
		kept = s.mustRefresh(t, kept.RefreshToken)
		if _, err := s.RevokeKey(t.Context(), leaked); err != nil {
			t.Fatal(err)
		}
		for _, token := range []auth.Secret{lost.RefreshToken, retried.RefreshToken} {
			_, err = other.Refresh(t.Context(), token, client)
			want(t, "refused", errors.Is(err, auth.ErrInvalidRefreshToken), true)
		}
		kept = other.mustRefresh(t, kept.RefreshToken)
		s.mustRefresh(t, kept.RefreshToken)
		s.mustRefresh(t, other.mustLogin(t, email).RefreshToken)
	})
}

func TestAServerWithTheOldSecretGoesOnAfterTheKeysAreSealedAnew(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		session := s.mustSignUp(t, email)
		next := []byte("the secret that comes after, long enough")
		if _, err := auth.OpenKeyRing(t.Context(), s.store, next, authtest.Secret, time.Now()); err != nil {
			t.Fatal(err)
		}
		s.tend(t)
		session = s.mustRefresh(t, session.RefreshToken)
		s.mustAuthenticate(t, session.AccessToken)

		ring, err := auth.OpenKeyRing(t.Context(), s.store, next, nil, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		newer, err := auth.New(s.store, ring, authtest.Settings(), s.clock.Now, leaks.Log())
		if err != nil {
			t.Fatal(err)
		}
		key, err := newer.RotateKey(t.Context(), auth.RefreshKey, true)
		if err != nil {
			t.Fatal(err)
		}
		s.clock.Advance(key.ActiveAt.Sub(s.clock.Now()))
		tokens, err := newer.Refresh(t.Context(), session.RefreshToken, client)
		if err != nil {
			t.Fatal(err)
		}
		// What it cannot open it does not call forged.
		_, err = s.Refresh(t.Context(), tokens.RefreshToken, client)
		want(t, "cannot open", fmt.Sprint(errors.Is(err, auth.ErrWrongSecret), errors.Is(err, auth.ErrInvalidRefreshToken)), "true false")
		want(t, "tending says so", errors.Is(s.TendKeys(t.Context()), auth.ErrWrongSecret), true)
	})
}
