package looks_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/internal/looks"
)

func TestALookThatIsUnderWayIsNotJoined(t *testing.T) {
	begun, release := make(chan int, 10), make(chan struct{})
	var count atomic.Int64
	l := looks.New(0, func(context.Context) error {
		begun <- int(count.Add(1))
		<-release
		return nil
	})
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- l.Since(t.Context(), time.Now()) }()
	<-begun // what happens from here on, this look may not see
	asked := time.Now()
	go func() { second <- l.Since(t.Context(), asked) }()
	release <- struct{}{}
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if nth := <-begun; nth != 2 {
		t.Fatalf("look %d, want the second", nth)
	}
	select {
	case <-second:
		t.Fatal("it was told of a look that began before it asked")
	default:
	}
	release <- struct{}{}
	if err := <-second; err != nil || l.Began().Before(asked) {
		t.Fatalf("%v, %v", err, l.Began())
	}
}

func TestManyShareALookAndLooksAreSpaced(t *testing.T) {
	const every = 100 * time.Millisecond
	var mu sync.Mutex
	var times []time.Time
	l := looks.New(every, func(context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		times = append(times, time.Now())
		return nil
	})
	for range 3 {
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := l.Since(t.Context(), time.Now()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if len(times) > 6 {
		t.Fatalf("%d looks for 300 who asked", len(times))
	}
	for i := 1; i < len(times); i++ {
		if between := times[i].Sub(times[i-1]); between < every {
			t.Fatalf("%s between two looks", between)
		}
	}
}

func TestWhoeverGivesUpIsToldSoAndTheOthersAreNot(t *testing.T) {
	release := make(chan struct{})
	l := looks.New(0, func(ctx context.Context) error {
		<-release
		return ctx.Err()
	})
	hurried, cancel := context.WithCancel(t.Context())
	gaveUp, patient := make(chan error, 1), make(chan error, 1)
	go func() { gaveUp <- l.Since(hurried, time.Now()) }()
	go func() { patient <- l.Since(t.Context(), time.Now()) }()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	close(release)
	if err := <-patient; err != nil {
		t.Fatal(err)
	}
}

func TestAReadingThatFailedDoesNotCount(t *testing.T) {
	broken := errors.New("broken")
	fails := true
	l := looks.New(0, func(context.Context) error {
		if fails {
			return broken
		}
		return nil
	})
	if err := l.Since(t.Context(), time.Now()); !errors.Is(err, broken) || !l.Began().IsZero() {
		t.Fatal(err)
	}
	fails = false
	if err := l.Lately(t.Context()); err != nil || l.Began().IsZero() {
		t.Fatal(err)
	}
}
