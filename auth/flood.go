package auth

import (
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2"
)

// What one server does against a flood of passwords, before it reaches the database: it remembers who was
// refused, and lets only so many wait.

// maxRefusals is how many buckets a server remembers to be used up: some megabytes.
const maxRefusals = 50_000

// refusals remember which buckets are used up until when.
type refusals struct{ until *lru.Cache[string, time.Time] }

func newRefusals() (*refusals, error) {
	cache, err := lru.New[string, time.Time](maxRefusals)
	return &refusals{cache}, err
}

func (r *refusals) note(refused *TooManyAttemptsError) { r.until.Add(refused.Key, refused.RetryAt) }

// recall returns the *TooManyAttemptsError that a bucket would meet in the store, or nil. Another server may
// have refunded an attempt since: then it is let in at that time all the same.
func (r *refusals) recall(key string, now time.Time) *TooManyAttemptsError {
	if until, ok := r.until.Get(key); ok && now.Before(until) {
		return &TooManyAttemptsError{Key: key, RetryAt: until}
	}
	return nil
}

// How many attempts one server works on at once, per core: at 34 ms for a hash, more would wait for longer than two
// seconds. Those of one address may take half of the places, so that there is room for others.
const (
	crowdPerCore        = 64
	crowdPerCoreAddress = 32
	crowdRetry          = time.Second
)

// crowd counts the attempts under way.
type crowd struct {
	most, mostOfOne int // of all addresses and of one

	mu        sync.Mutex
	all       int
	byAddress map[string]int
}

func newCrowd(cores int) *crowd {
	return &crowd{byAddress: map[string]int{}, most: crowdPerCore * cores, mostOfOne: crowdPerCoreAddress * cores}
}

// enter takes a place, until leave is called, or reports false where there is none.
func (c *crowd) enter(address string) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all >= c.most || c.byAddress[address] >= c.mostOfOne {
		return nil, false
	}
	c.all++
	c.byAddress[address]++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.all--
		if c.byAddress[address]--; c.byAddress[address] == 0 {
			delete(c.byAddress, address)
		}
	}, true
}
