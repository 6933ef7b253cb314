package db

import (
	"context"
	"fmt"

	"latchkey/auth"
)

// CleanUp implements auth.CleanUpStore. Servers that clean up at once delete a row once, and each goes on.
func (s *Store) CleanUp(ctx context.Context, old auth.Old, limit int) (deleted int, err error) {
	// The limit stands in the text, so that PostgreSQL knows how few rows it is about when it plans.
	for _, each := range []struct {
		statement string
		args      []any
	}{
		{`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < ? ORDER BY expires_at LIMIT %d)`,
			[]any{old.SessionsExpiredBefore}},
		{`DELETE FROM events WHERE id IN (SELECT id FROM events WHERE created_at < ? ORDER BY created_at LIMIT %d)`,
			[]any{old.EventsBefore}},
		// A budget may have been used since it was found.
		{`DELETE FROM throttles WHERE used_to < ? AND bucket IN (SELECT bucket FROM throttles WHERE used_to < ? ORDER BY used_to LIMIT %d)`,
			[]any{old.BudgetsBefore.UnixMicro(), old.BudgetsBefore.UnixMicro()}},
	} {
		count := 0
		err := s.do(ctx, func(ctx context.Context) error {
			var err error
			count, err = s.writer().exec(ctx, fmt.Sprintf(each.statement, limit), each.args...)
			return err
		})
		if err != nil {
			return deleted, err
		}
		deleted += count
	}
	return deleted, nil
}
