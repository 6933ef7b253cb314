// Package tuning sets Go's runtime for a server that holds few megabytes, most of the time, and makes password hashes, which
// take many and keep a core busy. docs/performance.md has what it gains.
package tuning

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// leastRoom is by how many bytes the heap may grow at least before it is collected: a server holds 6 MB when nobody signs
// in, and to collect at twice that takes a tenth of the processor.
const leastRoom = 14 << 20

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
		leaveRoom()
	}
}

// leaveRoom has the heap collected when it has grown by leastRoom, or by as much as a collection has to look through if
// that is more, from now on: it sets GOGC again whenever the heap was collected. What GOGC is a part of is all that the
// heap holds, the memory of password hashes too, most of it, where there is nothing to look for.
func leaveRoom() {
	held := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/heap:bytes"}}
	metrics.Read(held)
	live := max(held[0].Value.Uint64(), 4<<20) // before the first collection, none is known
	debug.SetGCPercent(max(1, int(100*max(leastRoom, held[1].Value.Uint64())/live)))
	collected := new([1]*byte) // has a pointer, or would share its place with what lives longer
	runtime.AddCleanup(collected, func(struct{}) { leaveRoom() }, struct{}{})
}
