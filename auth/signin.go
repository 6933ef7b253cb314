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
	Presented  Secret   // as that of LoginRequest
}

// SignUp makes an account and signs its user in, both or neither.
// Errors: ErrSignUpClosed, *InvalidInputError, *WeakPasswordError, *TooManyAttemptsError, *RateLimitedError,
// ErrEmailTaken, ErrUnavailable.
func (s *Service) SignUp(ctx context.Context, request SignUpRequest, client Client) (*Tokens, error) {
	if s.settings.SignUpClosed {
		return nil, ErrSignUpClosed
	}
	now := s.now()
	deviceName, err := label("deviceName", request.DeviceName, maxLabelLength)
	if err != nil {
		return nil, err
	}
	user, err := s.newUser(request.Email, request.Password, request.Name, now)
	if err != nil {
		return nil, err
	}
	attempt, err := s.admit(ctx, client, now)
	if err != nil {
		return nil, fmt.Errorf("sign up: %w", err)
	}
	defer attempt.leave()
	if user.PasswordHash, err = s.passwords.hash(ctx, request.Password); err != nil {
		return nil, fmt.Errorf("sign up: %w", err)
	}
	session, refreshToken, err := s.newSession(ctx, user.ID, deviceName, request.Delivery, client, now)
	if err != nil {
		return nil, err
	}
	session.Refund, session.Replaces = attempt.refund(), s.sessionOf(ctx, request.Presented)
	if err := s.store.CreateUser(ctx, *user, session); err != nil {
		return nil, fmt.Errorf("sign up: %w", err)
	}
	s.logSignIn(ctx, "signed up", session)
	tokens, err := s.tokens(session.state(user.User), refreshToken, now)
	if err != nil {
		return nil, err
	}
	tokens.DeviceToken = s.keys.newDeviceToken(user.NormalizedEmail, user.PasswordGeneration, now)
	return tokens, nil
}

// LoginRequest is what a person gives to sign in.
type LoginRequest struct {
	Email      string
	Password   Secret
	DeviceName *string
	Delivery   Delivery // empty: ByBody
	// Presented is the refresh token that the client had until now, or anything else. If it is one of this server,
	// its session ends when the new one begins (OWASP ASVS 5.0, 7.2.4).
	Presented Secret
	// DeviceToken is the Tokens.DeviceToken that the client was given last, or anything else.
	DeviceToken Secret
}

// Login signs a user in. The attempt is counted before its password is looked at, and given back if it succeeds.
// An unknown address, a disabled account and a wrong password are one answer, after the same work (OWASP
// Authentication Cheat Sheet).
// Errors: ErrInvalidCredentials, *InvalidInputError, *TooManyAttemptsError, *RateLimitedError, ErrUnavailable.
func (s *Service) Login(ctx context.Context, request LoginRequest, client Client) (*Tokens, error) {
	now := s.now()
	deviceName, err := label("deviceName", request.DeviceName, maxLabelLength)
	if err != nil {
		return nil, err
	}
	normal, err := NormalizeEmail(request.Email)
	if err != nil {
		return nil, err
	}
	device, known := s.keys.parseDeviceToken(request.DeviceToken, normal)
	own := s.accountBucket(normal)
	if known {
		own = s.deviceBucket(device)
	}
	attempt, err := s.admit(ctx, client, now, own)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	defer attempt.leave()
	user, hash, err := s.userByEmail(ctx, normal)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	if known && device.passwordGeneration != user.PasswordGeneration { // no longer
		known = false
		own = s.accountBucket(normal)
		attempt.own = &own
		if err := s.charge(ctx, attempt, []Bucket{own}, now); err != nil {
			return nil, fmt.Errorf("login: %w", err)
		}
	}
	match, err := s.passwords.verify(ctx, hash, request.Password)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	if !match {
		return nil, s.fail(ctx, attempt, LoginFailed, user.ID, client, now)
	}
	session, refreshToken, err := s.newSession(ctx, user.ID, deviceName, request.Delivery, client, now)
	if err != nil {
		return nil, err
	}
	session.Refund, session.Replaces = attempt.refund(), s.sessionOf(ctx, request.Presented)
	err = s.store.CreateSession(ctx, *session, hash)
	if errors.Is(err, ErrNotFound) { // disabled, or the password was changed, since it was read
		return nil, s.fail(ctx, attempt, LoginFailed, user.ID, client, now)
	}
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	s.logSignIn(ctx, "logged in", session)
	s.renewHash(ctx, user, hash, request.Password)
	tokens, err := s.tokens(session.state(*user), refreshToken, now)
	if err != nil {
		return nil, err
	}
	if !known {
		tokens.DeviceToken = s.keys.newDeviceToken(normal, user.PasswordGeneration, now)
	}
	return tokens, nil
}

// userByEmail returns the user with an address and the hash that lets the user in: none where the user is
// disabled. Where there is no such user it is one without an id.
func (s *Service) userByEmail(ctx context.Context, normalizedEmail string) (*User, string, error) {
	user, hash, err := s.store.UserByEmail(ctx, normalizedEmail)
	switch {
	case errors.Is(err, ErrNotFound):
		return &User{}, "", nil
	case err != nil:
		return nil, "", err
	case user.DisabledAt != nil:
		hash = ""
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
		s.log.WarnContext(ctx, "password hash not renewed", userHash(user.ID), "error", err)
	}
}
