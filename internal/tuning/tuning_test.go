package tuning_test

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"latchkey/internal/tuning"
)

// awaitGoal collects until the heap's size at which it would next be collected is between two numbers of megabytes.
func awaitGoal(t *testing.T, least, most uint64) {
	t.Helper()
	goal := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		runtime.GC() // what comes of it is set a little later
		metrics.Read(goal)
		if megabytes := goal[0].Value.Uint64() >> 20; least <= megabytes && megabytes <= most {
			return
		}
	}
	t.Errorf("the heap is collected at %d MB, want %d to %d", goal[0].Value.Uint64()>>20, least, most)
}

func TestTheRuntimeIsSetButForWhatTheEnvironmentSays(t *testing.T) {
	threads := runtime.GOMAXPROCS(0)
	percent := debug.SetGCPercent(73)
	set := map[string]string{"GOGC": "73", "GOMAXPROCS": "1"}
	tuning.Apply(func(name string) string { return set[name] })
	if got := debug.SetGCPercent(percent); got != 73 {
		t.Errorf("GOGC is %d", got)
	}
	if got := runtime.GOMAXPROCS(0); got != threads {
		t.Errorf("GOMAXPROCS was %d, is %d", threads, got)
	}

	defer runtime.GOMAXPROCS(threads)
	tuning.Apply(func(string) string { return "" })
	if got := runtime.GOMAXPROCS(0); tuning.Cores == runtime.NumCPU() && got != 2*tuning.Cores {
		t.Errorf("GOMAXPROCS is %d with %d cores", got, tuning.Cores)
	}
	awaitGoal(t, 12, 20) // it would be 4 if it could only double
	hashed := make([]byte, 64<<20)
	awaitGoal(t, 77, 84) // there is nothing to look for in it
	runtime.KeepAlive(hashed)
	held := make([]*byte, 8<<20)
	awaitGoal(t, 120, 140)
	runtime.KeepAlive(held)
	awaitGoal(t, 12, 20)
}
