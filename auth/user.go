package auth

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Role is what a user may do.
type Role string

// The roles, as they stand in the schema and in the `roles` claim.
const (
	RoleUser  Role = "USER"
	RoleAdmin Role = "ADMIN"
)

// User is a person with an account.
type User struct {
	ID         uuid.UUID
	Email      string // as it was typed
	Name       *string
	Role       Role
	CreatedAt  time.Time
	DisabledAt *time.Time // nil while the account is enabled
	// PasswordGeneration counts the passwords that the user has had, from 1. It is 0 in a User of a list.
	PasswordGeneration int
	SessionID          uuid.UUID // the session that the user was read through, uuid.Nil where none
}

// AddUser makes an account without signing anyone in. The operator's counterpart of SignUp: it works
// while sign-up is closed. Errors: *InvalidInputError, *WeakPasswordError, ErrEmailTaken.
func (s *Service) AddUser(ctx context.Context, email string, password Secret, role Role) (*User, error) {
	user, err := s.newUser(email, password, nil, s.now())
	if err != nil {
		return nil, err
	}
	user.Role = role
	if user.PasswordHash, err = s.passwords.hash(ctx, password); err != nil {
		return nil, fmt.Errorf("add user: %w", err)
	}
	if err := s.store.CreateUser(ctx, *user, nil); err != nil {
		return nil, fmt.Errorf("add user: %w", err)
	}
	return &user.User, nil
}

// newUser checks what a person typed. It leaves the PasswordHash to the caller.
func (s *Service) newUser(email string, password Secret, name *string, now time.Time) (*NewUser, error) {
	normal, err := NormalizeEmail(email)
	if err != nil {
		return nil, err
	}
	name, err = label("name", name, 200)
	if err != nil {
		return nil, err
	}
	if err := s.passwords.check("password", password, ownWords(s.settings.Issuer, email, name)); err != nil {
		return nil, err
	}
	id, err := newID()
	if err != nil {
		return nil, err
	}
	return &NewUser{
		User:            User{ID: id, Email: email, Name: name, Role: RoleUser, CreatedAt: now, PasswordGeneration: 1},
		NormalizedEmail: normal,
	}, nil
}
