package argon2_test

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"testing"

	original "golang.org/x/crypto/argon2"

	"latchkey/internal/argon2"
)

func TestKeysAreTheOriginalsWhateverTheMemoryWasUsedFor(t *testing.T) {
	memory := argon2.NewMemory(128)
	for passes := uint32(1); passes <= 3; passes++ {
		for lanes := uint8(1); lanes <= 4; lanes++ {
			for _, kib := range []uint32{0, 1, 8, 127, 64, 128, 129, 500, 33} { // more, less and more than it keeps
				password, salt := fmt.Appendf(nil, "password %d", kib), bytes.Repeat([]byte{lanes}, 16)
				got := memory.IDKey(password, salt, passes, kib, lanes, 32)
				if want := original.IDKey(password, salt, passes, kib, lanes, 32); !bytes.Equal(got, want) {
					t.Errorf("%d passes, %d lanes, %d KiB: got %x, want %x", passes, lanes, kib, got, want)
				}
			}
		}
	}
}

func TestMemoryIsLentToOneKeyAtATimeAndToTheNext(t *testing.T) {
	const kib = 19 << 10
	memories := argon2.NewMemories(kib)
	keys := func() {
		var group sync.WaitGroup
		for i := range byte(4) {
			group.Go(func() {
				password, salt := []byte{i}, bytes.Repeat([]byte{i}, 16)
				got := memories.IDKey(password, salt, 1, kib, 1, 32)
				if want := original.IDKey(password, salt, 1, kib, 1, 32); !bytes.Equal(got, want) {
					t.Errorf("key %d of several at once: got %x, want %x", i, got, want)
				}
			})
		}
		group.Wait()
	}
	before := held()
	keys()
	kept := held() - before
	keys()
	if more := held() - before; kept < kib<<10 || kept > 5*kib<<10 || more > 5*kib<<10 {
		t.Errorf("keeps %d KiB after four keys at once, %d KiB after eight", kept>>10, more>>10)
	}
	memories.Forget()
	if after := held() - before; after > kib<<10/2 {
		t.Errorf("%d KiB are held that were forgotten", after>>10)
	}
	runtime.KeepAlive(memories)
}

// held returns how many bytes the heap has that are not garbage.
func held() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// BenchmarkIDKey derives keys with the costs of stored passwords.
func BenchmarkIDKey(b *testing.B) {
	const passes, kib, lanes = 2, 19 << 10, 1
	password, salt := []byte("correct horse battery staple"), bytes.Repeat([]byte{1}, 16)
	b.Run("memory=kept", func(b *testing.B) {
		memory := argon2.NewMemory(kib)
		b.ReportAllocs()
		for b.Loop() {
			memory.IDKey(password, salt, passes, kib, lanes, 32)
		}
	})
	b.Run("memory=new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			original.IDKey(password, salt, passes, kib, lanes, 32)
		}
	})
}
