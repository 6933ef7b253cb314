package auth

import (
	"context"
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

// take returns what was gathered, in the order of session ids: two servers that write the same sessions
// then lock them in the same order.
func (c *confirmations) take() []Confirmation {
	c.mu.Lock()
	gathered := c.pending
	c.pending = map[uuid.UUID]Confirmation{}
	c.mu.Unlock()
	sorted := make([]Confirmation, 0, len(gathered))
	for _, confirmation := range gathered {
		sorted = append(sorted, confirmation)
	}
	slices.SortFunc(sorted, func(a, b Confirmation) int { return slices.Compare(a.SessionID[:], b.SessionID[:]) })
	return sorted
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

// FlushConfirmations writes the confirmations gathered so far. Those that fail are gathered again.
func (s *Service) FlushConfirmations(ctx context.Context) error {
	gathered := s.confirmations.take()
	for chunk := range slices.Chunk(gathered, 100) {
		if err := s.store.Confirm(ctx, chunk); err != nil {
			for _, confirmation := range gathered { // once more is harmless
				s.confirmations.note(confirmation)
			}
			return err
		}
	}
	return nil
}
