package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
)

const wrongPassword auth.Secret = "a wrong password, quite long"

// retryAt returns when a refused attempt is to be repeated, and the zero time for any other outcome.
func retryAt(err error) time.Time {
	if refused, ok := errors.AsType[*auth.TooManyAttemptsError](err); ok {
		return refused.RetryAt
	}
	return time.Time{}
}

// exhaust uses up the budget of an account.
func (s *service) exhaust(t *testing.T, email string) {
	t.Helper()
	for range 10 {
		if err := s.login(t, email, wrongPassword); !errors.Is(err, auth.ErrInvalidCredentials) {
			t.Fatalf("got %v, want invalid credentials", err)
		}
	}
}

func (s *service) wantThrottled(t *testing.T, err error, in time.Duration) {
	t.Helper()
	want(t, fmt.Sprintf("retry, after %v", err), retryAt(err), s.clock.Now().Add(in))
}

func TestWrongPasswordsAreCountedAndThenEvenTheRightOneWaits(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.mustSignUp(t, email)
		for _, address := range []string{email, "nobody@example.com"} { // whether there is such an account or not
			s.exhaust(t, address)
			for _, typed := range []auth.Secret{wrongPassword, password} {
				s.wantThrottled(t, s.login(t, strings.ToUpper(address), typed), 90*time.Second)
			}
		}
		s.clock.Advance(90*time.Second - time.Millisecond)
		s.wantThrottled(t, s.login(t, email, password), time.Millisecond)
		s.clock.Advance(time.Millisecond)
		s.mustLogin(t, email)
		if err := s.login(t, "nobody@example.com", password); !errors.Is(err, auth.ErrInvalidCredentials) {
			t.Fatalf("got %v, want invalid credentials", err)
		}
	})
}

func TestTheDelayGrowsWithEveryTenFailuresUpToAnHourAndIsForgottenInADay(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		user := s.mustSignUp(t, email).User
		s.exhaust(t, email)
		var delays []time.Duration
		for range 7 {
			var delay time.Duration
			for range 10 {
				delay = retryAt(s.login(t, email, wrongPassword)).Sub(s.clock.Now())
				s.clock.Advance(delay)
				if err := s.login(t, email, wrongPassword); !errors.Is(err, auth.ErrInvalidCredentials) {
					t.Fatalf("got %v, want invalid credentials", err)
				}
			}
			delays = append(delays, delay)
		}
		want(t, "delays", fmt.Sprint(delays), "[3m0s 6m0s 12m0s 24m0s 48m0s 48m0s 48m0s]")
		account := s.events(t, user)
		want(t, "failures in the account", strings.Count(account, "LOGIN_FAILED"), 80)
		want(t, "delays in the account", strings.Count(account, "THROTTLED"), 8)
		s.clock.Advance(26 * time.Hour)
		s.exhaust(t, email)
		s.wantThrottled(t, s.login(t, email, wrongPassword), 90*time.Second)
	})
}

func TestAnAttemptThatSucceedsDoesNotCountAndEndsTheRun(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.mustSignUp(t, email)
		for range 25 {
			s.mustLogin(t, email)
		}
		for range 3 {
			for range 9 {
				if err := s.login(t, email, wrongPassword); !errors.Is(err, auth.ErrInvalidCredentials) {
					t.Fatalf("got %v, want invalid credentials", err)
				}
			}
			s.mustLogin(t, email) // the last of ten: had it counted, the run would not have ended
			s.clock.Advance(15 * time.Minute)
		}
		s.exhaust(t, email)
		s.wantThrottled(t, s.login(t, email, wrongPassword), 90*time.Second)
	})
}

func TestOfThreeHundredWrongLoginsAtOnceOverTwoServersNoMoreThanTheLimitAreEvaluated(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		clock := authtest.NewClock()
		servers := []*service{newService(t, authtest.Options{URL: url, Clock: clock}), newService(t, authtest.Options{URL: url, Clock: clock})}
		servers[0].mustSignUp(t, email)
		var evaluated, refused atomic.Int32
		var group sync.WaitGroup
		for i := range 300 {
			group.Go(func() {
				from := auth.Client{IP: fmt.Sprintf("192.0.2.%d", i%50)}
				_, err := servers[i%2].Login(t.Context(), auth.LoginRequest{Email: email, Password: wrongPassword}, from)
				_, crowded := errors.AsType[*auth.RateLimitedError](err)
				switch {
				case errors.Is(err, auth.ErrInvalidCredentials):
					evaluated.Add(1)
				case crowded || !retryAt(err).IsZero():
					refused.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		group.Wait()
		want(t, "evaluated", evaluated.Load(), 10)
		want(t, "refused", refused.Load(), 290)
	})
}

func TestBudgetsOutliveTheServer(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		clock := authtest.NewClock()
		newService(t, authtest.Options{URL: url, Clock: clock}).exhaust(t, email)
		again := newService(t, authtest.Options{URL: url, Clock: clock})
		again.wantThrottled(t, again.login(t, email, wrongPassword), 90*time.Second)
	})
}

func TestAFloodIsRefusedWithoutTheDatabase(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		s.exhaust(t, email)
		s.wantThrottled(t, s.login(t, email, wrongPassword), 90*time.Second)
		if err := s.store.Close(); err != nil {
			t.Fatal(err)
		}
		s.wantThrottled(t, s.login(t, email, wrongPassword), 90*time.Second)
		s.clock.Advance(90 * time.Second)
		if err := s.login(t, email, wrongPassword); err == nil || !retryAt(err).IsZero() {
			t.Fatalf("got %v, want the database asked again", err)
		}
	})
}

func TestAStrangerKeepsNobodyOutWhoIsOrWasSignedIn(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		s.exhaust(t, email)
		s.wantThrottled(t, s.login(t, email, password), 90*time.Second)

		s.mustAuthenticate(t, s.mustRefresh(t, tokens.RefreshToken).AccessToken)
		from := func(device auth.Secret, typed auth.Secret) (*auth.Tokens, error) {
			return s.Login(t.Context(), auth.LoginRequest{Email: email, Password: typed, DeviceToken: device}, client)
		}
		again, err := from(tokens.DeviceToken, password)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "a device that is known gets no other token", again.DeviceToken, "")
		for range 10 {
			if _, err := from(tokens.DeviceToken, wrongPassword); !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatalf("got %v, want invalid credentials", err)
			}
		}
		_, err = from(tokens.DeviceToken, password)
		s.wantThrottled(t, err, 90*time.Second)

		// One that is not this account's, or not of this server, is none.
		other := s.mustSignUp(t, "grace@example.com")
		forged := tokens.DeviceToken[:len(tokens.DeviceToken)-1] + "A"
		if forged == tokens.DeviceToken {
			forged = tokens.DeviceToken[:len(tokens.DeviceToken)-1] + "Q"
		}
		for _, none := range []auth.Secret{other.DeviceToken, forged, tokens.DeviceToken + "A", tokens.RefreshToken, "lkd1."} {
			_, err := from(none, password)
			s.wantThrottled(t, err, 90*time.Second)
		}
	})
}

func TestADeviceIsNotKnownAnyMoreOnceThePasswordWasChanged(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		if _, err := s.changePassword(t, tokens, password, newPassword); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			_, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: wrongPassword, DeviceToken: tokens.DeviceToken}, client)
			if !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatalf("got %v, want invalid credentials", err)
			}
		}
		s.wantThrottled(t, s.login(t, email, newPassword), 90*time.Second)
		s.clock.Advance(90 * time.Second)
		again, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: newPassword, DeviceToken: tokens.DeviceToken}, client)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "a new token", strings.HasPrefix(again.DeviceToken.Reveal(), "lkd1."), true)
	})
}

func TestOneAddressHasOneBudgetHoweverItIsWritten(t *testing.T) {
	few := authtest.Settings()
	few.LoginIPLimit = auth.Limit{Attempts: 4, Per: 4 * time.Minute}
	eachWith(t, authtest.Options{Settings: &few}, func(t *testing.T, s *service) {
		n := 0
		try := func(ip string) error {
			n++
			_, err := s.Login(t.Context(), auth.LoginRequest{Email: fmt.Sprintf("user%d@example.com", n), Password: wrongPassword}, auth.Client{IP: ip})
			return err
		}
		for _, group := range [][]string{
			{"192.0.2.7", "::ffff:192.0.2.7", "::ffff:c000:207", "192.0.2.7"},
			{"2001:db8:1:2::1", "2001:db8:1:2:ffff::", "2001:0DB8:1:2::2", "2001:db8:1:2::1%eth0"},
			{"", "", "", ""},
		} {
			for _, ip := range group {
				if err := try(ip); !errors.Is(err, auth.ErrInvalidCredentials) {
					t.Fatalf("%s: got %v, want invalid credentials", ip, err)
				}
			}
			for _, ip := range group {
				s.wantThrottled(t, try(ip), time.Minute)
			}
		}
		for _, ip := range []string{"192.0.2.8", "2001:db8:1:3::1"} {
			if err := try(ip); !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatalf("%s: got %v, want invalid credentials", ip, err)
			}
		}
	})
}

func TestAnAddressThatIsRefusedUsesUpNoAccountsBudget(t *testing.T) {
	few := authtest.Settings()
	few.LoginIPLimit = auth.Limit{Attempts: 4, Per: 4 * time.Minute}
	dbtest.Each(t, func(t *testing.T, url string) {
		clock := authtest.NewClock()
		fresh := func() *service {
			return newService(t, authtest.Options{URL: url, Clock: clock, Settings: &few})
		}
		s := fresh()
		for range 4 {
			if err := s.login(t, "nobody@example.com", wrongPassword); !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatalf("got %v, want invalid credentials", err)
			}
		}
		for range 20 { // each server has forgotten the refusal, and asks
			s.wantThrottled(t, fresh().login(t, email, wrongPassword), time.Minute)
		}
		elsewhere := auth.Client{IP: "198.51.100.1"}
		for range 4 {
			if _, err := s.Login(t.Context(), auth.LoginRequest{Email: email, Password: wrongPassword}, elsewhere); !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatalf("got %v, want invalid credentials", err)
			}
		}
	})
}

func TestNobodyFindsOutInBulkWhichAddressesHaveAnAccount(t *testing.T) {
	few := authtest.Settings()
	few.LoginIPLimit = auth.Limit{Attempts: 4, Per: 4 * time.Minute}
	eachWith(t, authtest.Options{Settings: &few}, func(t *testing.T, s *service) {
		for i := range 6 {
			s.mustSignUp(t, fmt.Sprintf("user%d@example.com", i)) // what succeeds does not count
		}
		for i := range 4 {
			if err := s.signUp(t, fmt.Sprintf("user%d@example.com", i), password); !errors.Is(err, auth.ErrEmailTaken) {
				t.Fatalf("got %v, want the address taken", err)
			}
		}
		s.wantThrottled(t, s.signUp(t, "user5@example.com", password), time.Minute)
		s.wantThrottled(t, s.signUp(t, "new@example.com", password), time.Minute)
	})
}

func TestTheCurrentPasswordCannotBeGuessedByWhoeverFindsTheDevice(t *testing.T) {
	each(t, func(t *testing.T, s *service) {
		tokens := s.mustSignUp(t, email)
		s.exhaust(t, email) // by strangers, which is no matter here
		for range 10 {
			if _, err := s.changePassword(t, tokens, wrongPassword, newPassword); !errors.Is(err, auth.ErrWrongPassword) {
				t.Fatalf("got %v, want a wrong password", err)
			}
		}
		_, err := s.changePassword(t, tokens, password, newPassword)
		s.wantThrottled(t, err, 90*time.Second)
		want(t, "failures", strings.Count(s.events(t, tokens.User), "PASSWORD_CHANGE_FAILED"), 10)
		s.clock.Advance(90 * time.Second)
		if _, err := s.changePassword(t, tokens, password, newPassword); err != nil {
			t.Fatal(err)
		}
	})
}

func TestLimitsCanBeTurnedOff(t *testing.T) {
	unlimited := authtest.Settings()
	unlimited.LoginLimit, unlimited.LoginIPLimit = auth.Limit{}, auth.Limit{}
	eachWith(t, authtest.Options{Settings: &unlimited}, func(t *testing.T, s *service) {
		for range 30 {
			if err := s.login(t, email, wrongPassword); !errors.Is(err, auth.ErrInvalidCredentials) {
				t.Fatalf("got %v, want invalid credentials", err)
			}
		}
	})
}

// The attempts wait for each other's hashes, so those that come at once are more than there is room for.
func TestMoreAttemptsAtOnceThanAServerCanHashAreRefusedUncounted(t *testing.T) {
	unlimited := authtest.Settings()
	unlimited.LoginLimit, unlimited.LoginIPLimit = auth.Limit{}, auth.Limit{}
	eachWith(t, authtest.Options{Settings: &unlimited}, func(t *testing.T, s *service) {
		ctx, hangUp := context.WithTimeout(t.Context(), 30*time.Second)
		defer hangUp()
		var crowded atomic.Int32
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() {
				_, err := s.Login(ctx, auth.LoginRequest{Email: email, Password: wrongPassword}, client)
				if refused, ok := errors.AsType[*auth.RateLimitedError](err); ok {
					want(t, "retry", refused.RetryAt, s.clock.Now().Add(time.Second))
					if crowded.Add(1) == 1 {
						hangUp() // who waits need not go on
					}
				}
			})
		}
		group.Wait()
		want(t, "some refused", crowded.Load() > 0, true)
		s.mustSignUp(t, email) // and when the crowd is gone there is room again
	})
}
