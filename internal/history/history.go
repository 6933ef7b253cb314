// Package history holds what clients saw of a Latchkey deployment, operation by operation, and decides
// whether it is what docs/rotation.md promises. Nothing in it knows how a server works.
package history

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Kind is what a client asked for.
type Kind string

// The kinds of operations.
const (
	Login   Kind = "login"
	Refresh Kind = "refresh"
	Me      Kind = "me"
	Revoke  Kind = "revoke"
	// Restored is no request: the database came back with an older state of the session, in which Token
	// was the live one. It happens at one instant, while nothing else happens to the session.
	Restored Kind = "restored"
)

// Outcome is how an operation ended, as far as its client can know.
type Outcome string

// The outcomes. Unknown is everything that leaves open whether there was an effect: no answer, half an
// answer, UNAVAILABLE.
const (
	OK      Outcome = "ok"
	Refused Outcome = "refused"
	Unknown Outcome = "unknown"
)

// Operation is one request and its answer.
type Operation struct {
	Client  string // for people
	Server  int
	Kind    Kind
	Start   time.Duration // since the run began, by one monotonic clock
	End     time.Duration // of an Unknown outcome: when the client gave up
	Outcome Outcome

	Session uuid.UUID
	Token   Token  // the refresh token that was presented, if one was
	Access  uint32 // else the generation of the access token that was
	Got     Token  // the refresh token in an answer that is OK
	Revoked bool   // whether a Revoke that is OK says that it ended the session
	Code    string // of an answer that is not OK
	Reason  string // which it gives

	// Hostile says that the client presented what no honest client would: a token that it copied from
	// somebody else, or that it knows to be replaced.
	Hostile bool
	// Forged says that the credential was never issued.
	Forged bool
}

// String describes the operation on one line. It contains no token.
func (o Operation) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%9.3fs to %9.3fs  %-12s server %d  %s", o.Start.Seconds(), o.End.Seconds(), o.Client, o.Server, o.Kind)
	if o.Token != (Token{}) {
		fmt.Fprintf(&text, " by %s", o.Token)
	} else if o.Access != 0 {
		fmt.Fprintf(&text, " by access token of generation %d", o.Access)
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{o.Hostile, " (hostile)"}, {o.Forged, " (forged)"}} {
		if flag.set {
			text.WriteString(flag.name)
		}
	}
	fmt.Fprintf(&text, ": %s", o.Outcome)
	switch {
	case o.Got != (Token{}):
		fmt.Fprintf(&text, " %s", o.Got)
	case o.Kind == Revoke && o.Outcome == OK:
		fmt.Fprintf(&text, " revoked=%t", o.Revoked)
	}
	return strings.TrimRight(text.String()+" "+o.Code+" "+o.Reason, " ")
}

// Token is what a refresh token tells those who have no keys.
type Token struct {
	Session    uuid.UUID
	Generation uint32
	Print      string // the same for the same token only
}

// String names the token without being it.
func (t Token) String() string {
	return fmt.Sprintf("token %d/%.6s", t.Generation, t.Print)
}

// ParseToken reads the public part of a refresh token.
func ParseToken(text string) (Token, error) {
	encoded, ok := strings.CutPrefix(text, "lkr1.")
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) != 72 {
		return Token{}, errors.New("not a refresh token")
	}
	sum := sha256.Sum256([]byte(text))
	return Token{
		Session:    uuid.UUID(raw[4:20]),
		Generation: binary.BigEndian.Uint32(raw[20:24]),
		Print:      hex.EncodeToString(sum[:16]),
	}, nil
}

// ParseAccessToken reads the session and the generation of an access token. It verifies nothing.
func ParseAccessToken(text string) (session uuid.UUID, generation uint32, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return uuid.Nil, 0, errors.New("not a JWT")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return uuid.Nil, 0, errors.New("not a JWT")
	}
	var claims struct {
		SID uuid.UUID `json:"sid"`
		Gen uint32    `json:"gen"`
	}
	if err := json.Unmarshal(raw, &claims); err != nil {
		return uuid.Nil, 0, errors.New("not an access token")
	}
	return claims.SID, claims.Gen, nil
}

// Recorder gathers operations from many goroutines.
type Recorder struct {
	began      time.Time
	mu         sync.Mutex
	operations []Operation
}

// NewRecorder returns a recorder whose time begins now.
func NewRecorder() *Recorder { return &Recorder{began: time.Now()} }

// Now returns the time since the run began.
func (r *Recorder) Now() time.Duration { return time.Since(r.began) }

// Add adds an operation that has ended.
func (r *Recorder) Add(operation Operation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.operations = append(r.operations, operation)
}

// Operations returns all so far, by their start.
func (r *Recorder) Operations() []Operation {
	r.mu.Lock()
	defer r.mu.Unlock()
	sorted := slices.Clone(r.operations)
	slices.SortStableFunc(sorted, func(a, b Operation) int { return cmp.Compare(a.Start, b.Start) })
	return sorted
}
