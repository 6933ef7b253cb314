package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// maxLateRetryStreak is how many generations in a row may see a retry outside the grace time. It bounds a
// thief who polls one generation behind a client that confirms nothing here.
const maxLateRetryStreak = 10

// Refresh exchanges a refresh token for its successor and a new access token.
//
// A rotation is finished only when the client proves that it has the successor: by using the access token
// that came with it, or by refreshing with it. Until then, and for Settings.RefreshGrace in any case, the
// predecessor is answered with the same successor again, so neither a lost answer nor two tabs at once
// end a session. After that, presenting it is reuse, and ends the session (RFC 9700 §4.14.2).
//
// Errors: ErrInvalidRefreshToken, *SessionEndedError, ErrUnavailable. After ErrUnavailable the token that
// was presented still works.
func (s *Service) Refresh(ctx context.Context, text Secret, client Client) (*Tokens, error) {
	token, err := s.keys.parseRefreshToken(ctx, text)
	if err != nil {
		s.stats.countRefresh(nil, nil, err)
		return nil, err
	}
	now, seed := s.now(), newRefreshSeed()
	next, state, err := s.rotate(ctx, token, seed, client, now)
	s.stats.countRefresh(state, seed, err)
	if err != nil {
		return nil, fmt.Errorf("refresh: %w", err)
	}
	return s.tokens(state, next.encode(), now)
}

// rotate tries the one guarded statement and, where its guard does not hold, finds out why.
func (s *Service) rotate(ctx context.Context, token refreshToken, seed []byte, client Client, now time.Time) (refreshToken, *SessionState, error) {
	rotation := Rotation{
		SessionID: token.sessionID, Generation: token.generation, Hash: token.hash(), Seed: seed,
		Now: now, IdleExpiresAt: now.Add(s.settings.SessionIdleTTL),
		UserAgent: optional(client.UserAgent), IP: optional(client.IP),
	}
	// The row can move on while it is judged, but only so often: each time somebody else was faster.
	for range 10 {
		known := s.keys.known.Load()
		if _, usable := known.refresh[token.key.id]; !usable {
			return refreshToken{}, nil, ErrInvalidRefreshToken
		}
		next := known.currentRefreshKey(now).successor(token, seed)
		rotation.NextHash, rotation.RefreshKeyID, rotation.RevokedKeys = next.hash(), next.key.id.String(), known.revoked
		state, err := s.store.Rotate(ctx, rotation)
		if err == nil {
			return next, state, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return refreshToken{}, nil, err
		}
		state, err = s.store.Session(ctx, token.sessionID)
		if errors.Is(err, ErrNotFound) {
			return refreshToken{}, nil, ErrInvalidRefreshToken
		}
		if err != nil {
			return refreshToken{}, nil, err
		}
		if state.RevokedKeys != known.revoked { // perhaps this token's, or the next one's
			if err := s.keys.readSince(ctx); err != nil {
				return refreshToken{}, nil, err
			}
			continue
		}
		answer, state, err := s.judge(ctx, token, next, state, client, now)
		if !errors.Is(err, errMovedOn) {
			return answer, state, err
		}
	}
	return refreshToken{}, nil, fmt.Errorf("%w: the session changes faster than it can be read", ErrUnavailable)
}

// errMovedOn says that the row was changed between its reading and the statement that was to follow.
var errMovedOn = errors.New("the session has moved on")

// judge decides what a genuine token means that was not its session's live one when its rotation to next
// was tried. The order matters.
func (s *Service) judge(ctx context.Context, token, next refreshToken, state *SessionState, client Client, now time.Time) (refreshToken, *SessionState, error) {
	if reason, ended := state.endReason(now); ended {
		return refreshToken{}, nil, &SessionEndedError{Reason: reason}
	}
	if equal(state.RefreshHash, next.hash()) {
		return next, state, nil // our own statement ran, and its answer was lost
	}
	if state.Generation == token.generation && equal(state.RefreshHash, token.hash()) {
		// Live after all: a failover, between the two statements, to a replica that lacks a rotation.
		return refreshToken{}, nil, errMovedOn
	}
	if state.Generation < token.generation {
		return refreshToken{}, nil, s.endAfterRefresh(ctx, state, StorageRolledBack, client, now)
	}
	successor, ok, err := s.successorIn(ctx, state, token)
	if err != nil {
		return refreshToken{}, nil, err
	}
	switch {
	case ok && s.withinGrace(state, now):
		return successor, state, nil
	case ok && s.settings.RefreshRetryWindow > 0 && now.Sub(state.RefreshedAt) <= s.settings.RefreshRetryWindow && state.allowsLateRetry(token):
		if state.LateRetryGeneration == state.Generation {
			return successor, state, nil
		}
		state, err := s.store.CountLateRetry(ctx, state.ID, state.Generation)
		if errors.Is(err, ErrNotFound) {
			return refreshToken{}, nil, errMovedOn
		}
		return successor, state, err
	}
	return refreshToken{}, nil, s.endAfterRefresh(ctx, state, ReuseDetected, client, now)
}

// withinGrace reports whether a request that came now may have been in flight when the predecessor was
// exchanged, or when its successor was first used. The latter can be much later: of two tabs that come
// back together after a lost answer, one is answered and goes on while the other still waits.
func (s *Service) withinGrace(state *SessionState, now time.Time) bool {
	grace := s.settings.RefreshGrace
	return grace > 0 && (now.Sub(state.RefreshedAt) <= grace || state.ConfirmedAt != nil && now.Sub(*state.ConfirmedAt) <= grace)
}

// allowsLateRetry reports whether nothing shows that the client has the token's successor, and the
// session has not been retried late too often. A generation that was counted stays allowed: otherwise
// the tenth late retry would be answered and its repetition would end the session.
func (s *SessionState) allowsLateRetry(token refreshToken) bool {
	return s.ConfirmedGeneration <= token.generation &&
		(s.LateRetryStreak < maxLateRetryStreak || s.LateRetryGeneration == s.Generation)
}

// successorIn returns the token's successor if that is the session's live token.
func (s *Service) successorIn(ctx context.Context, state *SessionState, token refreshToken) (refreshToken, bool, error) {
	if state.Generation != token.generation+1 || state.RefreshSeed == nil {
		return refreshToken{}, false, nil
	}
	key, ok := s.keys.known.Load().refreshKeyNamed(state.RefreshKeyID)
	if !ok { // not reuse: another server has a newer key, or it was revoked
		if err := s.keys.readSince(ctx); err != nil {
			return refreshToken{}, false, err
		}
		if key, ok = s.keys.known.Load().refreshKeyNamed(state.RefreshKeyID); !ok {
			return refreshToken{}, false, ErrInvalidRefreshToken
		}
	}
	successor := key.successor(token, state.RefreshSeed)
	return successor, equal(state.RefreshHash, successor.hash()), nil
}

// endAfterRefresh ends a session because of what a refresh found, records it, and returns the
// *SessionEndedError to answer, or errMovedOn where somebody else was faster.
func (s *Service) endAfterRefresh(ctx context.Context, state *SessionState, reason EndReason, client Client, now time.Time) error {
	mark, err := newID()
	if err != nil {
		return err
	}
	// RFC 9700 §4.14.2: thief or victim, we cannot tell, so neither keeps the session.
	_, err = s.store.EndSession(ctx, SessionEnd{
		SessionID: state.ID, Reason: reason, Now: now, Client: client, Mark: mark,
	})
	if errors.Is(err, ErrNotFound) {
		return errMovedOn
	}
	if err != nil {
		return err
	}
	level := slog.LevelWarn
	if reason == StorageRolledBack {
		level = slog.LevelError
	}
	s.log.Log(ctx, level, "session ended", "reason", reason, sessionHash(state.ID), userHash(state.UserID))
	return &SessionEndedError{Reason: reason, JustNow: true}
}
