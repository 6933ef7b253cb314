package db

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"latchkey/auth"
)

// Debit implements auth.ThrottleStore. Where its answer is lost and it runs again, it takes two attempts for one:
// that keeps nobody out for long, and lets nobody in.
func (s *Store) Debit(ctx context.Context, buckets []auth.Bucket, now, since time.Time) (charges []auth.Charge, err error) {
	err = s.do(ctx, s.inTurn(buckets[0].Key, s.inTransaction(func(ctx context.Context, tx queries) error {
		charges = nil
		for _, bucket := range buckets {
			cost, err := debit(ctx, tx, bucket, now, since)
			if err != nil {
				return err // and what the buckets before it were charged is undone
			}
			charges = append(charges, auth.Charge{Key: bucket.Key, Cost: cost})
		}
		return nil
	})))
	return charges, err
}

// debit takes an attempt out of a bucket and returns its cost. Errors: *auth.TooManyAttemptsError.
func debit(ctx context.Context, tx queries, bucket auth.Bucket, now, since time.Time) (time.Duration, error) {
	var doublings int
	pace := bucket.Pace().Microseconds()
	fullAt := now.Add(bucket.Burst())
	err := tx.get(ctx, &doublings, `
		INSERT INTO throttles (bucket, used_to, failures, doublings) VALUES (?, ?, 0, 0)
		ON CONFLICT (bucket) DO UPDATE SET
			used_to = CASE WHEN throttles.used_to > ? THEN throttles.used_to ELSE ? END
				+ (CAST(? AS bigint) << CASE WHEN throttles.used_to < ? THEN 0 ELSE CAST(throttles.doublings AS int) END),
			failures = CASE WHEN throttles.used_to < ? THEN 0 ELSE throttles.failures END,
			doublings = CASE WHEN throttles.used_to < ? THEN 0 ELSE throttles.doublings END
		WHERE throttles.used_to <= ?
		RETURNING doublings`,
		bucket.Key, now.UnixMicro()+pace,
		now.UnixMicro(), now.UnixMicro(),
		pace, since.UnixMicro(),
		since.UnixMicro(), since.UnixMicro(),
		fullAt.UnixMicro())
	if err == nil {
		return bucket.Pace() << doublings, nil
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return 0, err
	}
	var usedTo int64
	if err := tx.get(ctx, &usedTo, `SELECT used_to FROM throttles WHERE bucket = ?`, bucket.Key); err != nil {
		return 0, err
	}
	retryAt := time.UnixMicro(usedTo).UTC().Add(-bucket.Burst())
	if shown := retryAt.Truncate(time.Millisecond); shown.Before(retryAt) { // clients are told milliseconds
		retryAt = shown.Add(time.Millisecond)
	}
	return 0, &auth.TooManyAttemptsError{Key: bucket.Key, RetryAt: retryAt}
}

// Fail implements auth.ThrottleStore. Where its answer is lost and it runs again, it counts twice.
func (s *Store) Fail(ctx context.Context, failure auth.Failure) error {
	return s.do(ctx, s.inTurn(failure.Bucket.Key, s.inTransaction(func(ctx context.Context, tx queries) error {
		attempts := failure.Bucket.Limit.Attempts
		var failures int
		err := tx.get(ctx, &failures, `
			UPDATE throttles SET failures = failures + 1,
				doublings = CASE WHEN (failures + 1) % ? = 0 AND doublings < ? THEN doublings + 1 ELSE doublings END
			WHERE bucket = ? RETURNING failures`, attempts, failure.Bucket.MostDoublings(), failure.Bucket.Key)
		if err != nil && !errors.Is(err, sql.ErrNoRows) { // none: it was forgotten meanwhile
			return err
		}
		e := newEvent{id: failure.Mark, userID: failure.UserID, kind: failure.Kind, client: failure.Client, now: failure.Now}
		if err := record(ctx, tx, e); err != nil {
			return err
		}
		if failures == 0 || failures%attempts != 0 {
			return nil
		}
		e.id, e.kind = failure.SlowedMark, auth.AttemptsWereSlowed
		return record(ctx, tx, e)
	})))
}

// transactRefunding runs a transaction that also refunds an attempt. Attempts of one address are charged and
// refunded one after the other.
func (s *Store) transactRefunding(ctx context.Context, r auth.Refund, operation func(ctx context.Context, tx queries) error) error {
	if len(r.Charges) == 0 {
		return s.transact(ctx, operation)
	}
	return s.do(ctx, s.inTurn(r.Charges[0].Key, s.inTransaction(operation)))
}

// refund gives back what an attempt that succeeded was charged. It is for the transaction of that success, which
// happens once.
func refund(ctx context.Context, tx queries, r auth.Refund) error {
	for _, charge := range r.Charges {
		_, err := tx.exec(ctx, `
			UPDATE throttles SET used_to = used_to - ?,
				failures = CASE WHEN bucket = ? THEN 0 ELSE failures END,
				doublings = CASE WHEN bucket = ? THEN 0 ELSE doublings END
			WHERE bucket = ?`, charge.Cost.Microseconds(), r.Bucket, r.Bucket, charge.Key)
		if err != nil {
			return err
		}
	}
	return nil
}
