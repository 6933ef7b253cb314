// Package scalar says what the values of the schema's scalars look like on the wire. It is stricter than
// gqlgen: it never turns one kind of value into another.
package scalar

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/google/uuid"

	"latchkey/auth"
)

// Error is what is wrong with a value that a client sent, without the value.
type Error struct{ Problem string }

func (e *Error) Error() string { return e.Problem }

// dateTimeLayout is that of https://scalars.graphql.org/andimarek/date-time.html, for times in UTC.
const dateTimeLayout = "2006-01-02T15:04:05.000Z"

// MarshalDateTime writes a moment in UTC, cut to the millisecond.
func MarshalDateTime(t time.Time) graphql.Marshaler {
	return graphql.MarshalString(FormatDateTime(t))
}

// FormatDateTime returns a moment as the scalar has it.
func FormatDateTime(t time.Time) string { return t.UTC().Format(dateTimeLayout) }

// UnmarshalDateTime reads a moment with any offset.
func UnmarshalDateTime(v any) (time.Time, error) {
	const problem = "must be a date and time with an offset, as RFC 3339 has it"
	text, ok := v.(string)
	if !ok {
		return time.Time{}, &Error{problem}
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, &Error{problem}
	}
	return t.UTC(), nil
}

// MarshalID writes a UUID in its canonical form (RFC 9562 §4).
func MarshalID(id uuid.UUID) graphql.Marshaler {
	return graphql.MarshalString(id.String())
}

// UnmarshalID reads a UUID in its canonical form, in either letter case.
func UnmarshalID(v any) (uuid.UUID, error) {
	text, ok := v.(string)
	if !ok || len(text) != 36 { // uuid.Parse knows three more forms
		return uuid.Nil, &Error{"must be a UUID"}
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, &Error{"must be a UUID"}
	}
	return id, nil
}

// MarshalString writes a text.
func MarshalString(text string) graphql.Marshaler {
	return graphql.MarshalString(text)
}

// UnmarshalString reads a text that both databases can store.
func UnmarshalString(v any) (string, error) {
	text, ok := v.(string)
	switch {
	case !ok:
		return "", &Error{"must be a string"}
	case !utf8.ValidString(text):
		return "", &Error{"must be valid UTF-8"}
	case strings.ContainsRune(text, 0):
		return "", &Error{"must not contain NUL"}
	}
	return text, nil
}

// MarshalSecret hands a token over to the client that it was made for.
func MarshalSecret(secret auth.Secret) graphql.Marshaler {
	return graphql.MarshalString(secret.Reveal())
}

// UnmarshalSecret reads a password or a token.
func UnmarshalSecret(v any) (auth.Secret, error) {
	text, err := UnmarshalString(v)
	return auth.Secret(text), err
}
