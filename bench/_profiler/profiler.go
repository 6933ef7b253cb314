// Package main gets this file when the benchmark builds the server to profile it; nothing else does.
package main

import (
	"log"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// Where BENCH_PROFILE names a file, SIGUSR1 starts a profile of the processor's time, and SIGUSR2 ends it and puts it there.
func init() {
	path := os.Getenv("BENCH_PROFILE")
	if path == "" {
		return
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for signal := range signals {
			if signal != syscall.SIGUSR1 { // the run was over before its warm-up was
				continue
			}
			file, err := os.Create(path + ".part")
			if err == nil {
				err = pprof.StartCPUProfile(file)
			}
			if err != nil {
				log.Fatal(err)
			}
			<-signals
			pprof.StopCPUProfile()
			_ = file.Close()
			if err := os.Rename(path+".part", path); err != nil {
				log.Fatal(err)
			}
		}
	}()
}
