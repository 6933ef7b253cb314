package auth

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	// cleanUpBatch is how many rows of a table one statement deletes: some milliseconds of work, so that nobody
	// waits for it.
	cleanUpBatch = 500
	cleanUpEvery = time.Minute
	// keptAfterExpiry is how long a session is kept after its absolute expiry, for servers whose clocks are behind
	// and so that its end can still be told. Until then an old token of it is recognised, whether the session is
	// live or not.
	keptAfterExpiry = 24 * time.Hour
)

// Old says what nobody needs any more.
type Old struct {
	SessionsExpiredBefore time.Time // by their absolute expiry
	EventsBefore          time.Time
	BudgetsBefore         time.Time // that were not used since
}

// CleanUpStore forgets what nobody needs.
type CleanUpStore interface {
	// CleanUp deletes up to limit old rows of each kind and returns how many it deleted. Any number of servers
	// may do so at once.
	CleanUp(ctx context.Context, old Old, limit int) (int, error)
}

// CleanUp deletes all sessions that reached their absolute expiry a day ago, the events that are older than
// Settings.EventsTTL, and budgets that are full again, in small batches with pauses between them. It returns how
// many rows it deleted. Errors: ErrUnavailable, or that of ctx.
func (s *Service) CleanUp(ctx context.Context) (deleted int, err error) {
	now := s.now()
	defer func() { s.stats.countCleanUp(deleted, err, s.now()) }()
	old := Old{
		SessionsExpiredBefore: now.Add(-keptAfterExpiry),
		EventsBefore:          now.Add(-s.settings.EventsTTL),
		BudgetsBefore:         now.Add(-forgotten),
	}
	for {
		began := time.Now()
		count, err := s.store.CleanUp(ctx, old, cleanUpBatch)
		deleted += count
		if err != nil {
			return deleted, fmt.Errorf("clean up: %w", err)
		}
		if count < cleanUpBatch { // fewer of each kind
			return deleted, nil
		}
		select { // at most a fifth of the time, however slow the database is
		case <-time.After(max(20*time.Millisecond, 4*time.Since(began))):
		case <-ctx.Done():
			return deleted, ctx.Err()
		}
	}
}

// KeepCleaning calls CleanUp about every minute until ctx ends, unless the clock is wrong. Whatever fails is tried again the
// next time.
func (s *Service) KeepCleaning(ctx context.Context) {
	for {
		wait := cleanUpEvery/2 + rand.N(cleanUpEvery) // so that servers that started at once do not stay together
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if !s.clockIsRight(ctx) {
			continue
		}
		deleted, err := s.CleanUp(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.WarnContext(ctx, "not cleaned up", "error", err)
		case deleted > 0:
			s.log.InfoContext(ctx, "cleaned up", "rows", deleted)
		}
	}
}
