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

// Migrate brings the schema up to date; however many servers do so at once, each migration runs once. Where it is up to
// date already, which is what most starts find, no lock is taken.
func (s *Store) Migrate(ctx context.Context) error {
	pending, _, err := s.PendingMigrations(ctx)
	if err != nil || pending == 0 {
		return err
	}
	provider, err := s.schema.provider(s.write.DB)
	if err == nil {
		_, err = provider.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("migrate database: %w", err)
	}
	return nil
}

// PendingMigrations returns how many migrations the database lacks, and how many there are. It lacks none where it is one
// of a newer server, since migrations keep older ones running.
func (s *Store) PendingMigrations(ctx context.Context) (pending, all int, err error) {
	provider, err := s.schema.provider(s.write.DB)
	if err != nil {
		return 0, 0, fmt.Errorf("migrate database: %w", err)
	}
	answering, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var applied int64
	err = s.write.QueryRowContext(answering, `SELECT version_id FROM goose_db_version WHERE is_applied ORDER BY version_id DESC LIMIT 1`).Scan(&applied)
	if isUnavailable(err) {
		return 0, 0, fmt.Errorf("migrate database: %w", err)
	}
	sources := provider.ListSources() // with another error all are pending: there is no such table
	for _, source := range sources {
		if source.Version > applied {
			pending++
		}
	}
	return pending, len(sources), nil
}

func (m migrations) provider(pool *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, m.folder)
	if err != nil {
		return nil, err
	}
	locker, err := m.locker()
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(m.dialect, pool, files, goose.WithLocker(locker), goose.WithDisableGlobalRegistry(true))
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
