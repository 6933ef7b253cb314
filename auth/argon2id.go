package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"

	"latchkey/internal/argon2"
)

// argon2idParams are the minimum of OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
// Fixed, unlike the library's default, whose lanes depend on the machine.
var argon2idParams = argon2id.Params{Memory: 19 << 10, Iterations: 2, Parallelism: 1, SaltLength: 16, KeyLength: 32}

// idleMemoryTTL is how long memory is kept for the next hash.
const idleMemoryTTL = time.Minute

// argon2idHasher hashes and verifies passwords. It lends the memory of one hash to the next: to take it anew each time and
// collect it afterwards would be a tenth of a login, and more memory than all else together. It has as much as hashes that
// it was asked for at once.
type argon2idHasher struct {
	decoy string // the hash of no password

	mu   sync.Mutex
	free []*argon2.Memory
	idle *time.Timer
}

func newArgon2idHasher() *argon2idHasher {
	h := &argon2idHasher{decoy: newDecoy()}
	h.idle = time.AfterFunc(idleMemoryTTL, h.forgetMemory)
	return h
}

// newDecoy returns a hash that is nobody's: its key is random and was made from no password. To make one from a password
// would cost each start as much as a login.
func newDecoy() string {
	random := make([]byte, argon2idParams.SaltLength+argon2idParams.KeyLength)
	_, _ = rand.Read(random)
	return formatArgon2id(random[:argon2idParams.SaltLength], random[argon2idParams.SaltLength:])
}

// hash returns the PHC string of a password.
func (h *argon2idHasher) hash(password string) string {
	salt := make([]byte, argon2idParams.SaltLength)
	_, _ = rand.Read(salt)
	return formatArgon2id(salt, h.key(&argon2idParams, salt, password))
}

// verify reports whether a PHC string is that of a password.
func (h *argon2idHasher) verify(hash, password string) (bool, error) {
	params, salt, key, err := argon2id.DecodeHash(hash)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(h.key(params, salt, password), key) == 1, nil
}

func (h *argon2idHasher) key(params *argon2id.Params, salt []byte, password string) []byte {
	memory := h.takeMemory()
	defer h.giveMemory(memory)
	return memory.IDKey([]byte(password), salt, params.Iterations, params.Memory, params.Parallelism, params.KeyLength)
}

func (h *argon2idHasher) takeMemory() *argon2.Memory {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.free) - 1
	if last < 0 {
		return argon2.NewMemory(argon2idParams.Memory)
	}
	memory := h.free[last]
	h.free = h.free[:last]
	return memory
}

func (h *argon2idHasher) giveMemory(memory *argon2.Memory) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = append(h.free, memory)
	h.idle.Reset(idleMemoryTTL)
}

func (h *argon2idHasher) forgetMemory() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free = nil
}

// formatArgon2id returns the PHC string of a key that was derived with argon2idParams.
func formatArgon2id(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		argon2idParams.Memory, argon2idParams.Iterations, argon2idParams.Parallelism,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}
