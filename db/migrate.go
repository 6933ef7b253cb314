package db

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations
var migrationFiles embed.FS

// migrations are those of one dialect, and the lock that keeps servers which start at once apart.
type migrations struct {
	dialect goose.Dialect
	folder  string
	locker  func() (lock.Locker, error)
}

// A lock in a table, since a session's lock does not survive PgBouncer. Five minutes, for another
// server's migration; goose takes over from a server that died after half a minute.
var postgresMigrations = migrations{
	dialect: goose.DialectPostgres,
	folder:  "migrations/postgres",
	locker: func() (lock.Locker, error) {
		return lock.NewPostgresTableLocker(lock.WithTableLockTimeout(250*time.Millisecond, 1200))
	},
}

func sqliteMigrations(path string) migrations {
	return migrations{
		dialect: goose.DialectSQLite3,
		folder:  "migrations/sqlite",
		locker:  func() (lock.Locker, error) { return &sideFileLock{path: path + ".migrating"}, nil },
	}
}

// run brings a database up to date, and says within a timeout if it does not answer at all. Where it is up
// to date already, which is what most starts find, no lock is taken.
func (m migrations) run(ctx context.Context, pool *sql.DB, timeout time.Duration) error {
	answering, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := pool.PingContext(answering); err != nil {
		return err
	}
	files, err := fs.Sub(migrationFiles, m.folder)
	if err != nil {
		return err
	}
	locker, err := m.locker()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(m.dialect, pool, files, goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	sources := provider.ListSources()
	var applied int64
	err = pool.QueryRowContext(answering, `SELECT version_id FROM goose_db_version WHERE is_applied ORDER BY version_id DESC LIMIT 1`).Scan(&applied)
	if err == nil && applied >= sources[len(sources)-1].Version {
		return nil // or of a newer server: migrations keep older ones running
	}
	_, err = provider.Up(ctx)
	return err
}

// sideFileLock is a lock for SQLite, which goose has none for: an exclusive transaction on a file of its
// own beside the database. It ends with the process that holds it.
type sideFileLock struct {
	path string
	pool *sql.DB
	tx   *sql.Tx
}

// Lock implements lock.Locker.
func (l *sideFileLock) Lock(ctx context.Context, _ *sql.DB) error {
	pool, err := sql.Open("sqlite", sqliteDSN(l.path, "_txlock=exclusive&_busy_timeout=300000"))
	if err != nil {
		return err
	}
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return errors.Join(fmt.Errorf("lock %s: %w", l.path, err), pool.Close())
	}
	l.pool, l.tx = pool, tx
	return nil
}

// Unlock implements lock.Locker.
func (l *sideFileLock) Unlock(context.Context, *sql.DB) error {
	return errors.Join(l.tx.Rollback(), l.pool.Close())
}
