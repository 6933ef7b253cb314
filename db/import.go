package db

import (
	"context"
	"strings"

	"latchkey/auth"
)

// ImportUsers implements auth.UserStore.
func (s *Store) ImportUsers(ctx context.Context, users []auth.NewUser) (added int, err error) {
	if len(users) == 0 {
		return 0, nil
	}
	const row = `(?, ?, ?, ?, ?, ?, ?, ?)`
	statement := `INSERT INTO users (id, email, normalized_email, name, role, password_hash, created_at, disabled_at) VALUES ` +
		strings.Repeat(row+`, `, len(users)-1) + row + ` ON CONFLICT DO NOTHING`
	var args []any
	for _, u := range users {
		args = append(args, u.ID, u.Email, u.NormalizedEmail, u.Name, u.Role, u.PasswordHash, u.CreatedAt, u.DisabledAt)
	}
	err = s.do(ctx, func(ctx context.Context) error {
		added, err = s.writer().exec(ctx, statement, args...)
		return err
	})
	return added, err
}

// UserRecords implements auth.UserStore.
func (s *Store) UserRecords(ctx context.Context, query auth.UserQuery) ([]auth.NewUser, error) {
	var rows []struct {
		userRow
		NormalizedEmail string `db:"normalized_email"`
		PasswordHash    string `db:"password_hash"`
	}
	err := s.do(ctx, func(ctx context.Context) error {
		rows = nil
		return s.reader().all(ctx, &rows, `SELECT `+userColumns+`, normalized_email, password_hash
			FROM users WHERE normalized_email > ? ORDER BY normalized_email LIMIT ?`, query.After, query.Limit)
	})
	if err != nil {
		return nil, err
	}
	users := make([]auth.NewUser, len(rows))
	for i, r := range rows {
		users[i] = auth.NewUser{User: r.user(), NormalizedEmail: r.NormalizedEmail, PasswordHash: r.PasswordHash}
	}
	return users, nil
}
