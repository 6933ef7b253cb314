package graph

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/graph/generated"
)

// administer has the one who asks do something to a user, and says what came of it.
func (r *Resolver) administer(ctx context.Context, id uuid.UUID, do func(actor auth.Actor) (ended int, err error)) (generated.AdminResult, error) {
	principal, err := requestOf(ctx).authenticate(ctx, r.service)
	if err != nil {
		return nil, err
	}
	ended, err := do(auth.Actor{UserID: &principal.User.ID, Client: requestOf(ctx).Client})
	switch {
	case errors.Is(err, auth.ErrNotFound):
		return generated.AdminFailure{Code: generated.AdminFailureCodeUserNotFound, Message: "There is no user with this id."}, nil
	case errors.Is(err, auth.ErrLastAdmin):
		return generated.AdminFailure{Code: generated.AdminFailureCodeLastAdmin, Message: "No administrator would be left."}, nil
	case err != nil:
		return nil, err
	}
	user, err := r.user(ctx, principal, id)
	if err != nil {
		return nil, err
	}
	return generated.AdminSuccess{User: user, RevokedCount: ended}, nil
}

// user returns a user as somebody who is signed in reads it. Errors: those of auth.Service.User.
func (r *Resolver) user(ctx context.Context, reader *auth.Principal, id uuid.UUID) (*auth.User, error) {
	user, err := r.service.User(ctx, id)
	if err != nil {
		return nil, err
	}
	user.SessionID = reader.Session.ID
	return user, nil
}
