package load

import (
	"errors"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is what a histogram can hold; what takes longer counts as long.
const longest = 2 * time.Minute

// Result is what came of a run.
type Result struct {
	Elapsed  time.Duration
	Sent     int                                // all requests, whether they count or not
	Kinds    map[string]*hdrhistogram.Histogram // of what succeeded and counts, in microseconds
	Failures map[string]int                     // by code, of the warm-up too
	Details  map[string]string                  // the first failure of each code

	last time.Time // when the last request that counts ended
}

func newResult() *Result {
	return &Result{Kinds: map[string]*hdrhistogram.Histogram{}, Failures: map[string]int{}, Details: map[string]string{}}
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 3)
}

func (r *Result) record(kind string, took time.Duration, end time.Time) {
	histogram := r.Kinds[kind]
	if histogram == nil {
		histogram = newHistogram()
		r.Kinds[kind] = histogram
	}
	_ = histogram.RecordValue(min(max(took, time.Microsecond), longest).Microseconds()) // which is in its range
	r.last = end
}

func (r *Result) fail(err error) {
	failure, ok := errors.AsType[*Failure](err)
	if !ok {
		failure = &Failure{Code: "UNKNOWN", Detail: err.Error()}
	}
	r.Failures[failure.Code]++
	if r.Details[failure.Code] == "" {
		r.Details[failure.Code] = failure.Detail
	}
}

func (r *Result) add(other *Result) {
	r.Sent += other.Sent
	for kind, histogram := range other.Kinds {
		if r.Kinds[kind] == nil {
			r.Kinds[kind] = newHistogram()
		}
		r.Kinds[kind].Merge(histogram)
	}
	for code, count := range other.Failures {
		r.Failures[code] += count
		if r.Details[code] == "" {
			r.Details[code] = other.Details[code]
		}
	}
	if other.last.After(r.last) {
		r.last = other.last
	}
}

// All returns how long requests of all kinds took, in microseconds.
func (r *Result) All() *hdrhistogram.Histogram {
	all := newHistogram()
	for _, histogram := range r.Kinds {
		all.Merge(histogram)
	}
	return all
}

// Failed returns how many requests failed.
func (r *Result) Failed() int {
	var failed int
	for _, count := range r.Failures {
		failed += count
	}
	return failed
}

// PerSecond returns how many requests succeeded in a second.
func (r *Result) PerSecond() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.All().TotalCount()) / r.Elapsed.Seconds()
}
