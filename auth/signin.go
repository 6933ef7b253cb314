package auth

import (
	"context"
	"errors"
	"fmt"
)

// maxLabelLength is the most characters of a name that people give to themselves or to a device.
const maxLabelLength = 200

// SignUpRequest is what a person gives to open an account.
type SignUpRequest struct {
	Email      string
	Password   Secret
	Name       *string
	DeviceName *string
	Delivery   Delivery // empty: ByBody
}

// SignUp makes an account and signs its user in, both or neither.
// Errors: ErrSignUpClosed, *InvalidInputError, *WeakPasswordError, ErrEmailTaken, ErrUnavailable.
func (s *Service) SignUp(ctx context.Context, request SignUpRequest, client Client) (*Tokens, error) {
	if s.settings.SignUpClosed {
		return nil, ErrSignUpClosed
	}
	now := s.now()
	deviceName, err := label("deviceName", request.DeviceName, maxLabelLength)
	if err != nil {
		return nil, err
	}
	user, err := s.newUser(ctx, request.Email, request.Password, request.Name, now)
	if err != nil {
		return nil, err
	}
	session, refreshToken, err := s.newSession(user.ID, deviceName, request.Delivery, client, now)
	if err != nil {
		return nil, err
	}
	if err := s.store.CreateUser(ctx, *user, session); err != nil {
		return nil, fmt.Errorf("sign up: %w", err)
	}
	return s.tokens(session.state(user.User), refreshToken, now)
}

// LoginRequest is what a person gives to sign in.
type LoginRequest struct {
	Email      string
	Password   Secret
	DeviceName *string
	Delivery   Delivery // empty: ByBody
}

// Login signs a user in: one read and one write. An unknown address, a disabled account and a wrong
// password are one answer, after the same work (OWASP Authentication Cheat Sheet).
// Errors: ErrInvalidCredentials, *InvalidInputError, ErrUnavailable.
func (s *Service) Login(ctx context.Context, request LoginRequest, client Client) (*Tokens, error) {
	now := s.now()
	deviceName, err := label("deviceName", request.DeviceName, maxLabelLength)
	if err != nil {
		return nil, err
	}
	user, hash, err := s.checkCredentials(ctx, request.Email, request.Password)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	session, refreshToken, err := s.newSession(user.ID, deviceName, request.Delivery, client, now)
	if err != nil {
		return nil, err
	}
	err = s.store.CreateSession(ctx, *session, hash)
	if errors.Is(err, ErrNotFound) { // disabled, or the password was changed, since it was read
		return nil, ErrInvalidCredentials
	}
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	s.renewHash(ctx, user, hash, request.Password)
	return s.tokens(session.state(*user), refreshToken, now)
}

// checkCredentials returns the user whom an address and a password belong to, and the hash that says so.
func (s *Service) checkCredentials(ctx context.Context, email string, password Secret) (*User, string, error) {
	normal, err := NormalizeEmail(email)
	if err != nil {
		return nil, "", err
	}
	user, hash, err := s.store.UserByEmail(ctx, normal)
	switch {
	case errors.Is(err, ErrNotFound):
		user, hash = &User{}, ""
	case err != nil:
		return nil, "", err
	case user.DisabledAt != nil:
		hash = ""
	}
	match, err := s.passwords.verify(ctx, hash, password)
	if err != nil {
		return nil, "", err
	}
	if !match {
		return nil, "", ErrInvalidCredentials
	}
	return user, hash, nil
}

// renewHash replaces a hash weaker than today's. The sign-in has succeeded already and does not depend on
// it: the next one tries again.
func (s *Service) renewHash(ctx context.Context, user *User, hash string, password Secret) {
	if !s.passwords.weaker(hash) {
		return
	}
	renewed, err := s.passwords.hash(ctx, password)
	if err == nil {
		err = s.store.ReplacePasswordHash(ctx, user.ID, hash, renewed)
	}
	if err != nil {
		s.log.WarnContext(ctx, "password hash not renewed", "user", logID(user.ID), "error", err)
	}
}
