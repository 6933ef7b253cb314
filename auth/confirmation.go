package auth

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// confirmations gathers the proofs that clients have their successors, off the requests' critical path,
// the newest per session. Losing one only keeps a session's retry window open a little longer.
type confirmations struct {
	mu      sync.Mutex
	pending map[uuid.UUID]Confirmation
}

func newConfirmations() *confirmations {
	return &confirmations{pending: map[uuid.UUID]Confirmation{}}
}

func (c *confirmations) note(confirmation Confirmation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[confirmation.SessionID].Generation <= confirmation.Generation {
		c.pending[confirmation.SessionID] = confirmation
	}
}

func (c *confirmations) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.pending)
}

// take returns what was gathered.
func (c *confirmations) take() map[uuid.UUID]Confirmation {
	c.mu.Lock()
	defer c.mu.Unlock()
	gathered := c.pending
	c.pending = map[uuid.UUID]Confirmation{}
	return gathered
}

// KeepConfirming writes confirmations once a second until ctx ends. Call FlushConfirmations after the
// last request was answered.
func (s *Service) KeepConfirming(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := s.FlushConfirmations(ctx); err != nil {
				s.log.WarnContext(ctx, "confirmations not written", "error", err)
			}
		}
	}
}

// FlushConfirmations writes the confirmations gathered so far, and gathers them again where it could not. Those of sessions
// that somebody else is changing are left out: the next use of their tokens confirms. Errors: ErrUnavailable.
func (s *Service) FlushConfirmations(ctx context.Context) error {
	gathered := slices.Collect(maps.Values(s.confirmations.take()))
	err := s.store.Confirm(ctx, gathered)
	if err != nil {
		for _, confirmation := range gathered {
			s.confirmations.note(confirmation)
		}
	}
	return err
}
