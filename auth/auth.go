// Package auth is Latchkey's domain: people, their sessions, and the tokens that stand for a session.
//
// A session is the token family of RFC 9700 §4.14.2: its access tokens and its refresh token are good
// only while its one row in the store is live, so ending that row ends them all at once, on every server.
// The package knows neither SQL nor HTTP nor GraphQL; it states in [Store] what it needs of a database.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Settings are the rules that a Service keeps. Every field must be set but those that say otherwise.
type Settings struct {
	Issuer   string // `iss` of the access tokens, an origin such as https://auth.example.com
	Audience string // `aud` of the access tokens

	ExtraClaims ExtraClaims // of the access tokens, or none

	AccessTokenTTL time.Duration // whole seconds
	SessionIdleTTL time.Duration // how long a session lives without a refresh
	SessionTTL     time.Duration // how long it lives at the most

	// RefreshGrace is how long a predecessor is answered with its successor whatever happened since,
	// for requests that were already in flight. Zero turns it off.
	RefreshGrace time.Duration
	// RefreshRetryWindow is how long it is so answered while nothing shows that the successor arrived.
	// Zero turns it off; with RefreshGrace zero as well, rotation is strict.
	RefreshRetryWindow time.Duration

	SignUpClosed      bool
	PasswordMinLength int // in code points

	// HashSlots is how many passwords are hashed at once: as many as there are cores. It must be set.
	HashSlots int

	// MaxSessions is how many live sessions a user has at the most: one more ends the longest unused. Zero is
	// no limit.
	MaxSessions int

	// EventsTTL is how long the account of what happened goes back.
	EventsTTL time.Duration

	// KeyRotation is how old a key is when its successor is made. Zero: only RotateKey makes one.
	KeyRotation time.Duration

	LoginLimit   Limit // of attempts with a password, per account and per device that is known to it
	LoginIPLimit Limit // of the same and of sign-ups, per address
}

// Service signs people in and keeps them signed in. It is safe for concurrent use.
// Its methods return the errors of this package, ErrUnavailable among them, wrapped; any other error is
// a fault of the server and nothing that a client may see.
type Service struct {
	store    Store
	keys     *KeyRing
	settings Settings
	now      func() time.Time
	log      *slog.Logger

	passwords     *passwordHasher
	refusals      *refusals
	crowd         *crowd
	accessTokens  *accessTokenCodec
	confirmations *confirmations
	ended         *ended
	stats         *stats
}

// New returns a Service over a store and the ring of keys that OpenKeyRing returned for it.
// Every operation reads now once; callers pass time.Now, tests a clock of their own.
// Whoever calls New must also call KeepConfirming and KeepKeys, and of all servers of a database some must call
// KeepCleaning.
func New(store Store, keys *KeyRing, settings Settings, now func() time.Time, log *slog.Logger) (*Service, error) {
	refusals, err := newRefusals()
	if err != nil {
		return nil, err
	}
	// The precision of PostgreSQL, so that a time is the same before and after it was stored.
	clock := func() time.Time { return now().UTC().Truncate(time.Microsecond) }
	accessTokens, err := newAccessTokenCodec(keys, settings, clock)
	if err != nil {
		return nil, err
	}
	ended, err := newEnded(store, settings.AccessTokenTTL, clock)
	if err != nil {
		return nil, err
	}
	return &Service{
		store:         store,
		keys:          keys,
		settings:      settings,
		now:           clock,
		log:           log,
		passwords:     newPasswordHasher(settings.PasswordMinLength, settings.HashSlots),
		refusals:      refusals,
		crowd:         newCrowd(settings.HashSlots),
		accessTokens:  accessTokens,
		confirmations: newConfirmations(),
		ended:         ended,
		stats:         newStats(),
	}, nil
}

// Client is what is known of the program that made a request. Both fields are empty where unknown, and
// must be valid UTF-8 without control characters: they are shown to people.
type Client struct {
	UserAgent string
	IP        string
}

// Tokens are what a client gets when it signs in or refreshes, in the way that Session.Delivery says.
type Tokens struct {
	IssuedAt              time.Time
	AccessToken           Secret
	AccessTokenExpiresAt  time.Time
	RefreshToken          Secret
	RefreshTokenExpiresAt time.Time
	Session               Session
	User                  User
	// DeviceToken is for the client to keep when it signed in, and to show when it signs in again. It is empty
	// where what it showed is still good, and after a refresh.
	DeviceToken Secret
}

// tokens mints an access token for a session as it stands and puts it beside the refresh token.
func (s *Service) tokens(state *SessionState, refreshToken Secret, now time.Time) (*Tokens, error) {
	accessToken, expiresAt, err := s.accessTokens.mint(state, now)
	if err != nil {
		return nil, err
	}
	session := state.Session
	session.Current = true
	return &Tokens{
		IssuedAt:              now,
		AccessToken:           accessToken,
		AccessTokenExpiresAt:  expiresAt,
		RefreshToken:          refreshToken,
		RefreshTokenExpiresAt: state.IdleExpiresAt,
		Session:               session,
		User:                  state.User,
	}, nil
}

// clockIsRight reports whether the clock is one to delete by, and to make keys by: it is about the database's. What a server
// does for people it does by any clock, and says that it is not ready.
func (s *Service) clockIsRight(ctx context.Context) bool {
	skew, err := s.store.ClockSkew(ctx, s.now)
	if err == nil && skew.Abs() > MaxClockSkew {
		s.log.WarnContext(ctx, "clock is wrong", "databaseAheadBy", skew)
	}
	return err == nil && skew.Abs() <= MaxClockSkew
}

// newID returns a UUIDv7: its order is that of creation, which keeps B-tree inserts together.
func newID() (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// waiting turns the end of a context into ErrUnavailable: the caller gave up, or was made to.
func waiting(ctx context.Context, what string, err error) error {
	if err != nil && errors.Is(err, ctx.Err()) {
		return fmt.Errorf("%w: %s: %w", ErrUnavailable, what, err)
	}
	return err
}
