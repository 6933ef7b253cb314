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

// hashArgon2id returns the PHC string of a password.
func hashArgon2id(password string) string {
	salt := make([]byte, argon2idParams.SaltLength)
	_, _ = rand.Read(salt)
	return formatArgon2id(salt, argon2idKey(&argon2idParams, salt, password))
}

// newDecoy returns a hash that is nobody's: its key is random and was made from no password. To make one from a password
// would cost each start as much as a login.
func newDecoy() string {
	random := make([]byte, argon2idParams.SaltLength+argon2idParams.KeyLength)
	_, _ = rand.Read(random)
	return formatArgon2id(random[:argon2idParams.SaltLength], random[argon2idParams.SaltLength:])
}

// formatArgon2id returns the PHC string of a key that was derived with argon2idParams.
func formatArgon2id(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		argon2idParams.Memory, argon2idParams.Iterations, argon2idParams.Parallelism,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

// verifyArgon2id reports whether a PHC string is that of a password.
func verifyArgon2id(hash, password string) (bool, error) {
	params, salt, key, err := argon2id.DecodeHash(hash)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(argon2idKey(params, salt, password), key) == 1, nil
}

func argon2idKey(params *argon2id.Params, salt []byte, password string) []byte {
	memory := hashMemories.take()
	defer hashMemories.give(memory)
	return memory.IDKey([]byte(password), salt, params.Iterations, params.Memory, params.Parallelism, params.KeyLength)
}

// idleMemoryTTL is how long memory is kept for the next hash.
const idleMemoryTTL = time.Minute

// hashMemories lend the memory of one hash to the next: to take it anew each time and collect it afterwards would be a tenth
// of a login, and more memory than all else together. There are as many as hashes that were made at once.
var hashMemories = newMemories()

type memories struct {
	mu   sync.Mutex
	free []*argon2.Memory
	idle *time.Timer
}

func newMemories() *memories {
	m := &memories{}
	m.idle = time.AfterFunc(idleMemoryTTL, m.forget)
	return m
}

func (m *memories) take() *argon2.Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.free) - 1
	if last < 0 {
		return argon2.NewMemory(argon2idParams.Memory)
	}
	memory := m.free[last]
	m.free = m.free[:last]
	return memory
}

func (m *memories) give(memory *argon2.Memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, memory)
	m.idle.Reset(idleMemoryTTL)
}

func (m *memories) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = nil
}
