package auth_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
	"latchkey/token"
)

// endedSince returns what a server says once it has read what is there now: it reads ten times a second at the most.
func (s *service) endedSince(t *testing.T, cursor string) *token.Ended {
	t.Helper()
	for began := time.Now(); ; {
		old := time.Since(began) < 100*time.Millisecond
		answer, err := s.EndedSince(t.Context(), cursor)
		if err != nil {
			t.Fatal(err)
		}
		if !old {
			return answer
		}
	}
}

func wantSessions(t *testing.T, what string, got []uuid.UUID, wanted ...uuid.UUID) {
	t.Helper()
	if len(got) != len(wanted) {
		t.Fatalf("%s: got %d sessions, want %d", what, len(got), len(wanted))
	}
	for _, id := range wanted {
		want(t, what, slices.Contains(got, id), true)
	}
}

func TestEveryWayInWhichASessionEndsIsTold(t *testing.T) {
	settings := authtest.Settings()
	settings.MaxSessions = 3
	for _, way := range []struct {
		name string
		end  func(t *testing.T, s *service, mine *auth.Tokens) error // of the user's other sessions, or of this one
		own  bool                                                    // whether this one is ended
	}{
		{"signed out", func(t *testing.T, s *service, mine *auth.Tokens) error {
			_, _, err := s.RevokeByRefreshToken(t.Context(), mine.RefreshToken, client)
			return err
		}, true},
		{"the others revoked", func(t *testing.T, s *service, mine *auth.Tokens) error {
			_, err := s.RevokeOtherSessions(t.Context(), s.mustAuthenticate(t, mine.AccessToken), client)
			return err
		}, false},
		{"the password changed", func(t *testing.T, s *service, mine *auth.Tokens) error {
			_, err := s.ChangePassword(t.Context(), s.mustAuthenticate(t, mine.AccessToken), password, "an analytical engine of brass", client)
			return err
		}, false},
		{"crowded out", func(t *testing.T, s *service, mine *auth.Tokens) error {
			s.clock.Advance(time.Second)
			s.mustRefresh(t, mine.RefreshToken)
			s.mustLogin(t, email)
			s.mustLogin(t, email)
			return nil
		}, false},
		{"replaced by another sign-in", func(t *testing.T, s *service, mine *auth.Tokens) error {
			_, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: password, Presented: mine.RefreshToken}, client)
			return err
		}, true},
		{"ended by an administrator", func(t *testing.T, s *service, mine *auth.Tokens) error {
			_, err := s.RevokeUserSessions(t.Context(), auth.Actor{}, mine.User.ID)
			return err
		}, true},
		{"disabled", func(t *testing.T, s *service, _ *auth.Tokens) error {
			_, err := s.disable(t, email)
			return err
		}, true},
	} {
		t.Run(way.name, func(t *testing.T) {
			eachWith(t, authtest.Options{Settings: &settings}, func(t *testing.T, s *service) {
				other := s.another(t)
				first := s.mustSignUp(t, email)
				before := other.endedSince(t, "")
				wantSessions(t, "before", before.Sessions)
				second := s.mustLogin(t, email)
				if err := way.end(t, s, second); err != nil {
					t.Fatal(err)
				}
				told := other.endedSince(t, before.Cursor)
				want(t, "its own", slices.Contains(told.Sessions, second.Session.ID), way.own)
				if !way.own || way.name == "disabled" || way.name == "ended by an administrator" {
					want(t, "the other", slices.Contains(told.Sessions, first.Session.ID), true)
				}
				wantSessions(t, "afterwards", other.endedSince(t, told.Cursor).Sessions)
				wantSessions(t, "from another server", s.endedSince(t, told.Cursor).Sessions)
				wantSessions(t, "from the beginning", s.endedSince(t, "").Sessions, told.Sessions...)
			})
		})
	}
}

func TestReuseIsToldToo(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		before := s.endedSince(t, "")
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		s.mustAuthenticate(t, second.AccessToken)
		s.mustRefresh(t, second.RefreshToken)
		s.clock.Advance(11 * time.Second)
		s.wantEnded(t, first.RefreshToken, auth.ReuseDetected)
		wantSessions(t, "told", s.endedSince(t, before.Cursor).Sessions, first.Session.ID)
	})
}

func TestARolledBackSessionIsToldToo(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		before := s.endedSince(t, "")
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		mustExec(t, s.sql(t), `UPDATE sessions SET refresh_generation = 1`)
		s.wantEnded(t, second.RefreshToken, auth.StorageRolledBack)
		wantSessions(t, "told", s.endedSince(t, before.Cursor).Sessions, first.Session.ID)
	})
}

func TestMoreThanAPageIsToldInPages(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 120,000 sessions")
	}
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		s.endedSince(t, "")
		const many = 120_000
		values := `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) `
		id := `lower(printf('00000000-0000-7000-8000-%012x', i))`
		if !strings.HasPrefix(s.url, "sqlite:") {
			id = `('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid`
		}
		raw, mark := s.sql(t), uuid.New()
		mustExec(t, raw, values+`
			INSERT INTO sessions (id, user_id, created_at, last_used_at, idle_expires_at, expires_at, refresh_generation, refresh_hash, refresh_key_id, refreshed_at,
				confirmed_generation, late_retry_generation, late_retry_streak, delivery, revoked_at, revoke_reason, revocation_id)
			SELECT `+id+`, user_id, created_at, last_used_at, idle_expires_at, expires_at, refresh_generation, refresh_hash, refresh_key_id, refreshed_at,
				0, 0, 0, delivery, created_at, 'REVOKED', '`+mark.String()+`' FROM n, sessions WHERE sessions.id = '`+tokens.Session.ID.String()+`'`, many)
		mustExec(t, raw, `INSERT INTO events (id, user_id, kind, session_id, created_at) SELECT '`+mark.String()+`', user_id, 'SESSIONS_ENDED', id, created_at FROM sessions WHERE id = '`+tokens.Session.ID.String()+`'`)
		for _, server := range []*service{s, s.another(t)} {
			told, pages, cursor := map[uuid.UUID]bool{}, 0, ""
			for more := true; more; pages++ {
				answer := server.endedSince(t, cursor)
				for _, id := range answer.Sessions {
					told[id] = true
				}
				cursor, more = answer.Cursor, answer.More
			}
			want(t, "told", len(told), many)
			want(t, "pages", pages, 3)
		}
	})
}

func TestWhatEndedIsToldForAsLongAsAnAccessTokenLives(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		if _, _, err := s.RevokeByRefreshToken(t.Context(), tokens.RefreshToken, client); err != nil {
			t.Fatal(err)
		}
		cursor := s.endedSince(t, "").Cursor
		s.clock.Advance(5*time.Minute + 30*time.Second)
		wantSessions(t, "still", s.endedSince(t, "").Sessions, tokens.Session.ID)
		wantSessions(t, "still, by a new server", s.another(t).endedSince(t, "").Sessions, tokens.Session.ID)
		s.clock.Advance(time.Minute)
		wantSessions(t, "no longer", s.endedSince(t, "").Sessions)
		wantSessions(t, "no longer, by a new server", s.another(t).endedSince(t, "").Sessions)
		// Everything was forgotten and, of the database, cleaned up.
		s.clock.Advance(10_000 * time.Hour)
		if _, err := s.CleanUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		next := s.mustLogin(t, email)
		if _, _, err := s.RevokeByRefreshToken(t.Context(), next.RefreshToken, client); err != nil {
			t.Fatal(err)
		}
		wantSessions(t, "goes on", s.endedSince(t, cursor).Sessions, next.Session.ID)
	})
}

func TestACursorThatMeansNothingIsAnsweredWithAllThatMatters(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		if _, _, err := s.RevokeByRefreshToken(t.Context(), tokens.RefreshToken, client); err != nil {
			t.Fatal(err)
		}
		for _, cursor := range []string{"x", "1", "-5.3.x", "999999999.0.x", "999999999999999999999.1.y", "..", "0.99999999999999999999.z"} {
			wantSessions(t, cursor, s.endedSince(t, cursor).Sessions, tokens.Session.ID)
		}
	})
}

func TestWhatEndsAfterAnOlderBackupTookTheDatabasesPlaceIsTold(t *testing.T) {
	for _, overtaken := range []bool{false, true} { // by events with numbers that were there before
		each(t, func(t *testing.T, s *service) {
			tokens := s.mustSignUp(t, email)
			for range 3 {
				s.mustLogin(t, email)
			}
			cursor := s.endedSince(t, "").Cursor
			// As if nothing after the first event had been kept.
			raw := s.sql(t)
			mustExec(t, raw, `DELETE FROM events WHERE number > 1`)
			if strings.HasPrefix(s.url, "sqlite:") {
				mustExec(t, raw, `UPDATE sqlite_sequence SET seq = 1 WHERE name = 'events'`)
			} else {
				mustExec(t, raw, `ALTER SEQUENCE events_number_seq RESTART WITH 2`)
			}
			if _, _, err := s.RevokeByRefreshToken(t.Context(), tokens.RefreshToken, client); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				if overtaken {
					s.mustLogin(t, email)
				}
			}
			for _, server := range []*service{s, s.another(t)} {
				want(t, "told", slices.Contains(server.endedSince(t, cursor).Sessions, tokens.Session.ID), true)
			}
		})
	}
}

func TestSQLitesNumbersOutliveAVacuum(t *testing.T) {
	s := newService(t, authtest.Options{URL: dbtest.SQLite(t), Clock: authtest.NewClock()})
	tokens := s.mustSignUp(t, email)
	for range 4 {
		s.mustLogin(t, email)
	}
	cursor := s.endedSince(t, "").Cursor
	raw := s.sql(t)
	mustExec(t, raw, `DELETE FROM events WHERE number BETWEEN 2 AND 3`)
	mustExec(t, raw, `VACUUM`)
	if _, _, err := s.RevokeByRefreshToken(t.Context(), tokens.RefreshToken, client); err != nil {
		t.Fatal(err)
	}
	wantSessions(t, "told", s.endedSince(t, cursor).Sessions, tokens.Session.ID)
}

func TestATransactionThatIsCommittedLateIsNotMissed(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		if strings.HasPrefix(s.url, "sqlite:") {
			t.Skip("SQLite has one transaction at a time, so none is late")
		}
		slow, quick := s.mustSignUp(t, "slow@example.com"), s.mustSignUp(t, "quick@example.com")
		before := s.endedSince(t, "")
		tx, err := s.sql(t).Beginx()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback() }()
		mark := uuid.New()
		for _, statement := range []string{
			`UPDATE sessions SET revoked_at = created_at, revoke_reason = 'REVOKED', revocation_id = '%[2]s' WHERE id = '%[1]s'`,
			`INSERT INTO events (id, user_id, kind, session_id, created_at) SELECT '%[2]s', user_id, 'SESSION_ENDED', id, created_at FROM sessions WHERE id = '%[1]s'`,
		} {
			if _, err := tx.Exec(fmt.Sprintf(statement, slow.Session.ID, mark)); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := s.RevokeByRefreshToken(t.Context(), quick.RefreshToken, client); err != nil {
			t.Fatal(err)
		}
		told := s.endedSince(t, before.Cursor)
		wantSessions(t, "the quick one", told.Sessions, quick.Session.ID)
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		wantSessions(t, "then the slow one", s.endedSince(t, told.Cursor).Sessions, slow.Session.ID)
		for _, server := range []*service{s.another(t), s} {
			late := server.endedSince(t, told.Cursor).Sessions
			want(t, "by whoever is asked", slices.Contains(late, slow.Session.ID), true)
		}
	})
}
