package auth

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Store is what the domain needs of a database.
//
// Every method is atomic, and is finished, or failed, when it returns: what it acknowledged survives the
// death of the database. A method that changes something goes on when its context is cancelled, within a
// time of the store's own, and may run more than once with the same arguments and one effect. Where the
// database is away or cannot serve, the error is ErrUnavailable; the effect of a change is then unknown.
// Times have microseconds and are in UTC.
type Store interface {
	UserStore
	SessionStore
	EventStore
	EndedStore
	ThrottleStore
	CleanUpStore
	KeyStore
	// ClockSkew returns how far the store's clock is ahead of now.
	ClockSkew(ctx context.Context, now func() time.Time) (time.Duration, error)
}

// UserStore keeps people.
type UserStore interface {
	// CreateUser stores a user and, where session is not nil, a first session of that user, and records the
	// SignedUp. Errors: ErrEmailTaken.
	CreateUser(ctx context.Context, user NewUser, session *NewSession) error
	// UserByEmail returns the user with a normalised address and the password hash. Errors: ErrNotFound.
	UserByEmail(ctx context.Context, normalizedEmail string) (*User, string, error)
	// ReplacePasswordHash stores a new hash where the old one still stands, and otherwise does nothing.
	ReplacePasswordHash(ctx context.Context, userID uuid.UUID, oldHash, newHash string) error
	// ChangePassword replaces a password hash, counts the password generations of the user and of the
	// session that is kept, ends the user's other live sessions, and records the PasswordWasChanged. It
	// returns how many it ended.
	// Errors: ErrNotFound where another hash stands, the user is disabled or the session that is to be kept
	// is revoked, and then it does none of all this.
	ChangePassword(ctx context.Context, change PasswordChange) (int, error)
	// User returns a user. Errors: ErrNotFound.
	User(ctx context.Context, id uuid.UUID) (*User, error)
	// Users returns users by normalised address.
	Users(ctx context.Context, query UserQuery) ([]User, error)

	// ImportUsers stores users, at most 1000, all or none, but those whose address has one already. It returns how
	// many it stored, or fewer where its answer was lost and it ran again.
	ImportUsers(ctx context.Context, users []NewUser) (int, error)
	// UserRecords is Users with what NewUser adds.
	UserRecords(ctx context.Context, query UserQuery) ([]NewUser, error)

	// What an administrator does is recorded, and done to no effect where it was done before. Errors of each:
	// ErrNotFound; ErrForbidden where the actor is not an enabled administrator; ErrLastAdmin where no enabled
	// administrator would be left, and then nothing is done.

	// SetRole changes the role, and records AdminWasGranted or AdminWasRevoked.
	SetRole(ctx context.Context, act AdminAct, role Role) error
	// DisableUser disables a user, ends the user's live sessions with the reason UserDisabled, and records the
	// UserWasDisabled. It returns how many it ended.
	DisableUser(ctx context.Context, act AdminAct) (int, error)
	// EnableUser undoes DisableUser, but for the sessions, and records the UserWasEnabled.
	EnableUser(ctx context.Context, act AdminAct) error
	// EndUserSessions ends the user's live sessions with the reason Admin, and records the SessionsWereEnded
	// unless there was none. It returns how many it ended.
	EndUserSessions(ctx context.Context, act AdminAct) (int, error)
}

// SessionStore keeps sessions, one row each.
type SessionStore interface {
	// CreateSession stores a session if its user is enabled and still has the password hash that the
	// user was let in by, and records the LoggedIn. Errors: ErrNotFound where not; ErrUnavailable where a key was
	// revoked that this server has not heard of.
	CreateSession(ctx context.Context, session NewSession, passwordHash string) error
	// Session returns a session, live or not, with its user. Errors: ErrNotFound.
	Session(ctx context.Context, id uuid.UUID) (*SessionState, error)
	// Sessions returns the live sessions of a user, the last used first.
	Sessions(ctx context.Context, userID uuid.UUID, now time.Time, limit int) ([]Session, error)
	// Rotate replaces the live refresh token of a live session, in one guarded statement, and returns
	// the session as it then is. Errors: ErrNotFound where the guard did not hold.
	Rotate(ctx context.Context, rotation Rotation) (*SessionState, error)
	// CountLateRetry records that a generation saw a retry outside the grace time, once per generation,
	// and returns the session as it then is. Errors: ErrNotFound where the session was revoked or has
	// another generation.
	CountLateRetry(ctx context.Context, id uuid.UUID, generation uint32) (*SessionState, error)
	// EndSession revokes a session that was not revoked before, records the SessionWasEnded, and returns the
	// session as it then is. Errors: ErrNotFound where it was, where there is none, or where it is not the
	// given user's.
	EndSession(ctx context.Context, end SessionEnd) (*SessionState, error)
	// EndOtherSessions revokes the live sessions of a user but one, and records the SessionsWereEnded unless
	// there was none. It returns how many it ended.
	EndOtherSessions(ctx context.Context, end OthersEnd) (int, error)
	// Confirm records which generations clients have shown to have. None goes back. It leaves out sessions that
	// somebody else is changing.
	Confirm(ctx context.Context, confirmations []Confirmation) error
}

// KeyStore keeps the sealed keys of the ring.
type KeyStore interface {
	// Keys returns all keys by kind and number, those that are revoked as well.
	Keys(ctx context.Context) ([]SealedKey, error)
	// AddKey stores a key unless there is one of its kind and number already.
	AddKey(ctx context.Context, key SealedKey) error
	// ResealKey replaces the sealed form of a key where the old one still stands.
	ResealKey(ctx context.Context, key SealedKey, oldSealed []byte) error
	// RevokeKey marks a key as revoked and forgets what was sealed, unless it was revoked before. Errors:
	// ErrNotFound where there is no such key.
	RevokeKey(ctx context.Context, id string, now time.Time) error
	// DeleteKey deletes a key that is not revoked, unless it is gone.
	DeleteKey(ctx context.Context, id string) error
}

// NewUser is a user to store.
type NewUser struct {
	User
	NormalizedEmail string
	PasswordHash    string // PHC string of argon2id, or bcrypt
}

// UserQuery asks for users by normalised address.
type UserQuery struct {
	Prefix string // what the address begins with
	After  string // the address before the first; empty: none
	Limit  int
}

// NewSession is a session to store, at generation 1 and with nothing confirmed.
type NewSession struct {
	Session
	IdleExpiresAt time.Time
	RefreshHash   []byte
	RefreshKeyID  string
	RevokedKeys   int    // guard, as that of Rotation: the refresh key may be one of them
	Refund        Refund // of the attempt that let it in
	// Replaces is a session to end with the reason SignedOut if it is live, whoever's it is; or nil.
	Replaces *uuid.UUID
	// MostSessions is how many live sessions the user may then have: the longest unused of the others are ended
	// with the reason Revoked. Zero is no limit.
	MostSessions int
}

// Rotation is the step of a session from one generation to the next.
type Rotation struct {
	SessionID  uuid.UUID
	Generation uint32 // guard: the session's generation before it
	// RevokedKeys is a guard: how many keys of the ring are revoked, as far as this server knows.
	RevokedKeys int
	Hash        []byte // guard: the hash of the refresh token that was presented

	NextHash      []byte
	Seed          []byte
	RefreshKeyID  string
	Now           time.Time
	IdleExpiresAt time.Time // the session's ExpiresAt where that is earlier
	UserAgent     *string
	IP            *string
}

// SessionEnd is the revocation of a session.
type SessionEnd struct {
	SessionID uuid.UUID
	UserID    *uuid.UUID // guard, where it is not nil: whose session it must be
	Reason    EndReason
	Now       time.Time
	Client    Client // where it came from
	// Mark is a fresh id, stored with the revocation: the same end that runs twice, because the answer
	// of the first was lost, knows its own effect by it. It is the id of the Event too.
	Mark uuid.UUID
}

// OthersEnd is the revocation of all sessions of a user but one.
type OthersEnd struct {
	UserID uuid.UUID
	Except uuid.UUID // the session that goes on
	Reason EndReason
	Now    time.Time
	Client Client
	Mark   uuid.UUID // as that of SessionEnd
}

// AdminAct is what an administrator or an operator does to a user.
type AdminAct struct {
	UserID  uuid.UUID
	ActorID *uuid.UUID // as that of Event
	Now     time.Time
	Client  Client
	Mark    uuid.UUID // as that of SessionEnd
}

// PasswordChange is a new password of a user, and the end of what the old one let in.
type PasswordChange struct {
	OthersEnd
	OldHash string // guard: the hash that stands
	NewHash string
	Refund  Refund // of the attempt with the current password
}

// Confirmation is the proof that a client holds a generation.
type Confirmation struct {
	SessionID  uuid.UUID
	Generation uint32
	UsedAt     time.Time // when it showed that
}

// SealedKey is a key of the ring as it is stored.
type SealedKey struct {
	Kind      KeyKind
	Number    int // counts up per kind, from 1
	ID        string
	Sealed    []byte // empty where it is revoked
	CreatedAt time.Time
	ActiveAt  time.Time // from when new tokens are made with it
	RevokedAt *time.Time
}
