package db

import (
	"context"

	"latchkey/auth"
)

type keyRow struct {
	Kind      string  `db:"kind"`
	Number    int     `db:"number"`
	ID        string  `db:"id"`
	Sealed    []byte  `db:"sealed"`
	CreatedAt instant `db:"created_at"`
}

// Keys implements auth.KeyStore.
func (s *Store) Keys(ctx context.Context) ([]auth.SealedKey, error) {
	var rows []keyRow
	err := s.do(ctx, func(ctx context.Context) error {
		rows = nil
		return s.reader().all(ctx, &rows, `SELECT kind, number, id, sealed, created_at FROM keys ORDER BY kind, number`)
	})
	if err != nil {
		return nil, err
	}
	keys := make([]auth.SealedKey, len(rows))
	for i, row := range rows {
		keys[i] = auth.SealedKey{Kind: row.Kind, Number: row.Number, ID: row.ID, Sealed: row.Sealed, CreatedAt: row.CreatedAt.Time}
	}
	return keys, nil
}

// AddKey implements auth.KeyStore.
func (s *Store) AddKey(ctx context.Context, key auth.SealedKey) error {
	return s.do(ctx, func(ctx context.Context) error {
		_, err := s.writer().exec(ctx, `
			INSERT INTO keys (kind, number, id, sealed, created_at) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (kind, number) DO NOTHING`,
			key.Kind, key.Number, key.ID, key.Sealed, key.CreatedAt)
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
