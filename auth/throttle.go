package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// Limit is how many attempts are let in within a time. The zero value lets in all of them.
type Limit struct {
	Attempts int
	Per      time.Duration
}

// off is what a Limit of zero stands for. It is kept like every other, so that nobody is told by the time of an
// answer which statements were run; and for so long that no clock that is wrong makes it refuse anything.
var off = Limit{Attempts: 1 << 30, Per: forgotten}

const (
	// slowest is the longest that repeated failures make somebody wait for the next attempt. NIST SP 800-63B-4
	// §3.2.2 would have an account closed after 100 of them; then a stranger could keep its user out.
	slowest = time.Hour
	// forgotten is how long after its last attempt a bucket is as good as new.
	forgotten = 24 * time.Hour
)

// Bucket is a budget of attempts that all servers of one database share, by the generic cell rate algorithm
// (GCRA: ITU-T I.371): Limit.Attempts at once, and then one for each Limit.Per/Limit.Attempts.
type Bucket struct {
	Key   string
	Limit Limit
}

// Pace is the time that one attempt costs while nothing has failed.
func (b Bucket) Pace() time.Duration { return b.Limit.Per / time.Duration(b.Limit.Attempts) }

// Burst is how far into the future attempts may have used a bucket up for one more to be let in.
func (b Bucket) Burst() time.Duration { return b.Limit.Per - b.Pace() }

// MostDoublings is how often failures may double the pace.
func (b Bucket) MostDoublings() int {
	most := 0
	for pace := b.Pace(); pace > 0 && pace<<(most+1) <= slowest; {
		most++
	}
	return most
}

// Charge is what an attempt took out of a bucket.
type Charge struct {
	Key  string
	Cost time.Duration
}

// Failure is an attempt that was let in and failed.
type Failure struct {
	Bucket Bucket // whose pace is to grow: it doubles with every Limit.Attempts failures in a row
	UserID uuid.UUID
	Kind   EventKind // LoginFailed or PasswordChangeFailed
	Client Client
	Now    time.Time
	Mark   uuid.UUID // the id of the event
	// SlowedMark is the id of the event AttemptsWereSlowed, which is recorded too when the pace doubles.
	SlowedMark uuid.UUID
}

// ThrottleStore keeps budgets of attempts.
type ThrottleStore interface {
	// Debit takes one attempt out of each bucket, in their order, or out of none where one of them is used up.
	// A bucket that was not debited for longer than since says is a new one. What it has returned is shared by
	// all servers at once. Errors: *TooManyAttemptsError.
	Debit(ctx context.Context, buckets []Bucket, now, since time.Time) ([]Charge, error)
	// Fail records an attempt that failed: it counts it in its bucket and writes the event, where there is
	// such a user; and where there is none, it does the same work.
	Fail(ctx context.Context, failure Failure) error
}

// Refund gives back what a successful attempt was charged, and ends the run of failures.
type Refund struct {
	Charges []Charge
	Bucket  string // whose failures are forgotten
}

// attempt is one use of a password that was let in.
type attempt struct {
	charges []Charge
	own     *Bucket // that of the account, the device or the signed-in user; nil for a sign-up
	leave   func()
}

func (a *attempt) refund() Refund {
	refund := Refund{Charges: a.charges}
	if a.own != nil {
		refund.Bucket = a.own.Key
	}
	return refund
}

// admit lets an attempt in, or not, before its password is hashed: by the address that it comes from and, where one
// is given, by a bucket of its own. The caller must call leave when the attempt is over, and only then is there
// room for others. Errors: *RateLimitedError, *TooManyAttemptsError, ErrUnavailable.
func (s *Service) admit(ctx context.Context, client Client, now time.Time, own ...Bucket) (*attempt, error) {
	address := s.addressBucket(client)
	buckets := append([]Bucket{address}, own...)
	for _, bucket := range buckets {
		if refused := s.refusals.recall(bucket.Key, now); refused != nil {
			return nil, s.throttled(ctx, refused)
		}
	}
	leave, ok := s.crowd.enter(address.Key)
	if !ok {
		return nil, &RateLimitedError{RetryAt: now.Add(crowdRetry)}
	}
	attempt := &attempt{leave: leave}
	if len(own) > 0 {
		attempt.own = &own[0]
	}
	if err := s.charge(ctx, attempt, buckets, now); err != nil {
		leave()
		return nil, err
	}
	return attempt, nil
}

// charge takes an attempt out of buckets.
// Errors: *TooManyAttemptsError, ErrUnavailable.
func (s *Service) charge(ctx context.Context, attempt *attempt, buckets []Bucket, now time.Time) error {
	charges, err := s.store.Debit(ctx, buckets, now, now.Add(-forgotten))
	var refused *TooManyAttemptsError
	if errors.As(err, &refused) {
		s.refusals.note(refused)
		return s.throttled(ctx, refused)
	}
	if err != nil {
		return fmt.Errorf("count attempts: %w", err)
	}
	attempt.charges = append(attempt.charges, charges...)
	return nil
}

func (s *Service) throttled(ctx context.Context, refused *TooManyAttemptsError) error {
	s.stats.countThrottled(refused)
	s.log.InfoContext(ctx, "attempt throttled", "budget", refused.budget(), "retryAt", refused.RetryAt)
	return refused
}

// fail records that an attempt with a bucket of its own was let in and failed, and returns ErrInvalidCredentials, or
// the error that kept it from that.
func (s *Service) fail(ctx context.Context, attempt *attempt, kind EventKind, userID uuid.UUID, client Client, now time.Time) error {
	failure := Failure{Bucket: *attempt.own, UserID: userID, Kind: kind, Client: client, Now: now}
	for _, mark := range []*uuid.UUID{&failure.Mark, &failure.SlowedMark} {
		var err error
		if *mark, err = newID(); err != nil {
			return err
		}
	}
	if err := s.store.Fail(ctx, failure); err != nil {
		return fmt.Errorf("record failure: %w", err)
	}
	s.log.InfoContext(ctx, "attempt failed", "kind", kind, userHash(userID))
	return ErrInvalidCredentials
}

// addressBucket is the budget of everybody at one address. An IPv6 network of 64 bits is one address: every
// customer of a provider has at least that much (RFC 6177).
func (s *Service) addressBucket(client Client) Bucket {
	network := client.IP
	if address, err := netip.ParseAddr(client.IP); err == nil && address.Unmap().Is6() {
		prefix, _ := address.WithZone("").Prefix(64) // of an IPv6 address it never fails
		network = prefix.String()
	} else if err == nil {
		network = address.Unmap().String()
	}
	return Bucket{Key: "address:" + network, Limit: s.settings.LoginIPLimit.orOff()}
}

// accountBucket is the budget of everybody who tries an account and shows no device token of it. It does not
// depend on whether there is such an account.
func (s *Service) accountBucket(normalizedEmail string) Bucket {
	return Bucket{Key: "account:" + hex.EncodeToString(accountHash(normalizedEmail)), Limit: s.settings.LoginLimit.orOff()}
}

// passwordBucket is the budget of those who are signed in as a user and say what the password is. It is apart from
// that of the account, so that no stranger can keep a user from changing the password.
func (s *Service) passwordBucket(userID uuid.UUID) Bucket {
	return Bucket{Key: "password:" + userID.String(), Limit: s.settings.LoginLimit.orOff()}
}

// accountHash stands for an address in the store, where typed addresses, which may be mistyped passwords, have
// no place.
func accountHash(normalizedEmail string) []byte {
	sum := sha256.Sum256([]byte(normalizedEmail))
	return sum[:16]
}

func (l Limit) orOff() Limit {
	if l.Attempts == 0 {
		return off
	}
	return l
}
