package auth

import (
	"bytes"
	"errors"
	"sync/atomic"
	"time"
)

// Stats are what a Service has counted since New, and what is under way, for metrics.
type Stats struct {
	Refreshes map[RefreshOutcome]uint64
	Throttled map[string]uint64 // attempts that were not let in, by budget: account, device, password or address

	HashesRunning, HashesWaiting, HashSlots int // passwords that are hashed, and that wait for it

	ConfirmationsPending int // that are not written yet

	CleanedUpRows uint64
	CleanedUpAt   time.Time // when the last clean-up ended that went through; zero: none yet
}

// RefreshOutcome is what became of a refresh.
type RefreshOutcome string

// The outcomes. A refresh that found the database away is none of them.
const (
	Rotated      RefreshOutcome = "rotated"
	Retried      RefreshOutcome = "retried"     // the predecessor got the successor again
	Reused       RefreshOutcome = "reuse"       // it has ended the session
	RolledBack   RefreshOutcome = "rolled_back" // likewise: the database lost a rotation
	EndedAlready RefreshOutcome = "ended"
	NotOurs      RefreshOutcome = "invalid"
)

var (
	refreshOutcomes = []RefreshOutcome{Rotated, Retried, Reused, RolledBack, EndedAlready, NotOurs}
	budgets         = []string{"account", "device", "password", "address"} // what the keys of buckets begin with
)

// stats are counters. newStats makes them.
type stats struct {
	refreshes     map[RefreshOutcome]*atomic.Uint64
	throttled     map[string]*atomic.Uint64
	cleanedUpRows atomic.Uint64
	cleanedUpAt   atomic.Pointer[time.Time]
}

func newStats() *stats {
	s := &stats{refreshes: map[RefreshOutcome]*atomic.Uint64{}, throttled: map[string]*atomic.Uint64{}}
	for _, outcome := range refreshOutcomes {
		s.refreshes[outcome] = &atomic.Uint64{}
	}
	for _, budget := range budgets {
		s.throttled[budget] = &atomic.Uint64{}
	}
	return s
}

// countRefresh counts a refresh that ended with an error, or with a state in which the seed is its own if it rotated.
func (s *stats) countRefresh(state *SessionState, seed []byte, err error) {
	ended, over := errors.AsType[*SessionEndedError](err)
	switch {
	case errors.Is(err, ErrInvalidRefreshToken):
		s.refreshes[NotOurs].Add(1)
	case over && !ended.JustNow:
		s.refreshes[EndedAlready].Add(1)
	case over && ended.Reason == StorageRolledBack:
		s.refreshes[RolledBack].Add(1)
	case over:
		s.refreshes[Reused].Add(1)
	case err != nil:
	case bytes.Equal(state.RefreshSeed, seed):
		s.refreshes[Rotated].Add(1)
	default:
		s.refreshes[Retried].Add(1)
	}
}

func (s *stats) countThrottled(refused *TooManyAttemptsError) {
	if counter, ok := s.throttled[refused.budget()]; ok {
		counter.Add(1)
	}
}

func (s *stats) countCleanUp(rows int, err error, now time.Time) {
	s.cleanedUpRows.Add(uint64(rows))
	if err == nil {
		s.cleanedUpAt.Store(&now)
	}
}

// Stats returns what was counted until now.
func (s *Service) Stats() Stats {
	answer := Stats{
		Refreshes: map[RefreshOutcome]uint64{}, Throttled: map[string]uint64{},
		HashesRunning: int(s.passwords.running.Load()), HashesWaiting: int(s.passwords.waiting.Load()), HashSlots: s.settings.HashSlots,
		ConfirmationsPending: s.confirmations.count(), CleanedUpRows: s.stats.cleanedUpRows.Load(),
	}
	for outcome, counter := range s.stats.refreshes {
		answer.Refreshes[outcome] = counter.Load()
	}
	for budget, counter := range s.stats.throttled {
		answer.Throttled[budget] = counter.Load()
	}
	if at := s.stats.cleanedUpAt.Load(); at != nil {
		answer.CleanedUpAt = *at
	}
	return answer
}
