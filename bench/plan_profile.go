package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/pprof/profile"

	"latchkey/bench/flame"
)

// profiler is added to the product's program, which has nothing of the kind itself.
//
//go:embed _profiler/profiler.go
var profiler string

// profileVariable names the file for profiler.
const profileVariable = "BENCH_PROFILE"

// laidOver are the files that this plan adds to the server's source.
func (s *settings) laidOver() map[string]string {
	if s.plan != "profile" {
		return nil
	}
	return map[string]string{"bench_profiler.go": profiler}
}

// planProfile shows where the first server's processor time goes, for each operation.
func planProfile(b *bench) error {
	if err := os.MkdirAll(b.out, 0o755); err != nil {
		return err
	}
	file := filepath.Join(b.folder, "cpu.pprof")
	b.env = append(b.env, profileVariable+"="+file)
	if err := b.prepare(); err != nil {
		return err
	}
	for _, name := range b.operations {
		clients, err := b.clients(name, b.connections, b.warmUp+b.duration)
		if err != nil {
			return err
		}
		b.report.doing("profiling %s for %s", name, b.duration)
		begins := time.AfterFunc(b.warmUp, func() { _ = b.servers[0].cmd.Process.Signal(syscall.SIGUSR1) })
		f, err := b.measure(clients, b.rate)
		begins.Stop()
		_ = b.servers[0].cmd.Process.Signal(syscall.SIGUSR2)
		closeAll(clients)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		b.measurement(name, b.connections).add(f)
		raw, err := awaitFile(file)
		if err != nil {
			return err
		}
		if err := b.draw(name, raw, f); err != nil {
			return err
		}
	}
	return nil
}

// awaitFile returns what a file has once it is there, and removes it.
func awaitFile(name string) ([]byte, error) {
	for range 1000 {
		if raw, err := os.ReadFile(name); err == nil {
			return raw, os.Remove(name)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return nil, errors.New("the server wrote no profile")
}

// draw writes a profile and its flame graph.
func (b *bench) draw(name string, raw []byte, f figures) error {
	parsed, err := profile.ParseData(raw)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.out, name+".pprof"), raw, 0o644); err != nil {
		return err
	}
	title := fmt.Sprintf("Processor time of the server: %s, %d connections, %s requests a second", name, b.connections, thousands(f.PerSecond))
	svg := flame.Draw(parsed, title)
	path := filepath.Join(b.out, name+".svg")
	b.report.say("%s: %d KB, %s requests a second, %.3f s of the server's processors per 1,000\n", path, len(svg)>>10, thousands(f.PerSecond), f.Server)
	return os.WriteFile(path, svg, 0o644)
}
