package db

import (
	"context"
	"sync"

	"github.com/google/uuid"
)

// turns lets one change of a session at a time reach the database, and has the others wait without a
// connection. Those who ask for a session whose row somebody has locked would otherwise hold, between
// them, the whole pool, and everybody else would wait with them.
type turns struct {
	mu   sync.Mutex
	held map[uuid.UUID]*turn
}

type turn struct {
	free  chan struct{} // has an element while nobody changes the session
	users int           // who has it or waits for it
}

// take returns when it is the caller's turn to change a session, who then calls release; or the error of
// ctx.
func (t *turns) take(ctx context.Context, session uuid.UUID) (release func(), err error) {
	t.mu.Lock()
	mine := t.held[session]
	if mine == nil {
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		t.held[session] = mine
	}
	mine.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.held, session)
		}
	}
	select {
	case <-mine.free:
		return func() {
			mine.free <- struct{}{}
			leave()
		}, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
