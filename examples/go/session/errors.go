package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"latchkey/examples/go/api"
)

var (
	// ErrSignedOut says that a store keeps no session. Sign in.
	ErrSignedOut = errors.New("nobody is signed in")

	// ErrReplaced says that somebody signed in anew with the same store, maybe as somebody else. This session does not
	// become the other one by itself: use what Open returns now.
	ErrReplaced = errors.New("the store keeps another session by now")

	// ErrOtherServer says that the store's session belongs to another server, which alone may see its tokens.
	ErrOtherServer = errors.New("the session belongs to another server")
)

// What answers instead of the server, or not at all. Neither says anything about the session.
var (
	errNoAnswer     = errors.New("the server does not answer")
	errStrangeReply = errors.New("this is not an answer that the schema has")
)

// EndedError says that the session is over, for good. Sign in again.
type EndedError struct {
	// Reason says why. It is empty where the server does not know the refresh token at all. New reasons may be added.
	Reason api.SessionEndReason
	// Message is one English sentence, which may be shown.
	Message string
}

func (e *EndedError) Error() string {
	if e.Reason == "" {
		return "the session is over: " + e.Message
	}
	return fmt.Sprintf("the session is over (%s): %s", e.Reason, e.Message)
}

// RefusedError says that the server did not do what was asked for, for a reason that a form must expect: switch on Code.
type RefusedError struct{ api.Refused }

func (e *RefusedError) Error() string { return e.Message }

// Temporary reports whether the same request may be answered later: the server or its database is away, it has too much
// to do, a proxy before it has trouble, or the answer was lost. It never means that anybody was signed out. A change may
// have happened, and may be repeated: docs/errors.md.
func Temporary(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false // the caller's own doing
	}
	if errors.Is(err, errNoAnswer) || errors.Is(err, errStrangeReply) || errors.Is(err, errLocked) {
		return true
	}
	if status, ok := errors.AsType[*graphql.HTTPError](err); ok && (status.StatusCode >= 500 || status.StatusCode == http.StatusTooManyRequests) {
		return true
	}
	for _, each := range inAnswer(err) {
		switch each.Extensions["code"] {
		case "UNAVAILABLE", "RATE_LIMITED", "INTERNAL_SERVER_ERROR":
			return true
		}
	}
	_, network := errors.AsType[*url.Error](err) // net/http: no connection, or no answer on it
	_, garbled := errors.AsType[*json.SyntaxError](err)
	return network || garbled || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// unauthenticated reports whether the server refused the access token, or missed one.
func unauthenticated(err error) bool {
	for _, each := range inAnswer(err) {
		if each.Extensions["code"] == "UNAUTHENTICATED" {
			return true
		}
	}
	return false
}

// inAnswer returns the errors that a GraphQL answer has.
func inAnswer(err error) gqlerror.List {
	if list, ok := errors.AsType[gqlerror.List](err); ok {
		return list
	}
	if status, ok := errors.AsType[*graphql.HTTPError](err); ok {
		return status.Response.Errors
	}
	return nil
}
