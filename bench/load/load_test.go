package load_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"latchkey/bench/load"
)

// fake takes as long as it is told, by the clock of a bubble (testing/synctest).
type fake struct {
	next func(number int) (time.Duration, error)
	done int
}

func (f *fake) Do() (string, error) {
	took, err := f.next(f.done)
	f.done++
	time.Sleep(took)
	return "fake", err
}

func (f *fake) Close() {}

func always(took time.Duration) func(int) (time.Duration, error) {
	return func(int) (time.Duration, error) { return took, nil }
}

func around(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if got < want-tolerance || got > want+tolerance {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestAClosedLoopCountsWhatEndsInItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var begun, ended time.Duration
		start := time.Now()
		result := load.Run(t.Context(), []load.Client{&fake{next: always(10 * time.Millisecond)}, &fake{next: always(20 * time.Millisecond)}},
			load.Options{
				WarmUp: time.Second, Duration: 2 * time.Second,
				Begin: func() { begun = time.Since(start) }, End: func() { ended = time.Since(start) },
			})
		around(t, "a second", result.PerSecond(), 150, 1)
		around(t, "counted", float64(result.All().TotalCount()), 300, 2)
		around(t, "median in microseconds", float64(result.All().ValueAtPercentile(50)), 10_000, 10)
		around(t, "99th percentile", float64(result.All().ValueAtPercentile(99)), 20_000, 20)
		if begun != time.Second || ended != 3*time.Second || result.Elapsed != 2*time.Second {
			t.Errorf("began after %v, ended after %v, counted for %v", begun, ended, result.Elapsed)
		}
	})
}

func TestAnOpenLoopTimesFromWhenARequestWasDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// One of 1,000 requests stands still for a second, on the only connection: a closed loop would see one slow request.
		stall := func(number int) (time.Duration, error) {
			if number == 500 {
				return time.Second, nil
			}
			return time.Millisecond, nil
		}
		result := load.Run(t.Context(), []load.Client{&fake{next: stall}}, load.Options{Duration: 10 * time.Second, Rate: 100})
		all := result.All()
		around(t, "counted", float64(all.TotalCount()), 1000, 0)
		around(t, "median", float64(all.ValueAtPercentile(50)), 1000, 1)
		around(t, "95th percentile", float64(all.ValueAtPercentile(95)), 550_000, 60_000)
		around(t, "maximum", float64(all.Max()), 1_000_000, 1000)
		around(t, "a second", result.PerSecond(), 100, 1)
	})
}

func TestAnOpenLoopEndsBesideAServerThatIsTooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		result := load.Run(t.Context(), []load.Client{&fake{next: always(time.Second)}}, load.Options{Duration: 10 * time.Second, Rate: 100})
		if took := time.Since(start); took > time.Minute {
			t.Errorf("took %v", took)
		}
		around(t, "not sent", float64(result.Failures["NOT_SENT"]), 960, 5)
	})
}

func TestTheWarmUpOfAnOpenLoopDoesNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &fake{next: always(time.Millisecond)}
		result := load.Run(t.Context(), []load.Client{client}, load.Options{WarmUp: time.Second, Duration: time.Second, Rate: 50})
		around(t, "counted", float64(result.All().TotalCount()), 50, 0)
		around(t, "sent", float64(client.done), 100, 0)
	})
}

func TestFailuresAreCountedByCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := load.Run(t.Context(), []load.Client{&fake{next: func(number int) (time.Duration, error) {
			switch {
			case number%10 == 0:
				return time.Millisecond, &load.Failure{Code: "UNAVAILABLE", Detail: "x"}
			case number == 5:
				return time.Millisecond, errors.New("y")
			}
			return time.Millisecond, nil
		}}}, load.Options{Duration: time.Second})
		if result.Failures["UNAVAILABLE"] != 100 || result.Failures["UNKNOWN"] != 1 || result.Failed() != 101 || result.Details["UNAVAILABLE"] != "x" {
			t.Errorf("%v %v", result.Failures, result.Details)
		}
	})
}

func TestARunEndsEarlyWhereNothingIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := load.Run(t.Context(), []load.Client{&fake{next: func(number int) (time.Duration, error) {
			if number == 100 {
				return 0, load.ErrNothingLeft
			}
			return 10 * time.Millisecond, nil
		}}}, load.Options{Duration: time.Hour})
		around(t, "a second", result.PerSecond(), 100, 1)
		if result.Elapsed != time.Second || result.Failed() != 0 {
			t.Errorf("%v, %v", result.Elapsed, result.Failures)
		}
	})
}

func TestARunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		result := load.Run(ctx, []load.Client{&fake{next: always(10 * time.Millisecond)}}, load.Options{Duration: time.Hour})
		around(t, "a second", result.PerSecond(), 100, 2)
	})
}

func TestARunHasNoMoreRequestsThanAllowed(t *testing.T) {
	for _, rate := range []float64{0, 100} {
		synctest.Test(t, func(t *testing.T) {
			clients := []load.Client{&fake{next: always(10 * time.Millisecond)}, &fake{next: always(10 * time.Millisecond)}, &fake{next: always(time.Millisecond)}}
			result := load.Run(t.Context(), clients, load.Options{Duration: time.Hour, Most: 100, Rate: rate})
			if result.Sent != 100 || result.All().TotalCount() != 100 || result.Elapsed > 2*time.Second || result.Failed() != 0 {
				t.Errorf("at the rate %v: %d sent, %v, %v", rate, result.Sent, result.Elapsed, result.Failures)
			}
		})
	}
}

func TestWhatIsSlowerThanARunCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := load.Run(t.Context(), []load.Client{&fake{next: always(10 * time.Second)}}, load.Options{WarmUp: time.Second, Duration: time.Second})
		around(t, "counted", float64(result.All().TotalCount()), 1, 0)
		if result.Elapsed != 9*time.Second {
			t.Error(result.Elapsed)
		}
	})
}
