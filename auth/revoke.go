package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// RevokeSession ends a session of the principal, and with it every access and refresh token that belongs
// to it, on every server, before it returns. It reports whether this call ended it: ending one that is
// over, that never was, or that belongs to somebody else is not an error and reports false, so that
// nobody can probe for other people's sessions. Errors: ErrUnavailable, and then it may have ended or not.
func (s *Service) RevokeSession(ctx context.Context, principal *Principal, sessionID uuid.UUID, client Client) (revoked bool, err error) {
	reason := Revoked
	if sessionID == principal.Session.ID {
		reason = SignedOut
	}
	return s.revoke(ctx, SessionEnd{SessionID: sessionID, UserID: &principal.User.ID, Reason: reason, Client: client})
}

// RevokeByRefreshToken ends the session that a refresh token of any generation belongs to (RFC 7009
// §2.1). For a token of the right form that this server did not issue it returns (nil, false, nil).
// Errors: *InvalidInputError, ErrUnavailable.
func (s *Service) RevokeByRefreshToken(ctx context.Context, text Secret, client Client) (sessionID *uuid.UUID, revoked bool, err error) {
	token, err := s.keys.parseRefreshToken(ctx, text)
	if errors.Is(err, errMalformedRefreshToken) {
		return nil, false, &InvalidInputError{Field: "refreshToken", Problem: "is not a refresh token"}
	}
	if err != nil {
		return nil, false, nil
	}
	revoked, err = s.revoke(ctx, SessionEnd{SessionID: token.sessionID, Reason: SignedOut, Client: client})
	if err != nil {
		return nil, false, err
	}
	return &token.sessionID, revoked, nil
}

// RevokeOtherSessions ends every session of the principal but the principal's own, in one statement, and
// returns how many it ended. Errors: ErrUnavailable, and then they may have ended or not.
func (s *Service) RevokeOtherSessions(ctx context.Context, principal *Principal, client Client) (ended int, err error) {
	others, err := s.others(principal, Revoked, client)
	if err != nil {
		return 0, err
	}
	ended, err = s.store.EndOtherSessions(ctx, others)
	if err != nil {
		return 0, fmt.Errorf("revoke other sessions: %w", err)
	}
	s.log.InfoContext(ctx, "sessions ended", "reason", Revoked, "count", ended, userHash(principal.User.ID))
	return ended, nil
}

func (s *Service) others(principal *Principal, reason EndReason, client Client) (OthersEnd, error) {
	mark, err := newID()
	return OthersEnd{UserID: principal.User.ID, Except: principal.Session.ID, Reason: reason, Now: s.now(), Client: client, Mark: mark}, err
}

// revoke ends a session and reports whether it was live until then. One that has expired is revoked too:
// another server, whose clock is behind, may still think it live.
func (s *Service) revoke(ctx context.Context, end SessionEnd) (bool, error) {
	now := s.now()
	mark, err := newID()
	if err != nil {
		return false, err
	}
	end.Now, end.Mark = now, mark
	state, err := s.store.EndSession(ctx, end)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("revoke session: %w", err)
	}
	s.log.InfoContext(ctx, "session ended", "reason", end.Reason, sessionHash(state.ID), userHash(state.UserID))
	return state.liveBefore(now), nil
}

// liveBefore reports whether nothing but a revocation at that moment ended the session.
func (s *SessionState) liveBefore(now time.Time) bool {
	return s.IdleExpiresAt.After(now) && s.ExpiresAt.After(now) && s.User.DisabledAt == nil
}
