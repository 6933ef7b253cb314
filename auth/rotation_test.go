package auth_test

import (
	"bytes"
	"context"
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

const day = 24 * time.Hour

func TestARefreshTokenIsExchangedForItsSuccessorAHundredTimes(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		seen := map[auth.Secret]bool{tokens.RefreshToken: true}
		for range 100 {
			tokens = s.mustRefresh(t, tokens.RefreshToken)
			if seen[tokens.RefreshToken] {
				t.Fatal("a refresh token came twice")
			}
			seen[tokens.RefreshToken] = true
			s.mustAuthenticate(t, tokens.AccessToken)
		}
		want(t, "generation", s.state(t, tokens.Session.ID).Generation, 101)
		var sessions int
		if err := s.sql(t).Get(&sessions, `SELECT COUNT(*) FROM sessions`); err != nil {
			t.Fatal(err)
		}
		want(t, "rows", sessions, 1)
	})
}

func TestFiftyRefreshesOfOneTokenAtOnceGetOneSuccessor(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		successors := make([]auth.Secret, 50)
		errs := make([]error, len(successors))
		var group sync.WaitGroup
		for i := range successors {
			group.Go(func() {
				tokens, err := s.Refresh(t.Context(), first.RefreshToken, client)
				if errs[i] = err; err == nil {
					successors[i] = tokens.RefreshToken
				}
			})
		}
		group.Wait()
		for i := range successors {
			if errs[i] != nil {
				t.Fatalf("refresh %d: %v", i, errs[i])
			}
			if successors[i] != successors[0] {
				t.Fatal("two refreshes of one token got two successors")
			}
		}
		want(t, "generation", s.state(t, first.Session.ID).Generation, 2)
		s.mustRefresh(t, successors[0])
	})
}

func TestALostAnswerIsRepeatedForADayWhileNobodyUsedTheSuccessor(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		for _, later := range []time.Duration{0, 10 * time.Second, time.Second, time.Hour, 22 * time.Hour} {
			s.clock.Advance(later)
			again := s.mustRefresh(t, first.RefreshToken)
			want(t, "successor after "+later.String(), again.RefreshToken.Reveal() == second.RefreshToken.Reveal(), true)
			if later < time.Hour && s.state(t, first.Session.ID).ConfirmedGeneration != 1 {
				t.Fatal("a retry confirmed something")
			}
		}
		want(t, "late retries counted", s.state(t, first.Session.ID).LateRetryStreak, 1)
		s.clock.Advance(time.Hour)
		s.wantEnded(t, first.RefreshToken, auth.ReuseDetected)
	})
}

func TestARetriedRefreshReturnsAWorkingAccessToken(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		s.mustRefresh(t, first.RefreshToken)
		s.clock.Advance(time.Hour)
		again := s.mustRefresh(t, first.RefreshToken)
		s.mustConfirm(t, again.AccessToken)
		want(t, "confirmed generation", s.state(t, first.Session.ID).ConfirmedGeneration, 2)
	})
}

func TestATokenTwoBehindIsReuseAndEndsTheSession(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		other := s.mustLogin(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		third := s.mustRefresh(t, second.RefreshToken)
		s.wantEnded(t, first.RefreshToken, auth.ReuseDetected)
		s.wantEnded(t, third.RefreshToken, auth.ReuseDetected)
		s.wantUnauthenticated(t, third.AccessToken, auth.SessionEnded)
		s.wantUnauthenticated(t, first.AccessToken, auth.SessionEnded)

		var kinds []string
		if err := s.sql(t).Select(&kinds, `SELECT reason FROM events WHERE kind = 'SESSION_ENDED'`); err != nil {
			t.Fatal(err)
		}
		want(t, "security events", len(kinds), 1)
		want(t, "security event", kinds[0], "REUSE_DETECTED")

		s.mustAuthenticate(t, other.AccessToken) // what happens to one session never changes another
		s.mustRefresh(t, other.RefreshToken)
	})
}

func TestThePredecessorDiesAfterItsSuccessorWasUsed(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		s.mustConfirm(t, second.AccessToken)
		s.clock.Advance(10 * time.Second)
		within := s.mustRefresh(t, first.RefreshToken) // was in flight
		want(t, "same successor", within.RefreshToken.Reveal() == second.RefreshToken.Reveal(), true)
		s.clock.Advance(time.Microsecond)
		s.wantEnded(t, first.RefreshToken, auth.ReuseDetected)
		s.wantEnded(t, second.RefreshToken, auth.ReuseDetected)
		s.wantUnauthenticated(t, second.AccessToken, auth.SessionEnded)
	})
}

func TestTabsThatComeBackTogetherAfterALostAnswerAreBothAnswered(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		lost := s.mustRefresh(t, first.RefreshToken)
		s.clock.Advance(time.Hour)
		one := s.mustRefresh(t, first.RefreshToken)
		s.mustConfirm(t, one.AccessToken)
		s.clock.Advance(10 * time.Second)
		other := s.mustRefresh(t, first.RefreshToken) // was in flight
		want(t, "one successor", one.RefreshToken.Reveal() == lost.RefreshToken.Reveal(), true)
		want(t, "the same", other.RefreshToken.Reveal() == lost.RefreshToken.Reveal(), true)
		s.mustAuthenticate(t, one.AccessToken)
		s.clock.Advance(time.Microsecond)
		s.wantEnded(t, first.RefreshToken, auth.ReuseDetected)
	})
}

// waiting is a store in which a rotation, when it is its turn at last, finds what happened meanwhile.
type waiting struct {
	auth.Store
	meanwhile *func()
}

func (w waiting) Rotate(ctx context.Context, rotation auth.Rotation) (*auth.SessionState, error) {
	if happens := *w.meanwhile; happens != nil {
		*w.meanwhile = nil
		happens()
	}
	return w.Store.Rotate(ctx, rotation)
}

func TestARequestThatWaitedIsJudgedByWhenItCame(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		meanwhile := new(func())
		between := func(store auth.Store) auth.Store { return waiting{store, meanwhile} }
		s := newService(t, authtest.Options{URL: url, Clock: authtest.NewClock(), Between: between})
		first := s.mustSignUp(t, email)
		var second *auth.Tokens
		*meanwhile = func() { // another tab is faster, and its successor is used, while this one waits
			second = s.mustRefresh(t, first.RefreshToken)
			s.clock.Advance(30 * time.Second)
			s.mustConfirm(t, second.AccessToken)
		}
		waited := s.mustRefresh(t, first.RefreshToken)
		want(t, "same successor", waited.RefreshToken.Reveal() == second.RefreshToken.Reveal(), true)
	})
}

func TestAnOldAccessTokenConfirmsNothing(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		s.mustRefresh(t, first.RefreshToken)
		s.mustConfirm(t, first.AccessToken)
		want(t, "confirmed generation", s.state(t, first.Session.ID).ConfirmedGeneration, 1)
		s.clock.Advance(time.Hour)
		s.mustRefresh(t, first.RefreshToken)
	})
}

func TestWithoutGraceAndRetryWindowRotationIsStrict(t *testing.T) {
	strict := authtest.Settings()
	strict.RefreshGrace, strict.RefreshRetryWindow = 0, 0
	eachWith(t, authtest.Options{Settings: &strict}, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		s.wantEnded(t, first.RefreshToken, auth.ReuseDetected) // at the very same moment
		s.wantEnded(t, second.RefreshToken, auth.ReuseDetected)
	})
}

func TestTenGenerationsInARowWithALateRetryAreReuse(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		for range 10 {
			previous := tokens
			tokens = s.mustRefresh(t, previous.RefreshToken)
			s.clock.Advance(time.Minute)
			s.mustRefresh(t, previous.RefreshToken)
			s.mustRefresh(t, previous.RefreshToken) // a repetition in one generation counts once, in the tenth as well
		}
		want(t, "streak", s.state(t, tokens.Session.ID).LateRetryStreak, 10)
		previous := tokens
		s.mustRefresh(t, previous.RefreshToken)
		s.clock.Advance(time.Minute)
		s.wantEnded(t, previous.RefreshToken, auth.ReuseDetected)
	})
}

func TestAGenerationWithoutALateRetryEndsTheStreak(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		for i := range 25 {
			previous := tokens
			tokens = s.mustRefresh(t, previous.RefreshToken)
			s.clock.Advance(time.Minute)
			if i%9 != 8 {
				s.mustRefresh(t, previous.RefreshToken)
			}
		}
	})
}

func TestASessionEndsIdle(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		s.clock.Advance(7*day - time.Microsecond)
		second := s.mustRefresh(t, first.RefreshToken)
		s.clock.Advance(7 * day)
		s.wantEnded(t, second.RefreshToken, auth.Idle)
		s.wantEnded(t, first.RefreshToken, auth.Idle) // an expired session is over, and nothing else
		s.wantUnauthenticated(t, second.AccessToken, auth.TokenExpired)
	})
}

func TestASessionEndsForGoodHoweverOftenItIsRefreshed(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		for range 5 {
			s.clock.Advance(5*day + 23*time.Hour)
			tokens = s.mustRefresh(t, tokens.RefreshToken)
		}
		s.clock.Advance(5*time.Hour - time.Minute) // a minute before the 30th day ends
		tokens = s.mustRefresh(t, tokens.RefreshToken)
		want(t, "refresh token's end", tokens.RefreshTokenExpiresAt, tokens.Session.ExpiresAt)
		want(t, "access token's end", tokens.AccessTokenExpiresAt, tokens.Session.ExpiresAt)
		s.mustAuthenticate(t, tokens.AccessToken)
		s.clock.Advance(time.Minute)
		s.wantEnded(t, tokens.RefreshToken, auth.Expired)
		s.wantUnauthenticated(t, tokens.AccessToken, auth.TokenExpired)
	})
}

func TestATokenOfASessionThatIsNotThereIsInvalid(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		mustExec(t, s.sql(t), `DELETE FROM sessions WHERE id = ?`, tokens.Session.ID)
		_, err := s.Refresh(t.Context(), tokens.RefreshToken, client)
		want(t, "invalid", errors.Is(err, auth.ErrInvalidRefreshToken), true)
		s.wantUnauthenticated(t, tokens.AccessToken, auth.SessionEnded)
	})
}

func TestADatabaseThatLostARotationEndsTheSession(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		before := s.state(t, first.Session.ID)
		second := s.mustRefresh(t, first.RefreshToken)
		// As a failover to a stale replica leaves it.
		mustExec(t, s.sql(t), `UPDATE sessions SET refresh_generation = ?, refresh_hash = ?, refresh_seed = NULL WHERE id = ?`,
			before.Generation, before.RefreshHash, first.Session.ID)
		s.wantEnded(t, second.RefreshToken, auth.StorageRolledBack)
		s.wantEnded(t, first.RefreshToken, auth.StorageRolledBack)
	})
}

func TestTheSameGenerationWithAnotherSecretIsReuse(t *testing.T) {
	eachForked(t, func(t *testing.T, s *service, lost, live *auth.Tokens) {
		s.wantEnded(t, lost.RefreshToken, auth.ReuseDetected)
		s.wantEnded(t, live.RefreshToken, auth.ReuseDetected)
	})
}

func TestTheGenerationBeforeWithAnotherSecretHasNoSuccessor(t *testing.T) {
	eachForked(t, func(t *testing.T, s *service, lost, live *auth.Tokens) {
		s.mustRefresh(t, live.RefreshToken)
		s.wantEnded(t, lost.RefreshToken, auth.ReuseDetected) // within the grace time
	})
}

// eachForked runs a test on both databases with two tokens of one generation, both issued by the server.
func eachForked(t *testing.T, test func(t *testing.T, s *service, lost, live *auth.Tokens)) {
	t.Helper()
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		before := s.state(t, first.Session.ID)
		second := s.mustRefresh(t, first.RefreshToken)
		// The rotation is lost, and another one takes its place: two tokens of generation 2 were issued.
		mustExec(t, s.sql(t), `UPDATE sessions SET refresh_generation = ?, refresh_hash = ?, refresh_seed = NULL WHERE id = ?`,
			before.Generation, before.RefreshHash, first.Session.ID)
		another := s.mustRefresh(t, first.RefreshToken)
		want(t, "another token", another.RefreshToken.Reveal() != second.RefreshToken.Reveal(), true)
		test(t, s, second, another)
	})
}

// repeating is a store whose rotations run twice, as a driver repeats a statement whose answer was lost.
type repeating struct{ auth.Store }

func (r repeating) Rotate(ctx context.Context, rotation auth.Rotation) (*auth.SessionState, error) {
	if _, err := r.Store.Rotate(ctx, rotation); err != nil {
		return nil, err
	}
	return r.Store.Rotate(ctx, rotation)
}

func TestARotationThatRanTwiceIsARotation(t *testing.T) {
	strict := authtest.Settings() // so that it cannot pass for a retry
	strict.RefreshGrace, strict.RefreshRetryWindow = 0, 0
	between := func(store auth.Store) auth.Store { return repeating{store} }
	eachWith(t, authtest.Options{Settings: &strict, Between: between}, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		for range 5 {
			tokens = s.mustRefresh(t, tokens.RefreshToken)
		}
		want(t, "generation", s.state(t, tokens.Session.ID).Generation, 6)
	})
}

// failingOver is a store whose first rotation finds no row to change, as on a primary that has made one
// which the replica that takes over has not got.
type failingOver struct {
	auth.Store
	failed *atomic.Bool
}

func (f failingOver) Rotate(ctx context.Context, rotation auth.Rotation) (*auth.SessionState, error) {
	if f.failed.CompareAndSwap(false, true) {
		return nil, auth.ErrNotFound
	}
	return f.Store.Rotate(ctx, rotation)
}

func TestATokenThatIsLiveAfterAllIsNotReuse(t *testing.T) {
	between := func(store auth.Store) auth.Store { return failingOver{store, &atomic.Bool{}} }
	eachWith(t, authtest.Options{Between: between}, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		s.mustRefresh(t, second.RefreshToken)
	})
}

func TestEveryWriteRecognisesItselfWhenItsAnswerWasLost(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	s := newService(t, authtest.Options{URL: proxy.URL(), Clock: authtest.NewClock()})
	lose := func(statement string, operation func()) {
		t.Helper()
		proxy.Reset()
		proxy.LoseAnswer(statement)
		operation()
		times := 0
		for _, sent := range proxy.Statements() {
			if bytes.Contains([]byte(sent), []byte(statement)) {
				times++
			}
		}
		if times < 2 {
			t.Fatalf("%q was sent %d times: its answer was not lost", statement, times)
		}
	}
	var first, tokens *auth.Tokens
	lose("INSERT INTO users", func() { first = s.mustSignUp(t, email) })
	lose("COMMIT", func() { s.mustSignUp(t, "grace@example.com") })
	lose("INSERT INTO sessions", func() { tokens = s.mustLogin(t, email) })
	lose("UPDATE sessions", func() { tokens = s.mustRefresh(t, tokens.RefreshToken) })
	want(t, "generation", s.state(t, tokens.Session.ID).Generation, 2)

	previous := tokens
	tokens = s.mustRefresh(t, tokens.RefreshToken)
	s.clock.Advance(time.Minute)
	lose("UPDATE sessions", func() { s.mustRefresh(t, previous.RefreshToken) })
	want(t, "late retries", s.state(t, tokens.Session.ID).LateRetryStreak, 1)

	lose("UPDATE sessions", func() {
		revoked, err := s.RevokeSession(t.Context(), s.mustAuthenticate(t, tokens.AccessToken), tokens.Session.ID, client)
		if err != nil || !revoked {
			t.Fatalf("revoke: got %v, %v, want true", revoked, err)
		}
	})

	second := s.mustRefresh(t, first.RefreshToken)
	s.mustRefresh(t, second.RefreshToken)
	lose("SET revoked_at", func() { s.wantEnded(t, first.RefreshToken, auth.ReuseDetected) })
	lose("COMMIT", func() {
		s.mustLogin(t, "grace@example.com")
		ended, err := s.disable(t, "grace@example.com")
		if err != nil || ended != 2 {
			t.Fatalf("disable: ended %d, %v, want 2", ended, err)
		}
	})
	var events int
	if err := s.sql(t).Get(&events, `SELECT COUNT(*) FROM events WHERE reason = 'REUSE_DETECTED'`); err != nil {
		t.Fatal(err)
	}
	want(t, "security events", events, 1)
}

func TestReuseEndsTheSessionEvenIfTheThiefHangsUp(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		first := s.mustSignUp(t, email)
		second := s.mustRefresh(t, first.RefreshToken)
		third := s.mustRefresh(t, second.RefreshToken)
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		_, _ = s.Refresh(gone, first.RefreshToken, client)
		s.wantEnded(t, third.RefreshToken, auth.ReuseDetected)
	})
}

func TestTwoServersAgreeAboutASession(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		another := newService(t, authtest.Options{URL: s.url, Clock: s.clock})
		first := s.mustSignUp(t, email)
		another.mustAuthenticate(t, first.AccessToken)
		second := another.mustRefresh(t, first.RefreshToken)
		want(t, "same successor", s.mustRefresh(t, first.RefreshToken).RefreshToken.Reveal() == second.RefreshToken.Reveal(), true)
		if _, _, err := s.RevokeByRefreshToken(t.Context(), first.RefreshToken, client); err != nil {
			t.Fatal(err)
		}
		another.wantEnded(t, second.RefreshToken, auth.SignedOut)
		another.wantUnauthenticated(t, second.AccessToken, auth.SessionEnded)
	})
}

func TestWhatIsNotARefreshTokenOfThisServerChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		genuine := tokens.RefreshToken.Reveal()
		var forged []string
		for i := range genuine {
			flipped := []byte(genuine)
			if flipped[i] ^= 1; flipped[i] == '`' || flipped[i] == '@' || flipped[i] == '[' {
				flipped[i] ^= 3
			}
			forged = append(forged, string(flipped))
		}
		forged = append(forged, "", "lkr1.", genuine[:len(genuine)-1], genuine+"A", genuine+"=", genuine[:50]+"\n"+genuine[50:],
			genuine[5:], "lkr2."+genuine[5:], "LKR1."+genuine[5:], " "+genuine, tokens.AccessToken.Reveal())
		for _, text := range forged {
			_, err := s.Refresh(t.Context(), auth.Secret(text), client)
			if !errors.Is(err, auth.ErrInvalidRefreshToken) {
				t.Fatalf("got %v, want an invalid refresh token", err)
			}
			id, revoked, err := s.RevokeByRefreshToken(t.Context(), auth.Secret(text), client)
			if _, malformed := errors.AsType[*auth.InvalidInputError](err); err != nil && !malformed || id != nil || revoked {
				t.Fatalf("revoke: got %v, %v, %v", id, revoked, err)
			}
		}
		s.wantUnauthenticated(t, tokens.RefreshToken, auth.TokenInvalid)
		want(t, "generation", s.state(t, tokens.Session.ID).Generation, 1)
		s.mustAuthenticate(t, tokens.AccessToken)
		s.mustRefresh(t, tokens.RefreshToken)
	})
}

func TestATokenOfAnotherServersKeysIsInvalid(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		foreign := newService(t, authtest.Options{URL: dbtest.SQLite(t), Clock: s.clock}).mustSignUp(t, email)
		_, err := s.Refresh(t.Context(), foreign.RefreshToken, client)
		want(t, "invalid", errors.Is(err, auth.ErrInvalidRefreshToken), true)
		s.wantUnauthenticated(t, foreign.AccessToken, auth.TokenInvalid)
	})
}

func TestNothingAtRestIsAToken(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		second := s.mustRefresh(t, tokens.RefreshToken)
		state := s.state(t, tokens.Session.ID)
		raw, err := decodeRefreshToken(second.RefreshToken)
		if err != nil {
			t.Fatal(err)
		}
		for _, stored := range [][]byte{state.RefreshHash, state.RefreshSeed} {
			want(t, "in the token", bytes.Contains(raw, stored), false)
		}
		want(t, "the session's id", uuid.UUID(raw[4:20]), tokens.Session.ID)
	})
}
