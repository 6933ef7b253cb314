package graph

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/graph/generated"
)

// signOut ends the session of the request: that of its access token or, where it brings no live one, that of
// its refresh cookie. A page that was reloaded has the cookie only, and must be able to sign out.
func (r *Resolver) signOut(ctx context.Context) (*generated.RevokeSessionPayload, error) {
	request := requestOf(ctx)
	principal, err := request.authenticate(ctx, r.service)
	var unauthenticated *auth.UnauthenticatedError
	if errors.As(err, &unauthenticated) && request.RefreshToken != nil {
		if _, ok := r.service.SessionOf(ctx, *request.RefreshToken); ok {
			return r.revokeByRefreshToken(ctx, *request.RefreshToken)
		}
	}
	if err != nil {
		return nil, err
	}
	return r.revoke(ctx, principal, principal.Session.ID)
}

func (r *Resolver) revoke(ctx context.Context, principal *auth.Principal, id uuid.UUID) (*generated.RevokeSessionPayload, error) {
	revoked, err := r.service.RevokeSession(ctx, principal, id, requestOf(ctx).Client)
	if err != nil {
		return nil, err
	}
	r.takeBackCookies(ctx, id)
	return &generated.RevokeSessionPayload{SessionID: &id, Revoked: revoked}, nil
}

func (r *Resolver) revokeByRefreshToken(ctx context.Context, token auth.Secret) (*generated.RevokeSessionPayload, error) {
	id, revoked, err := r.service.RevokeByRefreshToken(ctx, token, requestOf(ctx).Client)
	if err != nil {
		return nil, err
	}
	if id != nil {
		r.takeBackCookies(ctx, *id)
	}
	return &generated.RevokeSessionPayload{SessionID: id, Revoked: revoked}, nil
}

// takeBackCookies clears the client's cookies where they are those of a session that has just ended. The
// refresh cookie of another one, of a later sign-in, stays.
func (r *Resolver) takeBackCookies(ctx context.Context, ended uuid.UUID) {
	request := requestOf(ctx)
	if request.RefreshToken == nil {
		return
	}
	if id, ok := r.service.SessionOf(ctx, *request.RefreshToken); ok && id == ended {
		request.Cookies.Clear = true
	}
}
