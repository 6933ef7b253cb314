package auth

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// EventKind says what happened to an account.
type EventKind string

// The kinds, as clients see them and as they are stored.
const (
	SignedUp             EventKind = "SIGN_UP"
	LoggedIn             EventKind = "LOGIN"
	LoginFailed          EventKind = "LOGIN_FAILED"
	SessionWasEnded      EventKind = "SESSION_ENDED"          // one session
	SessionsWereEnded    EventKind = "SESSIONS_ENDED"         // several at once
	PasswordWasChanged   EventKind = "PASSWORD_CHANGED"       // and the other sessions ended
	PasswordChangeFailed EventKind = "PASSWORD_CHANGE_FAILED" // the current password was wrong
	AttemptsWereSlowed   EventKind = "THROTTLED"              // failures in a row doubled the time between attempts
	UserWasDisabled      EventKind = "USER_DISABLED"          // and all sessions ended
	UserWasEnabled       EventKind = "USER_ENABLED"
	AdminWasGranted      EventKind = "ADMIN_GRANTED" // the user became an administrator
	AdminWasRevoked      EventKind = "ADMIN_REVOKED" // and is none any more
)

// Event is one line of the account of what happened to a user. It is written in the transaction of what it
// records.
type Event struct {
	ID        uuid.UUID
	UserID    uuid.UUID
	Kind      EventKind
	SessionID *uuid.UUID // the session that began or ended, or that changed the password
	// ActorID is the administrator who did it. It is nil where it was the user, a stranger, or an operator at
	// the server's command line.
	ActorID    *uuid.UUID
	Reason     *EndReason // of SessionWasEnded and SessionsWereEnded
	EndedCount *int       // how many sessions ended, of those kinds that end several
	UserAgent  *string
	IP         *string
	CreatedAt  time.Time
}

// EventStore keeps what happened.
type EventStore interface {
	// Events returns what happened to a user, the newest first, from the event after a place on, or from the
	// newest where that is nil.
	Events(ctx context.Context, userID uuid.UUID, after *EventPlace, limit int) ([]Event, error)
}

// EventPlace is the place of an event in the account of a user.
type EventPlace struct {
	CreatedAt time.Time
	ID        uuid.UUID
}

// EventPage is a part of an account, the newest event first.
type EventPage struct {
	Events []Event
	More   bool // whether there are older ones
}

// Cursor returns the place of the event as a text for Events.
func (e *Event) Cursor() string {
	place := binary.BigEndian.AppendUint64(nil, uint64(e.CreatedAt.UnixMicro()))
	return base64.RawURLEncoding.EncodeToString(append(place, e.ID[:]...))
}

// Events returns up to first events of a user, the newest first: those after the one that a cursor stands for,
// or the newest where it is nil. Errors: *InvalidInputError, ErrUnavailable.
func (s *Service) Events(ctx context.Context, user *User, first int, after *string) (*EventPage, error) {
	if err := checkPageSize(first); err != nil {
		return nil, err
	}
	var place *EventPlace
	if after != nil {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(*after)
		if err != nil || len(raw) != 8+16 {
			return nil, errMalformedCursor
		}
		place = &EventPlace{CreatedAt: time.UnixMicro(int64(binary.BigEndian.Uint64(raw))).UTC(), ID: uuid.UUID(raw[8:])}
		if year := place.CreatedAt.Year(); year < 1970 || year > 9999 { // which no database could compare
			return nil, errMalformedCursor
		}
	}
	events, err := s.store.Events(ctx, user.ID, place, first+1)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return &EventPage{Events: events[:min(first, len(events))], More: len(events) > first}, nil
}

// maxPageSize is how many members of a list a client gets at once.
const maxPageSize = 100

var errMalformedCursor = &InvalidInputError{Field: "after", Problem: "is not a cursor of this list"}

func checkPageSize(first int) error {
	if first < 1 || first > maxPageSize {
		return &InvalidInputError{Field: "first", Problem: fmt.Sprintf("must be from 1 to %d", maxPageSize)}
	}
	return nil
}
