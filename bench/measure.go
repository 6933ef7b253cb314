package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"latchkey/bench/load"
)

// figures are what one run showed. Times are in milliseconds, processor time is in seconds per 1,000 requests.
type figures struct {
	PerSecond float64            `json:"perSecond"`
	Requests  int64              `json:"requests,omitempty"`
	Mean      float64            `json:"mean,omitempty"`
	Median    float64            `json:"median,omitempty"`
	P99       float64            `json:"p99,omitempty"`
	P999      float64            `json:"p999,omitempty"`
	Longest   float64            `json:"longest,omitempty"`
	Server    float64            `json:"serverProcessor,omitempty"`
	Database  float64            `json:"databaseProcessor,omitempty"`
	Load      float64            `json:"loadProcessor,omitempty"` // that of asking
	Resident  int64              `json:"resident,omitempty"`      // bytes of all servers, at the end
	Kinds     map[string]figures `json:"kinds,omitempty"`         // where a run has several
}

func milliseconds(microseconds int64) float64 { return float64(microseconds) / 1000 }

func figuresOf(histogram *hdrhistogram.Histogram, elapsed time.Duration) figures {
	f := figures{
		Requests: histogram.TotalCount(), Mean: histogram.Mean() / 1000,
		Median: milliseconds(histogram.ValueAtPercentile(50)), P99: milliseconds(histogram.ValueAtPercentile(99)),
		P999: milliseconds(histogram.ValueAtPercentile(99.9)), Longest: milliseconds(histogram.Max()),
	}
	if elapsed > 0 {
		f.PerSecond = float64(f.Requests) / elapsed.Seconds()
	}
	return f
}

// measure has clients ask for one run, at a rate or, if that is 0, in a closed loop. Failures are an error: figures that hide
// them would be wrong.
func (b *bench) measure(clients []load.Client, rate float64) (figures, error) {
	var before, used processor
	var resident int64
	result := load.Run(b.ctx, clients, load.Options{
		WarmUp: b.warmUp, Duration: b.duration, Rate: rate, Most: b.requests,
		Begin: func() { before = b.processor() },
		End: func() {
			used = b.processor().minus(before)
			resident = b.resident()
		},
	})
	f := figuresOf(result.All(), result.Elapsed)
	f.Resident = resident
	if f.Requests > 0 {
		per1000 := 1000 / float64(f.Requests)
		f.Server, f.Database, f.Load = used.Servers*per1000, used.Database*per1000, used.Load*per1000
	}
	if len(result.Kinds) > 1 {
		f.Kinds = map[string]figures{}
		for kind, histogram := range result.Kinds {
			f.Kinds[kind] = figuresOf(histogram, result.Elapsed)
		}
	}
	if err := b.ctx.Err(); err != nil {
		return f, err
	}
	return f, failure(result)
}

// failure returns an error that has all failures of a run by their codes, or nil.
func failure(result *load.Result) error {
	if result.Failed() == 0 && result.All().TotalCount() > 0 {
		return nil
	}
	text := fmt.Sprintf("%d requests succeeded, %d failed", result.All().TotalCount(), result.Failed())
	for _, code := range slices.Sorted(maps.Keys(result.Failures)) {
		text += fmt.Sprintf("\n  %7d %s, such as: %s", result.Failures[code], code, result.Details[code])
	}
	return fmt.Errorf("%s", text)
}

// measureOperation measures one run of an operation.
func (b *bench) measureOperation(operation string, connections int) (figures, error) {
	clients, err := b.clients(operation, connections, b.warmUp+b.duration)
	if err != nil {
		return figures{}, err
	}
	defer closeAll(clients)
	f, err := b.measure(clients, b.rate)
	if err != nil {
		return f, fmt.Errorf("%s: %w", operation, err)
	}
	return f, nil
}

// medianOf returns the median of one figure of several.
func medianOf[T any](all []T, get func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, one := range all {
		values[i] = get(one)
	}
	slices.SortFunc(values, cmp.Compare[float64])
	switch middle := len(values) / 2; {
	case len(values) == 0:
		return 0
	case len(values)%2 == 1:
		return values[middle]
	default:
		return (values[middle-1] + values[middle]) / 2
	}
}

// medians returns the median of each figure: they need not be of one run.
func medians(runs []figures) figures {
	of := func(get func(figures) float64) float64 { return medianOf(runs, get) }
	median := figures{
		PerSecond: of(func(f figures) float64 { return f.PerSecond }),
		Requests:  int64(of(func(f figures) float64 { return float64(f.Requests) })),
		Mean:      of(func(f figures) float64 { return f.Mean }),
		Median:    of(func(f figures) float64 { return f.Median }),
		P99:       of(func(f figures) float64 { return f.P99 }),
		P999:      of(func(f figures) float64 { return f.P999 }),
		Longest:   of(func(f figures) float64 { return f.Longest }),
		Server:    of(func(f figures) float64 { return f.Server }),
		Database:  of(func(f figures) float64 { return f.Database }),
		Load:      of(func(f figures) float64 { return f.Load }),
		Resident:  int64(of(func(f figures) float64 { return float64(f.Resident) })),
	}
	byKind := map[string][]figures{}
	for _, run := range runs {
		for kind, f := range run.Kinds {
			byKind[kind] = append(byKind[kind], f)
		}
	}
	for kind, runs := range byKind {
		if median.Kinds == nil {
			median.Kinds = map[string]figures{}
		}
		median.Kinds[kind] = medians(runs)
	}
	return median
}
