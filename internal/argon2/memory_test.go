package argon2_test

import (
	"bytes"
	"fmt"
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
