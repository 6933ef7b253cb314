package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"latchkey/examples/go/api"
	"latchkey/examples/go/session"
)

// explain returns what to tell a person about an error, and the exit status.
func explain(err error) (message string, status int) {
	const signIn = " Sign in: latchkey-cli login EMAIL"
	if errors.Is(err, errUsage) {
		return err.Error() + ". All commands: latchkey-cli -help", 2
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted", 130
	}
	if errors.Is(err, session.ErrSignedOut) {
		return "nobody is signed in." + signIn, 3
	}
	if ended, ok := errors.AsType[*session.EndedError](err); ok {
		return why(ended.Reason) + signIn, 3
	}
	if refused, ok := errors.AsType[*session.RefusedError](err); ok {
		return refusal(refused), 1
	}
	if session.Temporary(err) {
		return fmt.Sprintf("the server cannot be asked at present. Nothing is lost, try again later. (%s)", cause(err)), 4
	}
	if list, ok := errors.AsType[gqlerror.List](err); ok {
		messages := make([]string, len(list))
		for i, each := range list {
			messages[i] = each.Message
		}
		return strings.Join(messages, "; "), 1
	}
	return err.Error(), 1
}

// cause returns what is wrong with the server, without the whole page that a proxy may have sent.
func cause(err error) string {
	if status, ok := errors.AsType[*graphql.HTTPError](err); ok {
		return fmt.Sprintf("HTTP %d", status.StatusCode)
	}
	return err.Error()
}

// refusal returns what to tell a person who was refused.
func refusal(refused *session.RefusedError) string {
	switch refused.Code {
	case api.AuthFailureCodeTooManyAttempts:
		if refused.RetryAt != nil {
			return fmt.Sprintf("%s The next one is let in at %s.", refused.Message, refused.RetryAt.Local().Format(time.TimeOnly))
		}
	case api.AuthFailureCodeEmailTaken:
		return refused.Message + " If it is yours: latchkey-cli login EMAIL"
	}
	return refused.Message // it is there to be shown, and says what a code that is new means
}

// why returns the reason for the end of a session as a sentence.
func why(reason api.SessionEndReason) string {
	switch reason {
	case api.SessionEndReasonRevoked:
		return "this device was signed out from another one."
	case api.SessionEndReasonSignedOut:
		return "you signed out."
	case api.SessionEndReasonExpired:
		return "the sign-in is too old."
	case api.SessionEndReasonIdle:
		return "the sign-in was not used for too long."
	case api.SessionEndReasonReuseDetected:
		return "an old copy of this sign-in was used: if you did not copy or restore its file, somebody may have stolen it."
	case api.SessionEndReasonPasswordChanged:
		return "the password was changed."
	case api.SessionEndReasonUserDisabled:
		return "the account was disabled."
	case api.SessionEndReasonAdmin:
		return "an administrator ended the sign-in."
	case api.SessionEndReasonStorageRolledBack:
		return "the server lost data, and with it this sign-in."
	default: // empty where the server does not know the token, and a reason that is newer than this program
		return "the sign-in is over."
	}
}
