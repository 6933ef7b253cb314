// Package load asks for something again and again, over several connections, and says how long it took.
package load

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Client does one request after the other, over a connection of its own. One goroutine uses it.
type Client interface {
	// Do does the next request, checks its answer, and returns of which kind it was. Errors: *Failure, ErrNothingLeft.
	Do() (kind string, err error)
	// Close gives the connection up.
	Close()
}

// ErrNothingLeft is the error of a client that has done all that there is to do. It is no failure.
var ErrNothingLeft = errors.New("nothing left to do")

// Failure is an answer that is not as it must be, or none.
type Failure struct {
	Code   string // what failures are counted by
	Detail string // what came instead
}

func (f *Failure) Error() string { return f.Code + ": " + f.Detail }

// Options say how much is asked for. Duration must be set: every run ends.
type Options struct {
	WarmUp   time.Duration // before anything is counted
	Duration time.Duration
	// Rate is how many requests a second fall due, of all clients together, whatever becomes of the ones before. Zero is a
	// closed loop: a client sends its next request when it has the answer to the last one.
	Rate  float64
	Most  int    // how many requests there are at the most, of all clients together; 0: as many as the time allows
	Begin func() // called when counting begins; may be nil
	End   func() // called when it ends; may be nil
}

// patience is how long a run waits for requests that fell due in its time, when that is over.
const patience = 30 * time.Second

// Run has all clients ask at once, until the time is over, until there is nothing left to do, or until ctx ends. A closed
// loop counts the requests that end in its time, and the first of each client in any case, and times each from when it was
// sent. With a rate, those count that fall due in that time, and each is timed from then on: while a server stands still,
// they wait, and so does whoever wants to send them. (The wait for a timer, which can be a millisecond late, is in there.)
func Run(ctx context.Context, clients []Client, options Options) *Result {
	r := &run{options: options}
	r.began = time.Now()
	r.from = r.began.Add(options.WarmUp)
	r.until = r.from.Add(options.Duration)
	unhook := context.AfterFunc(ctx, func() { r.stopped.Store(true) })
	defer unhook()

	finished := make(chan struct{})
	results := make([]*Result, len(clients))
	var workers sync.WaitGroup
	for i, client := range clients {
		results[i] = newResult()
		share := math.MaxInt
		if options.Most > 0 {
			share = (options.Most + i) / len(clients) // together they are all
		}
		workers.Go(func() {
			if options.Rate > 0 {
				r.open(client, results[i])
			} else {
				r.closed(client, results[i], share)
			}
		})
	}
	go func() {
		workers.Wait()
		close(finished)
	}()
	at := func(moment time.Time, do func()) {
		timer := time.NewTimer(time.Until(moment))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-finished:
		}
		if do != nil {
			do()
		}
	}
	at(r.from, options.Begin)
	at(r.until, options.End)
	<-finished
	return r.sum(results)
}

// run is what the workers of one Run share.
type run struct {
	options            Options
	began, from, until time.Time
	stopped            atomic.Bool
	taken              atomic.Int64 // of the requests that fall due
	done               atomic.Int64 // clients with nothing left to do
}

func (r *run) closed(client Client, result *Result, share int) {
	for start := time.Now(); start.Before(r.until) && !r.stopped.Load(); {
		if result.Sent == share {
			r.done.Add(1)
			return
		}
		kind, err := client.Do()
		if errors.Is(err, ErrNothingLeft) {
			r.done.Add(1)
			return
		}
		end := time.Now()
		result.Sent++
		if err != nil {
			result.fail(err)
		} else if !end.Before(r.from) && (end.Before(r.until) || len(result.Kinds) == 0) {
			result.record(kind, end.Sub(start), end)
		}
		start = end
	}
}

// due is how many requests fall due at all.
func (r *run) due() int64 {
	due := int64(math.Ceil(r.until.Sub(r.began).Seconds() * r.options.Rate))
	if r.options.Most > 0 {
		due = min(due, int64(r.options.Most))
	}
	return due
}

func (r *run) open(client Client, result *Result) {
	all := r.due()
	for !r.stopped.Load() {
		if time.Since(r.until) > patience {
			return
		}
		number := r.taken.Add(1) - 1
		if number >= all {
			return
		}
		due := r.began.Add(time.Duration(float64(number) / r.options.Rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		kind, err := client.Do()
		if errors.Is(err, ErrNothingLeft) {
			r.done.Add(1)
			return
		}
		end := time.Now()
		result.Sent++
		if err != nil {
			result.fail(err)
		} else if !due.Before(r.from) {
			result.record(kind, end.Sub(due), end)
		}
	}
}

func (r *run) sum(results []*Result) *Result {
	total := newResult()
	for _, result := range results {
		total.add(result)
	}
	if r.options.Rate > 0 && !r.stopped.Load() {
		if missed := r.due() - r.taken.Load(); missed > 0 {
			total.Failures["NOT_SENT"] += int(missed)
			total.Details["NOT_SENT"] = "fell due, and nobody was free to send it"
		}
	}
	total.Elapsed = r.options.Duration
	early := r.stopped.Load() || int(r.done.Load()) == len(results) || r.options.Rate > 0 && r.options.Most > 0
	if early && total.last.Before(r.until) || total.last.After(r.until) {
		total.Elapsed = max(total.last.Sub(r.from), 0) // the last answer tells
	}
	return total
}
