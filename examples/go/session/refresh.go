package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"latchkey/examples/go/api"
	"latchkey/examples/go/secret"
)

// How long to wait before a refresh is tried again: longer each time, and at random, so that the clients of a server that
// comes back do not come all at once.
const (
	shortestPause = 100 * time.Millisecond
	longestPause  = 5 * time.Second
)

// refreshTime is how long one refresh may take, with the wait for the store's lock.
const refreshTime = 45 * time.Second

// refresh is one that is under way, for whoever needs it.
type refresh struct {
	done chan struct{}
	err  error // when done is closed: nil if the session has new tokens, or is over
}

// token returns an access token other than the one that the server refused, if it did. There is one refresh however many
// ask. One that was due ahead of time and does not work hinders nobody; one that is needed is tried again and again while
// the patience lasts.
func (s *Session) token(ctx context.Context, refused secret.Text) (secret.Text, error) {
	patience := time.NewTimer(s.settings.Patience)
	defer patience.Stop()
	trouble := errNoAnswer
	for {
		token, under, err := s.look(ctx, refused)
		if err != nil || under == nil {
			return token, err
		}
		select {
		case <-under.done:
			if under.err == nil {
				continue // to see what came of it
			}
			trouble = under.err
		case <-ctx.Done():
			return "", fmt.Errorf("refresh: %w", context.Cause(ctx))
		case <-patience.C:
			under = nil
		}
		if token != "" {
			return token, nil
		}
		if under == nil || !Temporary(trouble) {
			return "", fmt.Errorf("refresh: %w", trouble)
		}
	}
}

// look returns the access token, if there is one that may be tried, and the refresh to wait for, if there should be one.
// Without either there is an error.
func (s *Session) look(ctx context.Context, refused secret.Text) (secret.Text, *refresh, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return "", nil, s.ended
	}
	now, token := time.Now(), s.tokens.AccessToken
	if token == refused || !s.tokens.good(now) {
		token = ""
	} else if !s.tokens.due(now) || now.Before(s.notBefore) {
		return token, nil, nil
	}
	if s.refresh == nil {
		s.refresh = &refresh{done: make(chan struct{})}
		// Others wait for it too, so it goes on where this caller gives up.
		go s.run(context.WithoutCancel(ctx), s.refresh, time.Until(s.notBefore))
	}
	return token, s.refresh, nil
}

// run refreshes once, after a pause.
func (s *Session) run(ctx context.Context, under *refresh, pause time.Duration) {
	<-time.After(pause)
	ctx, cancel := context.WithTimeout(ctx, refreshTime)
	defer cancel()
	tokens, err := s.exchange(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	ended, over := errors.AsType[*EndedError](err)
	switch {
	case s.ended != nil: // signed out in the meantime
	case over:
		s.ended, s.tokens = ended, Tokens{}
	case err != nil:
		under.err = err
		pause := min(longestPause, shortestPause<<min(s.failures, 10))
		s.failures, s.notBefore = s.failures+1, time.Now().Add(pause/2+rand.N(pause/2))
	default:
		s.tokens, s.failures, s.notBefore = tokens, 0, time.Time{}
	}
	s.refresh = nil
	close(under.done)
}

// exchange exchanges the refresh token, and keeps what came for it before anybody uses it: the server takes the first use
// for the proof that the new tokens arrived, and the old one for stolen from then on. Where the answer is lost, or
// cannot be kept, the next call sends the same refresh token, and gets the same successor.
func (s *Session) exchange(ctx context.Context) (Tokens, error) {
	unlock, err := s.settings.Store.Lock(ctx)
	if err != nil {
		return Tokens{}, err
	}
	defer unlock()
	s.mu.Lock()
	held, ended := s.tokens, s.ended
	s.mu.Unlock()
	if ended != nil {
		return Tokens{}, ended
	}
	switch kept, err := s.settings.Store.Load(); {
	case errors.Is(err, ErrSignedOut): // Somebody emptied the store. Whether the session is over, the server says.
	case err != nil:
		return Tokens{}, err
	case kept.SessionID != s.id:
		return Tokens{}, ErrReplaced
	case kept.ReceivedAt.After(held.ReceivedAt): // another program was faster
		if now := time.Now(); kept.good(now) && !kept.due(now) {
			return kept, nil
		}
		held = kept
	}

	answer, err := api.Refresh(ctx, s.client(""), held.RefreshToken)
	if err != nil {
		return Tokens{}, err // keep the token: nothing but the data of an answer ends a session
	}
	switch result := answer.RefreshToken.(type) {
	case *api.RefreshRefreshTokenAuthSuccess:
		tokens, err := s.received(result.SignedIn)
		if err != nil {
			return Tokens{}, err
		}
		if err := s.settings.Store.Save(tokens); err != nil {
			return Tokens{}, fmt.Errorf("keep the new tokens: %w", err)
		}
		return tokens, nil
	case *api.RefreshRefreshTokenAuthFailure:
		return Tokens{}, s.failed(result.Refused)
	default:
		return Tokens{}, errStrangeReply
	}
}

// failed returns what a refusal to refresh means. The caller has the lock of the store.
func (s *Session) failed(refused api.Refused) error {
	switch refused.Code {
	case api.AuthFailureCodeSessionEnded, api.AuthFailureCodeInvalidRefreshToken:
		ended := &EndedError{Message: refused.Message}
		if refused.EndReason != nil {
			ended.Reason = *refused.EndReason
		}
		_ = s.forget() // if it stays, the server will say the same again
		return ended
	default: // A code that is new says no more than that it did not work.
		return &RefusedError{refused}
	}
}
