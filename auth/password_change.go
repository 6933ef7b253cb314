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
// *UnauthenticatedError where the session ended meanwhile, ErrUnavailable.
func (s *Service) ChangePassword(ctx context.Context, principal *Principal, current, next Secret) (ended int, err error) {
	user := principal.User
	if err := s.passwords.check("newPassword", next, ownWords(s.settings.Issuer, user.Email, user.Name)); err != nil {
		return 0, err
	}
	others, err := s.others(principal, PasswordChanged)
	if err != nil {
		return 0, err
	}
	// A login may renew the hash of the same password in between, which it does once.
	var newHash string
	for range 3 {
		_, oldHash, err := s.checkCredentials(ctx, user.Email, current)
		if errors.Is(err, ErrInvalidCredentials) {
			return 0, ErrWrongPassword
		}
		if err != nil {
			return 0, fmt.Errorf("change password: %w", err)
		}
		if newHash == "" {
			if newHash, err = s.passwords.hash(ctx, next); err != nil {
				return 0, fmt.Errorf("change password: %w", err)
			}
		}
		ended, err := s.store.ChangePassword(ctx, PasswordChange{OthersEnd: others, OldHash: oldHash, NewHash: newHash})
		if err == nil {
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
