// Package looks lets many callers share the reading of one thing that others change.
package looks

import (
	"context"
	"sync"
	"time"
)

// Looks are readings of one thing: one at a time, and for strangers no more often than every so often. New makes them.
type Looks struct {
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

// New returns Looks at what read takes in, for Since no more often than once in every.
func New(every time.Duration, read func(context.Context) error) *Looks {
	return &Looks{every: every, read: read}
}

// Since returns once the thing was read by a look that began at or after a moment, of time.Now. It may wait for one that
// others wait for too, and which goes on if ctx ends. Errors: that of the reading, or of ctx.
func (l *Looks) Since(ctx context.Context, moment time.Time) error {
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
		return ctx.Err()
	}
}

// Lately returns once the thing was read by a look that began no longer ago than New's every. Errors: as those of Since.
func (l *Looks) Lately(ctx context.Context) error { return l.Since(ctx, time.Now().Add(-l.every)) }

// Now reads, without waiting for anything but a look that others have asked for. Errors: those of the reading.
func (l *Looks) Now(ctx context.Context) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	return l.readLocked(ctx)
}

// Began returns when the last look that succeeded began, or the zero time.
func (l *Looks) Began() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.began
}

func (l *Looks) run(ctx context.Context, this *look) {
	l.reading.Lock()
	defer l.reading.Unlock()
	time.Sleep(time.Until(l.last.Add(l.every)))
	l.mu.Lock()
	l.next = nil // who comes now may know of something newer
	l.mu.Unlock()
	this.err = l.readLocked(ctx)
	close(this.done)
}

func (l *Looks) readLocked(ctx context.Context) error {
	l.last = time.Now()
	if err := l.read(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.began = l.last
	return nil
}
