package db

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"latchkey/auth"
)

const userColumns = `id, email, name, role, created_at, disabled_at`

type userRow struct {
	ID         uuid.UUID `db:"id"`
	Email      string    `db:"email"`
	Name       *string   `db:"name"`
	Role       auth.Role `db:"role"`
	CreatedAt  instant   `db:"created_at"`
	DisabledAt *instant  `db:"disabled_at"`
}

func (r *userRow) user() auth.User {
	return auth.User{
		ID: r.ID, Email: r.Email, Name: r.Name, Role: r.Role,
		CreatedAt: r.CreatedAt.Time, DisabledAt: r.DisabledAt.pointer(),
	}
}

// CreateUser implements auth.UserStore.
func (s *Store) CreateUser(ctx context.Context, user auth.NewUser, session *auth.NewSession) error {
	var refunded auth.Refund
	if session != nil {
		refunded = session.Refund
	}
	return s.transactRefunding(ctx, refunded, func(ctx context.Context, tx queries) error {
		added, err := tx.exec(ctx, `
			INSERT INTO users (id, email, normalized_email, name, role, password_hash, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			user.ID, user.Email, user.NormalizedEmail, user.Name, user.Role, user.PasswordHash, user.CreatedAt)
		if err != nil {
			return err
		}
		if added == 0 {
			var owner uuid.UUID
			err := tx.get(ctx, &owner, `SELECT id FROM users WHERE normalized_email = ?`, user.NormalizedEmail)
			if err != nil {
				return err
			}
			if owner != user.ID {
				return auth.ErrEmailTaken
			}
			return nil // our own transaction was committed, and its answer was lost
		}
		if session == nil {
			return nil
		}
		_, err = beginSession(ctx, tx, session, user.PasswordHash, auth.SignedUp)
		return err
	})
}

// UserByEmail implements auth.UserStore.
func (s *Store) UserByEmail(ctx context.Context, normalizedEmail string) (*auth.User, string, error) {
	var row struct {
		userRow
		PasswordGeneration int    `db:"password_generation"`
		PasswordHash       string `db:"password_hash"`
	}
	err := s.do(ctx, func(ctx context.Context) error {
		return s.reader().get(ctx, &row,
			`SELECT `+userColumns+`, password_generation, password_hash FROM users WHERE normalized_email = ?`, normalizedEmail)
	})
	if err != nil {
		return nil, "", err
	}
	user := row.user()
	user.PasswordGeneration = row.PasswordGeneration
	return &user, row.PasswordHash, nil
}

// ReplacePasswordHash implements auth.UserStore.
func (s *Store) ReplacePasswordHash(ctx context.Context, userID uuid.UUID, oldHash, newHash string) error {
	return s.do(ctx, func(ctx context.Context) error {
		_, err := s.writer().exec(ctx,
			`UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?`, newHash, userID, oldHash)
		return err
	})
}

// ChangePassword implements auth.UserStore.
func (s *Store) ChangePassword(ctx context.Context, change auth.PasswordChange) (ended int, err error) {
	err = s.transactRefunding(ctx, change.Refund, func(ctx context.Context, tx queries) error {
		var generation int
		err := tx.get(ctx, &generation, `
			UPDATE users SET password_hash = ?, password_generation = password_generation + 1
			WHERE id = ? AND password_hash = ? AND disabled_at IS NULL
			RETURNING password_generation`, change.NewHash, change.UserID, change.OldHash)
		changed := err == nil
		if errors.Is(err, sql.ErrNoRows) { // or our own transaction was committed, and its answer was lost
			err = tx.get(ctx, &generation, `SELECT password_generation FROM users WHERE id = ? AND password_hash = ?`, change.UserID, change.NewHash)
		}
		if err != nil {
			return err
		}
		kept, err := tx.exec(ctx, `UPDATE sessions SET password_generation = ? WHERE id = ? AND user_id = ? AND revoked_at IS NULL`,
			generation, change.Except, change.UserID)
		if err != nil {
			return err
		}
		if kept == 0 {
			return sql.ErrNoRows
		}
		if changed {
			if err := refund(ctx, tx, change.Refund); err != nil {
				return err
			}
		}
		if ended, err = endSessions(ctx, tx, change.OthersEnd); err != nil {
			return err
		}
		return record(ctx, tx, newEvent{
			id: change.Mark, userID: change.UserID, kind: auth.PasswordWasChanged, sessionID: &change.Except,
			ended: &ended, client: change.Client, now: change.Now,
		})
	})
	return ended, err
}

// User implements auth.UserStore.
func (s *Store) User(ctx context.Context, id uuid.UUID) (*auth.User, error) {
	var row userRow
	err := s.do(ctx, func(ctx context.Context) error {
		row = userRow{}
		return s.reader().get(ctx, &row, `SELECT `+userColumns+` FROM users WHERE id = ?`, id)
	})
	if err != nil {
		return nil, err
	}
	user := row.user()
	return &user, nil
}

// Users implements auth.UserStore.
func (s *Store) Users(ctx context.Context, query auth.UserQuery) ([]auth.User, error) {
	statement, args := `SELECT `+userColumns+` FROM users WHERE normalized_email > ?`, []any{query.After}
	if query.Prefix != "" {
		// What begins with a text is from it on, and before it with the last code point behind it.
		statement += ` AND normalized_email >= ? AND normalized_email < ?`
		args = append(args, query.Prefix, query.Prefix+"\U0010FFFF")
	}
	statement += ` ORDER BY normalized_email LIMIT ?`
	var rows []userRow
	err := s.do(ctx, func(ctx context.Context) error {
		rows = nil
		return s.reader().all(ctx, &rows, statement, append(args, query.Limit)...)
	})
	if err != nil {
		return nil, err
	}
	users := make([]auth.User, len(rows))
	for i := range rows {
		users[i] = rows[i].user()
	}
	return users, nil
}
