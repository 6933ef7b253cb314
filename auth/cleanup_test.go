package auth_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
)

func (s *service) rows(t *testing.T, table string) int {
	t.Helper()
	var count int
	if err := s.sql(t).Get(&count, `SELECT COUNT(*) FROM `+table); err != nil {
		t.Fatal(err)
	}
	return count
}

func (s *service) cleanUp(t *testing.T) int {
	t.Helper()
	deleted, err := s.CleanUp(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return deleted
}

func TestAReusedTokenIsRecognisedUntilTheSessionWouldHaveExpired(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		revoked, idle := s.mustSignUp(t, email), s.mustLogin(t, email)
		s.mustRevoke(t, revoked, revoked.Session.ID)
		for range 4 { // every eight days, up to 32
			s.cleanUp(t)
			want(t, "sessions", s.rows(t, "sessions"), 2)
			s.wantEnded(t, revoked.RefreshToken, auth.SignedOut)
			s.clock.Advance(7 * 24 * time.Hour)
		}
		s.wantEnded(t, idle.RefreshToken, auth.Idle)
		s.clock.Advance(3*24*time.Hour - time.Microsecond) // to a day after their absolute expiry
		s.cleanUp(t)
		want(t, "sessions", s.rows(t, "sessions"), 2)
		s.clock.Advance(2 * time.Microsecond)
		s.cleanUp(t)
		want(t, "sessions", s.rows(t, "sessions"), 0)
		if _, err := s.Refresh(t.Context(), revoked.RefreshToken, client); !errors.Is(err, auth.ErrInvalidRefreshToken) {
			t.Fatalf("got %v, want an invalid refresh token", err)
		}
	})
}

func TestEventsAndBudgetsAreForgottenWhenTheirTimeHasCome(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		user := s.mustSignUp(t, email).User
		s.exhaust(t, email)
		s.clock.Advance(24 * time.Hour)
		s.cleanUp(t)
		want(t, "the budget of an account that failed", s.rows(t, "throttles") > 0, true)
		s.clock.Advance(15*time.Minute + time.Second)
		s.cleanUp(t)
		want(t, "budgets", s.rows(t, "throttles"), 0)
		s.clock.Advance(89*24*time.Hour - 15*time.Minute - time.Second)
		s.cleanUp(t)
		want(t, "events", s.rows(t, "events"), 12)
		s.clock.Advance(time.Microsecond)
		s.cleanUp(t)
		want(t, "account", s.events(t, user), "")
		want(t, "users", s.rows(t, "users"), 1)
	})
}

func TestServersCleanUpTogether(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		clock := authtest.NewClock()
		servers := []*service{newService(t, authtest.Options{URL: url, Clock: clock}), newService(t, authtest.Options{URL: url, Clock: clock})}
		s := servers[0]
		user := s.mustSignUp(t, email).User
		tx, err := s.sql(t).Beginx()
		if err != nil {
			t.Fatal(err)
		}
		for range 2500 {
			_, err := tx.Exec(tx.Rebind(`INSERT INTO events (id, user_id, kind, created_at) SELECT ?, id, 'LOGIN_FAILED', created_at FROM users`), uuid.New())
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		clock.Advance(91 * 24 * time.Hour)
		s.mustLogin(t, email)
		all := func() int { return s.rows(t, "sessions") + s.rows(t, "events") + s.rows(t, "throttles") }
		before := all()
		var group sync.WaitGroup
		var deleted atomic.Int32
		for i := range 4 {
			group.Go(func() { deleted.Add(int32(servers[i%2].cleanUp(t))) })
		}
		group.Wait()
		want(t, "deleted, each once", int(deleted.Load()), before-all())
		want(t, "account", s.events(t, user), "LOGIN")
		want(t, "sessions", s.rows(t, "sessions"), 1)
	})
}
