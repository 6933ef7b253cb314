package main

import (
	"bufio"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	sampleEvery = 5 * time.Second
	// A server has what it needs after settlesIn; what comes on top is a leak or a cache. By settledBy it may grow.
	settlesIn = 10 * time.Minute
	settledBy = 0.15
)

// memorySample is the memory of all servers at one moment, in bytes.
type memorySample struct {
	After    float64 `json:"after"` // seconds
	Resident int64   `json:"resident"`
	Heap     int64   `json:"heap"` // in use, as Go's runtime has it
}

// watchMemory notes the servers' memory until it is told to stop.
func (b *bench) watchMemory(done <-chan struct{}) []memorySample {
	var samples []memorySample
	began := time.Now()
	tick := time.NewTicker(min(sampleEvery, max(b.duration/10, 100*time.Millisecond)))
	defer tick.Stop()
	for {
		sample := memorySample{After: time.Since(began).Seconds(), Resident: b.resident()}
		for _, s := range b.servers {
			sample.Heap += heapOf(s)
		}
		samples = append(samples, sample)
		select {
		case <-tick.C:
		case <-done:
			return samples
		}
	}
}

// heapOf asks a server for its metrics, or returns 0 where it has none.
func heapOf(s *server) int64 {
	response, err := (&http.Client{Timeout: sampleEvery}).Get("http://" + s.metrics + "/metrics")
	if err != nil {
		return 0
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "go_memstats_heap_inuse_bytes "); ok {
			bytes, _ := strconv.ParseFloat(value, 64)
			return int64(bytes)
		}
	}
	return 0
}

// between returns the samples of a part of the run, in seconds.
func between(samples []memorySample, from, until float64) []memorySample {
	var some []memorySample
	for _, sample := range samples {
		if sample.After >= from && sample.After < until {
			some = append(some, sample)
		}
	}
	return some
}

// slope returns by how many bytes a second memory grows, along the line that fits best (least squares).
func slope(samples []memorySample, get func(memorySample) int64) float64 {
	var x, y, xx, xy float64
	for _, sample := range samples {
		x += sample.After
		y += float64(get(sample))
		xx += sample.After * sample.After
		xy += sample.After * float64(get(sample))
	}
	n := float64(len(samples))
	if divisor := n*xx - x*x; divisor != 0 {
		return (n*xy - x*y) / divisor
	}
	return 0
}

func resident(sample memorySample) int64 { return sample.Resident }
func heap(sample memorySample) int64     { return sample.Heap }

// showMemory writes how memory developed, in some twenty lines.
func (r *report) showMemory() {
	samples := r.Memory
	if len(samples) < 2 {
		return
	}
	var most int64
	for _, sample := range samples {
		most = max(most, sample.Resident)
	}
	r.say("\n%-12s %12s %-20s %12s\n", "memory after", "resident", "", "Go heap")
	for i := 0; i < len(samples); i += max(len(samples)/20, 1) {
		sample := samples[i]
		r.say("%-12s %12s %-20s %12s\n", (time.Duration(sample.After) * time.Second).String(), megabytes(sample.Resident), bar(float64(sample.Resident), float64(most), 20), megabytes(sample.Heap))
	}
	first, last := samples[0], samples[len(samples)-1]
	// What a server takes at first is no trend.
	later := between(samples, min(settlesIn.Seconds(), last.After/3), last.After+1)
	r.say("resident: first %s, last %s, then %+.2f MB an hour; Go heap: first %s, last %s, then %+.2f MB an hour\n",
		megabytes(first.Resident), megabytes(last.Resident), slope(later, resident)*3600/(1<<20),
		megabytes(first.Heap), megabytes(last.Heap), slope(later, heap)*3600/(1<<20))
}

// judgeMemory returns an error where a server that ran for long enough went on growing.
func (b *bench) judgeMemory() error {
	samples := b.report.Memory
	last := samples[len(samples)-1].After
	settled := between(samples, settlesIn.Seconds(), settlesIn.Seconds()+60)
	if last < settlesIn.Seconds()+120 || len(settled) == 0 {
		b.report.say("(too short to judge memory by: that takes more than %s)\n", settlesIn+2*time.Minute)
		return nil
	}
	asFloat := func(sample memorySample) float64 { return float64(sample.Resident) }
	before, after := medianOf(settled, asFloat), medianOf(between(samples, last-60, last+1), asFloat)
	one := ratio{Name: "resident in the last minute / in the eleventh", Value: after / before, Target: 1 + settledBy, AtMost: true, Unit: "%"}
	b.report.add(one)
	b.report.showRatios()
	if after > before*(1+settledBy) {
		return errors.New("the servers' memory goes on growing")
	}
	return nil
}
