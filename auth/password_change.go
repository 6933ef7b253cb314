package auth

import (
	"context"
	"errors"
	"fmt"
)

// ChangePassword replaces the password of the principal and ends every other session of that user with the
// reason PasswordChanged, all in one transaction; the principal's own session goes on. It returns how many it
// ended. A session that begins meanwhile with the old password is dead from the start.
// Errors: ErrWrongPassword where current is not the password, *InvalidInputError, *WeakPasswordError,
// *TooManyAttemptsError, *RateLimitedError, *UnauthenticatedError where the session ended meanwhile, ErrUnavailable.
func (s *Service) ChangePassword(ctx context.Context, principal *Principal, current, next Secret, client Client) (ended int, err error) {
	user := principal.User
	if err := s.passwords.check("newPassword", next, ownWords(s.settings.Issuer, user.Email, user.Name)); err != nil {
		return 0, err
	}
	others, err := s.others(principal, PasswordChanged, client)
	if err != nil {
		return 0, err
	}
	now := others.Now
	attempt, err := s.admit(ctx, client, now, s.passwordBucket(user.ID))
	if err != nil {
		return 0, fmt.Errorf("change password: %w", err)
	}
	defer attempt.leave()
	normal, err := NormalizeEmail(user.Email)
	if err != nil {
		return 0, fmt.Errorf("change password: %w", err)
	}
	// A login may renew the hash of the same password in between, which it does once.
	var newHash string
	for range 3 {
		_, oldHash, err := s.userByEmail(ctx, normal)
		if err != nil {
			return 0, fmt.Errorf("change password: %w", err)
		}
		match, err := s.passwords.verify(ctx, oldHash, current)
		if err != nil {
			return 0, fmt.Errorf("change password: %w", err)
		}
		if !match {
			err := s.fail(ctx, attempt, PasswordChangeFailed, user.ID, client, now)
			if errors.Is(err, ErrInvalidCredentials) {
				err = ErrWrongPassword
			}
			return 0, err
		}
		if newHash == "" {
			if newHash, err = s.passwords.hash(ctx, next); err != nil {
				return 0, fmt.Errorf("change password: %w", err)
			}
		}
		ended, err := s.store.ChangePassword(ctx, PasswordChange{OthersEnd: others, OldHash: oldHash, NewHash: newHash, Refund: attempt.refund()})
		if err == nil {
			s.log.InfoContext(ctx, "password changed", "sessionsEnded", ended, userHash(user.ID))
			return ended, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return 0, fmt.Errorf("change password: %w", err)
		}
		state, err := s.store.Session(ctx, principal.Session.ID)
		if err != nil {
			return 0, fmt.Errorf("change password: %w", err)
		}
		if _, over := state.endReason(s.now()); over {
			return 0, &UnauthenticatedError{Reason: SessionEnded}
		}
	}
	return 0, fmt.Errorf("%w: the password hash changes faster than it can be read", ErrUnavailable)
}
