package db

import (
	"context"
	"sync"
)

// turns lets one change of a session, or of a budget of attempts, at a time wait in the database for what it changes, and has
// the others wait without a connection. Those that go together with others wait for no row, and take no turn. Those who ask for a row that somebody has locked would otherwise hold, between
// them, the whole pool, and everybody else would wait with them; and under SERIALIZABLE all but one would fail.
type turns struct {
	mu   sync.Mutex
	held map[any]*turn // by the id of a session, or the key of a bucket
}

type turn struct {
	free  chan struct{} // has an element while nobody changes it
	users int           // who has it or waits for it
}

// take returns when it is the caller's turn to change something, who then calls release; or the error of
// ctx.
func (t *turns) take(ctx context.Context, key any) (release func(), err error) {
	t.mu.Lock()
	mine := t.held[key]
	if mine == nil {
		mine = &turn{free: make(chan struct{}, 1)}
		mine.free <- struct{}{}
		t.held[key] = mine
	}
	mine.users++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.users--; mine.users == 0 {
			delete(t.held, key)
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
