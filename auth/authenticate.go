package auth

import (
	"context"
	"errors"
	"fmt"
)

// Principal is who makes a request, and through which session.
type Principal struct {
	User    User
	Session Session
}

// Authenticate returns whom an access token stands for: its signature and claims are verified, then the
// session and the user are read, in one query, every time. There is no moment after a revoke in which it
// succeeds. An empty token is an invalid one. Errors: *UnauthenticatedError, ErrUnavailable.
func (s *Service) Authenticate(ctx context.Context, accessToken Secret) (*Principal, error) {
	token, err := s.accessTokens.verify(ctx, accessToken)
	if err != nil {
		return nil, fmt.Errorf("authenticate: %w", err)
	}
	now := s.now()
	ended := &UnauthenticatedError{Reason: SessionEnded}
	state, err := s.store.Session(ctx, token.sessionID)
	if errors.Is(err, ErrNotFound) {
		return nil, ended
	}
	if err != nil {
		return nil, fmt.Errorf("authenticate: %w", err)
	}
	if state.RevokedKeys != s.keys.known.Load().revoked { // perhaps this token's
		if err := s.keys.readSince(ctx); err != nil {
			return nil, fmt.Errorf("authenticate: %w", err)
		}
		if _, err := s.accessTokens.verify(ctx, accessToken); err != nil {
			return nil, fmt.Errorf("authenticate: %w", err)
		}
	}
	if state.UserID != token.userID {
		return nil, &UnauthenticatedError{Reason: TokenInvalid}
	}
	if _, over := state.endReason(now); over {
		return nil, ended
	}
	if token.generation == state.Generation && state.Generation > state.ConfirmedGeneration {
		s.confirmations.note(Confirmation{SessionID: state.ID, Generation: state.Generation, UsedAt: now})
	}
	state.Session.Current = true
	return &Principal{User: state.User, Session: state.Session}, nil
}

// Has reports whether the user may do what a role may. An administrator may do what a user may.
func (p *Principal) Has(role Role) bool {
	return p.User.Role == role || p.User.Role == RoleAdmin
}
