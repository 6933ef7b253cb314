package db

import (
	"context"
	"time"

	"latchkey/auth"
)

type keyRow struct {
	Kind      auth.KeyKind `db:"kind"`
	Number    int          `db:"number"`
	ID        string       `db:"id"`
	Sealed    []byte       `db:"sealed"`
	CreatedAt instant      `db:"created_at"`
	ActiveAt  *instant     `db:"active_at"`
	RevokedAt *instant     `db:"revoked_at"`
}

func (r *keyRow) key() auth.SealedKey {
	key := auth.SealedKey{
		Kind: r.Kind, Number: r.Number, ID: r.ID, Sealed: r.Sealed,
		CreatedAt: r.CreatedAt.Time, ActiveAt: r.CreatedAt.Time, RevokedAt: r.RevokedAt.pointer(),
	}
	if r.ActiveAt != nil {
		key.ActiveAt = r.ActiveAt.Time
	}
	return key
}

// Keys implements auth.KeyStore.
func (s *Store) Keys(ctx context.Context) ([]auth.SealedKey, error) {
	var rows []keyRow
	err := s.do(ctx, func(ctx context.Context) error {
		rows = nil
		return s.reader().all(ctx, &rows, `SELECT kind, number, id, sealed, created_at, active_at, revoked_at FROM keys ORDER BY kind, number`)
	})
	if err != nil {
		return nil, err
	}
	keys := make([]auth.SealedKey, len(rows))
	for i := range rows {
		keys[i] = rows[i].key()
	}
	return keys, nil
}

// AddKey implements auth.KeyStore.
func (s *Store) AddKey(ctx context.Context, key auth.SealedKey) error {
	return s.do(ctx, func(ctx context.Context) error {
		_, err := s.writer().exec(ctx, `
			INSERT INTO keys (kind, number, id, sealed, created_at, active_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (kind, number) DO NOTHING`,
			key.Kind, key.Number, key.ID, key.Sealed, key.CreatedAt, key.ActiveAt)
		return err
	})
}

// ResealKey implements auth.KeyStore.
func (s *Store) ResealKey(ctx context.Context, key auth.SealedKey, oldSealed []byte) error {
	return s.do(ctx, func(ctx context.Context) error {
		_, err := s.writer().exec(ctx,
			`UPDATE keys SET sealed = ? WHERE kind = ? AND number = ? AND sealed = ?`,
			key.Sealed, key.Kind, key.Number, oldSealed)
		return err
	})
}

// RevokeKey implements auth.KeyStore.
func (s *Store) RevokeKey(ctx context.Context, id string, now time.Time) error {
	return s.do(ctx, func(ctx context.Context) error {
		count, err := s.writer().exec(ctx, `UPDATE keys SET revoked_at = COALESCE(revoked_at, ?), sealed = ? WHERE id = ?`, now, []byte{}, id)
		if err == nil && count == 0 {
			return auth.ErrNotFound
		}
		return err
	})
}

// DeleteKey implements auth.KeyStore.
func (s *Store) DeleteKey(ctx context.Context, id string) error {
	return s.do(ctx, func(ctx context.Context) error {
		_, err := s.writer().exec(ctx, `DELETE FROM keys WHERE id = ? AND revoked_at IS NULL`, id)
		return err
	})
}
