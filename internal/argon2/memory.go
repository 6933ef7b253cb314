// All files of this package but memor*.go and staticcheck.conf are those of golang.org/x/crypto/argon2, which `go generate` copies at the version of
// go.mod. That package takes memory anew for each key, and cannot be told to do otherwise (https://go.dev/issue/36634).

package argon2

//go:generate ../../scripts/argon2.sh

// Memory is where keys are derived, one at a time.
type Memory struct {
	limit  uint32
	blocks []block
}

// NewMemory returns a Memory that keeps up to so many KiB from one key to the next. They are taken for the first key.
func NewMemory(limit uint32) *Memory { return &Memory{limit: limit} }

// IDKey returns what the function IDKey returns. What its memory had in it is wiped.
func (m *Memory) IDKey(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
	if time < 1 || threads < 1 {
		panic("argon2: no passes, or no lanes")
	}
	lanes := uint32(threads)
	h0 := initHash(password, salt, nil, nil, time, memory, lanes, keyLen, argon2id)
	memory = max(memory/(syncPoints*lanes), 2) * (syncPoints * lanes)
	blocks := m.zeros(memory)
	defer clear(blocks) // also because the next key needs zeros

	first := initBlocks(&h0, 2*lanes, lanes) // of lanes that have two blocks each
	defer clear(first)
	for lane := range lanes {
		copy(blocks[lane*(memory/lanes):], first[2*lane:2*lane+2])
	}
	processBlocks(blocks, time, memory, lanes, argon2id)
	return extractKey(blocks, memory, lanes, keyLen)
}

// zeros returns so many blocks, of one KiB each.
func (m *Memory) zeros(count uint32) []block {
	if count > m.limit {
		return make([]block, count)
	}
	if uint32(len(m.blocks)) < count {
		m.blocks = make([]block, count)
		useHugePages(m.blocks)
	}
	return m.blocks[:count]
}
