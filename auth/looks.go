package auth

import (
	"context"
	"sync"
	"time"
)

// looks lets many callers share the reading of one thing that others change: one reads at a time, and for strangers no
// more often than every so often.
type looks struct {
	every time.Duration
	read  func(context.Context) error

	mu      sync.Mutex
	began   time.Time // when the last one that succeeded did
	next    *look     // that has not begun
	reading sync.Mutex
	last    time.Time // when the last one began; under reading
}

type look struct {
	done chan struct{}
	err  error
}

// since returns once the thing was read by a look that began at or after a moment, of time.Now. Errors: that of the
// reading, ErrUnavailable where ctx ends.
func (l *looks) since(ctx context.Context, moment time.Time) error {
	l.mu.Lock()
	if !l.began.Before(moment) {
		l.mu.Unlock()
		return nil
	}
	joined := l.next
	if joined == nil {
		joined = &look{done: make(chan struct{})}
		l.next = joined
		go l.run(context.WithoutCancel(ctx), joined)
	}
	l.mu.Unlock()
	select {
	case <-joined.done:
		return joined.err
	case <-ctx.Done():
		return waiting(ctx, "look again", ctx.Err())
	}
}

func (l *looks) run(ctx context.Context, this *look) {
	l.reading.Lock()
	defer l.reading.Unlock()
	time.Sleep(time.Until(l.last.Add(l.every)))
	l.mu.Lock()
	l.next = nil // who comes now may know of something newer
	l.mu.Unlock()
	this.err = l.readLocked(ctx)
	close(this.done)
}

// now reads, without waiting for anything but a look that is under way. Errors: those of the reading.
func (l *looks) now(ctx context.Context) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	return l.readLocked(ctx)
}

func (l *looks) readLocked(ctx context.Context) error {
	l.last = time.Now()
	if err := l.read(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = l.last
	return nil
}
