package auth

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Session is one sign-in of one user on one device, as that user may see it.
type Session struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	DeviceName *string
	Delivery   Delivery
	UserAgent  *string
	IP         *string
	CreatedAt  time.Time
	LastUsedAt time.Time
	ExpiresAt  time.Time // the absolute end, which no refresh moves
	Current    bool      // whether it is the session that asks
}

// Delivery is how the tokens of a session reach its client. It is chosen at sign-in, and each refresh keeps
// it: a session whose tokens scripts cannot read stays one.
type Delivery string

// The ways of delivery, as clients see them and as they are stored.
const (
	ByBody          Delivery = "BODY"           // both tokens in the answer
	ByRefreshCookie Delivery = "REFRESH_COOKIE" // the access token in the answer, the refresh token in a cookie
	ByCookies       Delivery = "COOKIES"        // both tokens in cookies
)

// EndReason says why a session is over.
type EndReason string

// The reasons, as clients see them and as they are stored.
const (
	Revoked           EndReason = "REVOKED"        // by its user, from another session
	SignedOut         EndReason = "SIGNED_OUT"     // by its user, from itself
	Expired           EndReason = "EXPIRED"        // Settings.SessionTTL has passed
	Idle              EndReason = "IDLE"           // Settings.SessionIdleTTL has passed without a refresh
	ReuseDetected     EndReason = "REUSE_DETECTED" // a refresh token was used again: RFC 9700 §4.14.2
	PasswordChanged   EndReason = "PASSWORD_CHANGED"
	UserDisabled      EndReason = "USER_DISABLED"
	Admin             EndReason = "ADMIN"               // by an operator
	StorageRolledBack EndReason = "STORAGE_ROLLED_BACK" // the database lost a rotation that it had committed
)

// SessionState is a session's whole row, with its user.
type SessionState struct {
	Session
	User User

	IdleExpiresAt time.Time
	RevokedAt     *time.Time
	RevokeReason  EndReason // empty while RevokedAt is nil
	// PasswordGeneration is that of the password that let the session in, or that its user has set since
	// through it.
	PasswordGeneration int

	Generation          uint32
	ConfirmedGeneration uint32     // the newest that a client has shown to have, 0 at first
	ConfirmedAt         *time.Time // when, if that is the live one
	RefreshHash         []byte     // SHA-256 of the live refresh token's secret
	RefreshSeed         []byte     // nil in the first generation
	RefreshKeyID        string     // the refresh key that the live token was made with
	RefreshedAt         time.Time

	// Of retries outside the grace time: the last generation that saw one, and how many generations in
	// a row did.
	LateRetryGeneration uint32
	LateRetryStreak     int

	// RevokedKeys is how many keys of the ring are revoked. A server that knows of fewer looks again before it
	// believes a token.
	RevokedKeys int
}

// endReason returns why the session is over at a moment, and false while it is live. What came first
// counts: revoking an expired session does not change why it ended.
func (s *SessionState) endReason(now time.Time) (EndReason, bool) {
	end, reason := s.IdleExpiresAt, Idle
	if !s.ExpiresAt.After(end) {
		end, reason = s.ExpiresAt, Expired
	}
	switch {
	case s.RevokedAt != nil && s.RevokedAt.Before(end):
		return s.RevokeReason, true
	case !end.After(now), s.RevokedAt != nil:
		return reason, true
	case s.User.DisabledAt != nil:
		return UserDisabled, true
	case s.PasswordGeneration < s.User.PasswordGeneration: // it began while the password was being changed
		return PasswordChanged, true
	}
	return "", false
}

// Sessions returns the live sessions of a user that this Service returned, the last used first, at most
// Settings.MaxSessions or, where that is no limit, a hundred; the one that the user was read through is Current.
func (s *Service) Sessions(ctx context.Context, user *User) ([]Session, error) {
	sessions, err := s.store.Sessions(ctx, user.ID, s.now(), cmp.Or(s.settings.MaxSessions, 100))
	if err != nil {
		return nil, fmt.Errorf("list sessions: %w", err)
	}
	for i := range sessions {
		sessions[i].Current = sessions[i].ID == user.SessionID
	}
	return sessions, nil
}

// SessionOf returns the id of the session that a refresh token of any generation belongs to, and false where
// the token is not one of this server. The session may be over.
func (s *Service) SessionOf(ctx context.Context, refreshToken Secret) (uuid.UUID, bool) {
	token, err := s.keys.parseRefreshToken(ctx, refreshToken)
	return token.sessionID, err == nil
}

func (s *Service) sessionOf(ctx context.Context, refreshToken Secret) *uuid.UUID {
	if id, ok := s.SessionOf(ctx, refreshToken); ok {
		return &id
	}
	return nil
}

// newSession returns the first generation of a session and its refresh token.
func (s *Service) newSession(ctx context.Context, userID uuid.UUID, deviceName *string, delivery Delivery, client Client, now time.Time) (*NewSession, Secret, error) {
	id, err := newID()
	if err != nil {
		return nil, "", err
	}
	// With a ring of this moment: a key is revoked when every server has made sessions with its successor for longer.
	if err := s.keys.readLately(ctx); err != nil {
		return nil, "", err
	}
	known := s.keys.known.Load()
	token := known.currentRefreshKey(now).first(id)
	expiresAt := now.Add(s.settings.SessionTTL)
	return &NewSession{
		Session: Session{
			ID: id, UserID: userID,
			DeviceName: deviceName, Delivery: cmp.Or(delivery, ByBody), UserAgent: optional(client.UserAgent), IP: optional(client.IP),
			CreatedAt: now, LastUsedAt: now, ExpiresAt: expiresAt,
		},
		IdleExpiresAt: earlier(now.Add(s.settings.SessionIdleTTL), expiresAt),
		RefreshHash:   token.hash(),
		RefreshKeyID:  token.key.id.String(),
		RevokedKeys:   known.revoked,
		MostSessions:  s.settings.MaxSessions,
	}, token.encode(), nil
}

// state returns the row that a new session has after it was stored.
func (n *NewSession) state(user User) *SessionState {
	user.SessionID = n.ID
	return &SessionState{
		Session: n.Session, User: user, IdleExpiresAt: n.IdleExpiresAt,
		Generation: 1, RefreshHash: n.RefreshHash, RefreshKeyID: n.RefreshKeyID, RefreshedAt: n.CreatedAt,
	}
}

func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
