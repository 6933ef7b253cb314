package auth

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"
)

// Actor is who does something to another user's account.
type Actor struct {
	UserID *uuid.UUID // an administrator; nil for an operator at the server's command line
	Client Client
}

// UserPage is a part of the list of users, in the order of their normalised addresses.
type UserPage struct {
	Users []User
	More  bool // whether there are more behind it
}

// Cursor returns the place of the user in the list of users as a text for Users.
func (u *User) Cursor() (string, error) {
	normal, err := NormalizeEmail(u.Email)
	return base64.RawURLEncoding.EncodeToString([]byte(normal)), err
}

// Users returns up to first users in the order of their normalised e-mail addresses: those after the one that a
// cursor stands for, or the first where it is nil, whose address begins with search, in any letter case.
// Errors: *InvalidInputError, ErrUnavailable.
func (s *Service) Users(ctx context.Context, search string, first int, after *string) (*UserPage, error) {
	if err := checkPageSize(first); err != nil {
		return nil, err
	}
	if len(search) > 254 || hasControl(search) {
		return nil, &InvalidInputError{Field: "search", Problem: "is not the beginning of an address"}
	}
	query := UserQuery{Prefix: norm.NFC.String(strings.ToLower(norm.NFC.String(search))), Limit: first + 1}
	if after != nil {
		raw, err := base64.RawURLEncoding.Strict().DecodeString(*after)
		if err != nil || hasControl(string(raw)) {
			return nil, errMalformedCursor
		}
		query.After = string(raw)
	}
	users, err := s.store.Users(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", err)
	}
	return &UserPage{Users: users[:min(first, len(users))], More: len(users) > first}, nil
}

// User returns a user. Errors: ErrNotFound, ErrUnavailable.
func (s *Service) User(ctx context.Context, id uuid.UUID) (*User, error) {
	user, err := s.store.User(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return user, nil
}

// UserByEmail returns the user with an address. Errors: *InvalidInputError, ErrNotFound, ErrUnavailable.
func (s *Service) UserByEmail(ctx context.Context, email string) (*User, error) {
	normal, err := NormalizeEmail(email)
	if err != nil {
		return nil, err
	}
	user, _, err := s.store.UserByEmail(ctx, normal)
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	return user, nil
}

// What follows is done in one transaction with its event, and counts from then on, at every server and for tokens
// that were issued before. Doing it twice is no error. An actor who is not an administrator any more gets
// ErrForbidden. Further errors: ErrNotFound where there is no such user, ErrLastAdmin where no enabled
// administrator would be left, ErrUnavailable.

// SetRole changes what a user may do.
func (s *Service) SetRole(ctx context.Context, actor Actor, id uuid.UUID, role Role) error {
	act, err := s.act(actor, id)
	if err != nil {
		return err
	}
	if err := s.store.SetRole(ctx, act, role); err != nil {
		return fmt.Errorf("set role: %w", err)
	}
	s.logAct(ctx, "role set", act, "role", role)
	return nil
}

// DisableUser bars a user from signing in and ends all sessions of that user with the reason UserDisabled. It
// returns how many it ended.
func (s *Service) DisableUser(ctx context.Context, actor Actor, id uuid.UUID) (ended int, err error) {
	act, err := s.act(actor, id)
	if err != nil {
		return 0, err
	}
	ended, err = s.store.DisableUser(ctx, act)
	if err != nil {
		return 0, fmt.Errorf("disable user: %w", err)
	}
	s.logAct(ctx, "user disabled", act, "sessionsEnded", ended)
	return ended, nil
}

// EnableUser lets a user sign in again. Sessions that had ended stay ended.
func (s *Service) EnableUser(ctx context.Context, actor Actor, id uuid.UUID) error {
	act, err := s.act(actor, id)
	if err != nil {
		return err
	}
	if err := s.store.EnableUser(ctx, act); err != nil {
		return fmt.Errorf("enable user: %w", err)
	}
	s.logAct(ctx, "user enabled", act)
	return nil
}

// RevokeUserSessions ends all sessions of a user with the reason Admin. It returns how many it ended.
func (s *Service) RevokeUserSessions(ctx context.Context, actor Actor, id uuid.UUID) (ended int, err error) {
	act, err := s.act(actor, id)
	if err != nil {
		return 0, err
	}
	ended, err = s.store.EndUserSessions(ctx, act)
	if err != nil {
		return 0, fmt.Errorf("revoke sessions of user: %w", err)
	}
	s.logAct(ctx, "sessions ended", act, "reason", Admin, "count", ended)
	return ended, nil
}

func (s *Service) act(actor Actor, id uuid.UUID) (AdminAct, error) {
	mark, err := newID()
	return AdminAct{UserID: id, ActorID: actor.UserID, Now: s.now(), Client: actor.Client, Mark: mark}, err
}
