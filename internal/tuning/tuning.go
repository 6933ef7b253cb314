// Package tuning sets Go's runtime for a server that holds few megabytes, most of the time, and makes password hashes, which
// take many and keep a core busy. docs/performance.md has what it gains.
package tuning

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// heapFloor is the heap in bytes below which little is collected. A server holds about 9 MB when nobody signs in, and to
// collect at twice that takes a tenth of the processor.
const heapFloor = 32 << 20

// Cores is how many cores the process may use, a container's limit included, as it was before Apply.
var Cores = runtime.GOMAXPROCS(0)

// Apply sets how many threads run and when memory is collected, but for what the environment says: GOMAXPROCS, GOGC. It
// is to be called once.
func Apply(getenv func(string) string) {
	// A hash keeps its thread busy, and Go looks for answers from the network between other work, or every 10 ms. With as
	// many threads again the system has the one that waits for a socket run at once. But not where a container may use
	// less than the machine has: its share would be used up the sooner, and then all stands still. From here on Go does not
	// follow a limit that is set while the server runs.
	if getenv("GOMAXPROCS") == "" && Cores == runtime.NumCPU() {
		runtime.GOMAXPROCS(2 * Cores)
	}
	if getenv("GOGC") == "" {
		collectAboveFloor(debug.SetGCPercent(100))
	}
}

// collectAboveFloor has the heap collected at twice what it holds, or at the floor if that is more, from now on: it sets GOGC
// again whenever the heap was collected. GOMEMLIMIT alone would not do. Where that decides, Go gives memory back before it takes
// more, and up to a quarter fewer hashes are made.
func collectAboveFloor(percent int) {
	if wanted := percentToFloor(); wanted != percent { // to set it holds up everything for a moment
		debug.SetGCPercent(wanted)
		percent = wanted
	}
	collected := new([1]*byte) // has a pointer, or would share its place with what lives longer
	runtime.AddCleanup(collected, collectAboveFloor, percent)
}

// percentToFloor returns how many percent of what it holds the heap may grow by.
func percentToFloor() int {
	held := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(held)
	live := max(held[0].Value.Uint64(), 4<<20) // before the first collection, none is known
	percent := int(100*heapFloor/live) - 100
	return max(percent-percent%50, 100) // in steps, so that it is seldom another one
}
