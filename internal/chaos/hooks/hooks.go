//go:build unix

// Package hooks is what the tests' build of the server calls, and no other: nothing in the product
// imports it. The calls are put in by patches, see package chaos.
package hooks

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// left is how often each point that CHAOS_KILL names is still to be reached, such as in
// "revoke: before the answer=1,refresh: before the answer=40".
var left = func() map[string]*atomic.Int64 {
	points := map[string]*atomic.Int64{}
	for entry := range strings.SplitSeq(os.Getenv("CHAOS_KILL"), ",") {
		name, count, _ := strings.Cut(entry, "=")
		hits, _ := strconv.ParseInt(count, 10, 64)
		points[name] = &atomic.Int64{}
		points[name].Store(hits)
	}
	return points
}()

// Reach kills the process, as kill -9 does, when a point that CHAOS_KILL names has been reached often
// enough.
func Reach(point string) {
	if hits, ok := left[point]; ok && hits.Add(-1) == 0 {
		_, _ = os.Stderr.WriteString("killed at " + point + "\n")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until it is dead
	}
}

// Now returns the time by a clock that is wrong by as much as the file says which CHAOS_CLOCK names.
func Now() time.Time {
	text, err := os.ReadFile(os.Getenv("CHAOS_CLOCK"))
	if err != nil {
		return time.Now()
	}
	wrong, _ := time.ParseDuration(strings.TrimSpace(string(text)))
	return time.Now().Add(wrong)
}
