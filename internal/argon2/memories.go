package argon2

import (
	"sync"
	"time"
)

// idleMemoryTTL is how long memory is kept for the next key.
const idleMemoryTTL = time.Minute

// Memories lend the memory of one key to the next: as many as keys that were derived at once, until none was for a minute.
type Memories struct {
	limit uint32
	mu    sync.Mutex
	free  []*Memory
	idle  *time.Timer
}

// NewMemories returns Memories that keep up to so many KiB each.
func NewMemories(limit uint32) *Memories {
	m := &Memories{limit: limit}
	m.idle = time.AfterFunc(idleMemoryTTL, m.Forget)
	return m
}

// IDKey returns what the function IDKey returns. It may be called by many at once; how many, the caller bounds.
func (m *Memories) IDKey(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
	lent := m.take()
	defer m.give(lent)
	return lent.IDKey(password, salt, time, memory, threads, keyLen)
}

// Forget gives up all memory that is not in use.
func (m *Memories) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = nil
}

func (m *Memories) take() *Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	last := len(m.free) - 1
	if last < 0 {
		return NewMemory(m.limit)
	}
	memory := m.free[last]
	m.free = m.free[:last]
	return memory
}

func (m *Memories) give(memory *Memory) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, memory)
	m.idle.Reset(idleMemoryTTL)
}
