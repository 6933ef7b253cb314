package session

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"latchkey/examples/go/secret"
)

// Tokens is what a store keeps of a session.
type Tokens struct {
	// Endpoint is the address of the only server that may see the tokens.
	Endpoint             string      `json:"endpoint"`
	SessionID            string      `json:"sessionId"`
	AccessToken          secret.Text `json:"accessToken"`
	AccessTokenExpiresAt time.Time   `json:"accessTokenExpiresAt"` // by the server's clock
	ReceivedAt           time.Time   `json:"receivedAt"`           // by this machine's
	RefreshToken         secret.Text `json:"refreshToken"`
}

// LogValue implements slog.LogValuer. Without it a log in JSON would have the tokens.
func (t Tokens) LogValue() slog.Value {
	return slog.GroupValue(slog.String("endpoint", t.Endpoint), slog.String("session", t.SessionID))
}

// good reports whether the access token may be tried. Where it looked expired the moment it came, this machine's clock is
// wrong, and only the server can tell.
func (t Tokens) good(now time.Time) bool {
	return now.Before(t.AccessTokenExpiresAt) || !t.ReceivedAt.Before(t.AccessTokenExpiresAt)
}

// longestAhead is how long before its end an access token is exchanged, at most.
const longestAhead = 30 * time.Second

// due reports whether it is time for the next access token: in the last tenth of the life of this one.
func (t Tokens) due(now time.Time) bool {
	lifetime := t.AccessTokenExpiresAt.Sub(t.ReceivedAt)
	return lifetime > 0 && !now.Before(t.AccessTokenExpiresAt.Add(-min(longestAhead, lifetime/10)))
}

// Store keeps the tokens of one session. Whoever reads it is signed in.
type Store interface {
	// Lock keeps everybody else who shares the store out of it until unlock is called, so that one refresh token is not
	// exchanged by two at once.
	Lock(ctx context.Context) (unlock func(), err error)
	// Load returns what was saved last, or ErrSignedOut.
	Load() (Tokens, error)
	// Save must be durable when it returns: once a new refresh token was used, an old one that came back would look stolen.
	Save(Tokens) error
	// Delete forgets what is kept, if anything is.
	Delete() error
}

// Memory is a Store that lives as long as the process, for a service that signs in when it starts. The zero value is
// empty and ready.
type Memory struct {
	lock sync.Mutex // held between Lock and unlock

	mu     sync.Mutex
	tokens Tokens
}

func (m *Memory) Lock(context.Context) (unlock func(), err error) {
	m.lock.Lock() // not for long: requests have a time limit
	return m.lock.Unlock, nil
}

func (m *Memory) Load() (Tokens, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.tokens == (Tokens{}) {
		return Tokens{}, ErrSignedOut
	}
	return m.tokens, nil
}

func (m *Memory) Save(tokens Tokens) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens = tokens
	return nil
}

func (m *Memory) Delete() error { return m.Save(Tokens{}) }
