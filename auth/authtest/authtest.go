// Package authtest gives tests a service on a real database, with a clock that they move.
package authtest

import (
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"latchkey/auth"
	"latchkey/db"
	"latchkey/internal/leaks"
)

// Secret seals the key rings of tests.
var Secret = []byte("a secret of the tests' own, long enough")

// Clock is the time of a test.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at noon of 2026-03-01, UTC.
func NewClock() *Clock { return &Clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the time.
func (c *Clock) Advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// Settings returns those that a server has by default.
func Settings() auth.Settings {
	return auth.Settings{
		Issuer: "https://auth.example.com", Audience: "https://api.example.com",
		AccessTokenTTL: 5 * time.Minute, SessionIdleTTL: 7 * 24 * time.Hour, SessionTTL: 30 * 24 * time.Hour,
		RefreshGrace: 10 * time.Second, RefreshRetryWindow: 24 * time.Hour,
		PasswordMinLength: 15, HashSlots: runtime.GOMAXPROCS(0), MaxSessions: 100, EventsTTL: 90 * 24 * time.Hour,
		LoginLimit: auth.Limit{Attempts: 10, Per: 15 * time.Minute}, LoginIPLimit: auth.Limit{Attempts: 100, Per: 15 * time.Minute},
	}
}

// Options say which service a test wants. Only URL must be set.
type Options struct {
	URL      string        // of the database
	Timeout  time.Duration // of its operations; else ten seconds
	Settings *auth.Settings
	Clock    *Clock
	Log      *slog.Logger
	// Between puts something between the service and its store.
	Between func(auth.Store) auth.Store
}

// NewService returns a service and the store below it, until the test ends.
func NewService(t testing.TB, options Options) (*auth.Service, *db.Store) {
	t.Helper()
	if options.Timeout == 0 {
		options.Timeout = 10 * time.Second
	}
	if options.Settings == nil {
		settings := Settings()
		options.Settings = &settings
	}
	if options.Clock == nil {
		options.Clock = NewClock()
	}
	if options.Log == nil {
		options.Log = leaks.Log()
	}
	store, err := db.Open(t.Context(), db.Options{URL: options.URL, Timeout: options.Timeout, Log: options.Log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	ring, err := auth.OpenKeyRing(t.Context(), store, Secret, nil, options.Clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	var between auth.Store = store
	if options.Between != nil {
		between = options.Between(store)
	}
	service, err := auth.New(between, ring, *options.Settings, options.Clock.Now, options.Log)
	if err != nil {
		t.Fatal(err)
	}
	return service, store
}
