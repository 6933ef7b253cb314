package auth

import (
	"errors"
	"strings"
	"time"
)

// Sentinels. Where a caller needs more than which one it was there is a type below instead.
var (
	ErrUnavailable = errors.New("the database is not available")
	ErrForbidden   = errors.New("not allowed")

	ErrInvalidCredentials  = errors.New("wrong e-mail address or password")
	ErrWrongPassword       = errors.New("not the current password")
	ErrInvalidRefreshToken = errors.New("not a refresh token of this server")
	ErrEmailTaken          = errors.New("the e-mail address has an account")
	ErrLastAdmin           = errors.New("no administrator would be left")
	ErrSignUpClosed        = errors.New("sign-up is closed")

	// ErrNotFound is what a Store returns where there is no such row, or none that its guard let through.
	ErrNotFound = errors.New("not found")
)

// UnauthenticatedReason says why an access token does not sign its bearer in.
type UnauthenticatedReason string

// The reasons, as clients see them.
const (
	TokenMissing UnauthenticatedReason = "TOKEN_MISSING"
	TokenExpired UnauthenticatedReason = "TOKEN_EXPIRED"
	TokenInvalid UnauthenticatedReason = "TOKEN_INVALID"
	SessionEnded UnauthenticatedReason = "SESSION_ENDED"
)

// UnauthenticatedError is returned where a live access token is needed and there is none.
type UnauthenticatedError struct{ Reason UnauthenticatedReason }

func (e *UnauthenticatedError) Error() string { return "unauthenticated: " + string(e.Reason) }

// TooManyAttemptsError is returned for an attempt that a Limit does not let in. Its password was not looked at.
type TooManyAttemptsError struct {
	Key     string // of the bucket that is used up
	RetryAt time.Time
}

// budget is the kind of the bucket, which its key begins with.
func (e *TooManyAttemptsError) budget() string {
	kind, _, _ := strings.Cut(e.Key, ":")
	return kind
}

func (e *TooManyAttemptsError) Error() string {
	return "too many attempts, until " + e.RetryAt.Format(time.RFC3339Nano)
}

// RateLimitedError is returned for an attempt that this server has no room for. Nothing was done or counted.
type RateLimitedError struct{ RetryAt time.Time }

func (e *RateLimitedError) Error() string { return "too many attempts at once" }

// SessionEndedError is returned for a genuine refresh token whose session is over.
type SessionEndedError struct {
	Reason  EndReason
	JustNow bool // whether this refresh has ended it
}

func (e *SessionEndedError) Error() string { return "session ended: " + string(e.Reason) }

// WeakPasswordError is returned for a password that must not be chosen. Problem is a sentence for people.
type WeakPasswordError struct{ Problem string }

func (e *WeakPasswordError) Error() string { return "weak password: " + e.Problem }

// InvalidInputError is returned for input that no caller should have sent. Field is its name in the
// schema, Problem what is wrong with it; neither repeats the input.
type InvalidInputError struct{ Field, Problem string }

func (e *InvalidInputError) Error() string { return e.Field + ": " + e.Problem }
