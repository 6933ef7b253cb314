package db

import (
	"context"
	"time"
)

// Condition is what a database says of itself, as far as it matters to whoever relies on it.
type Condition struct {
	Product string // with its version
	// Replica says that it takes no writes; NoFsync and NoSynchronousCommit that a crash loses what it acknowledged. SQLite
	// is opened so that it is none of these.
	Replica, NoFsync, NoSynchronousCommit bool
}

// Condition asks the database for its condition. Errors: auth.ErrUnavailable.
func (s *Store) Condition(ctx context.Context) (Condition, error) {
	var condition Condition
	err := s.do(ctx, func(ctx context.Context) error {
		if s.sqlite {
			return s.reader().get(ctx, &condition.Product, `SELECT 'SQLite ' || sqlite_version()`)
		}
		var row struct {
			Version           string `db:"version"`
			Recovering        bool   `db:"recovering"`
			ReadOnly          string `db:"read_only"`
			Fsync             string `db:"fsync"`
			SynchronousCommit string `db:"synchronous_commit"`
		}
		err := s.reader().get(ctx, &row, `
			SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS recovering, current_setting('fsync') AS fsync,
				current_setting('transaction_read_only') AS read_only, current_setting('synchronous_commit') AS synchronous_commit`)
		condition = Condition{
			Product: "PostgreSQL " + row.Version, Replica: row.Recovering || row.ReadOnly == "on",
			NoFsync: row.Fsync == "off", NoSynchronousCommit: row.SynchronousCommit == "off",
		}
		return err
	})
	return condition, err
}

// ClockSkew returns how far the database's clock is ahead of now, or behind: to within the time that the answer took.
// SQLite has the clock of this machine. Errors: auth.ErrUnavailable.
func (s *Store) ClockSkew(ctx context.Context, now func() time.Time) (time.Duration, error) {
	var skew time.Duration
	err := s.do(ctx, func(ctx context.Context) error {
		if s.sqlite {
			var one int
			return s.reader().get(ctx, &one, `SELECT 1`)
		}
		before := now()
		var there instant
		err := s.reader().get(ctx, &there, `SELECT clock_timestamp()`)
		skew = there.Sub(before.Add(now().Sub(before) / 2))
		return err
	})
	return skew, err
}
