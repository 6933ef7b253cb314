package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// hashes is what hashUntilTold says.
type hashes struct {
	Count   int64
	Seconds float64
}

// hashUntilTold hashes passwords on all cores as the product does (auth/argon2id.go: 19 MiB, two passes, one lane) but with
// memory that is new for each, as golang.org/x/crypto takes it, until its input ends, and says how many.
func hashUntilTold() {
	var count atomic.Int64
	var stopped atomic.Bool
	var workers sync.WaitGroup
	began := time.Now()
	for range runtime.NumCPU() {
		workers.Go(func() {
			for salt := make([]byte, 16); !stopped.Load(); count.Add(1) {
				argon2.IDKey([]byte(password), salt, 2, 19<<10, 1, 32)
			}
		})
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	stopped.Store(true)
	workers.Wait()
	_ = json.NewEncoder(os.Stdout).Encode(hashes{count.Load(), time.Since(began).Seconds()})
}

// measureArgon2 measures how many passwords the machine can hash.
func (b *bench) measureArgon2() (figures, error) {
	p, err := startLimit("argon2")
	if err != nil {
		return figures{}, err
	}
	defer p.end()
	select {
	case <-time.After(b.duration):
	case <-b.ctx.Done():
		return figures{}, b.ctx.Err()
	}
	_ = p.leash.Close()
	var did hashes
	if err := json.NewDecoder(p.output).Decode(&did); err != nil || did.Count == 0 {
		return figures{}, errors.Join(errors.New("limit argon2: no answer"), err)
	}
	return figures{PerSecond: float64(did.Count) / did.Seconds, Requests: did.Count}, nil
}
