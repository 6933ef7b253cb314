// Package db keeps Latchkey's users, sessions and keys in SQLite or PostgreSQL. It implements
// [auth.Store] with the same statements on both; only migrations and opening differ.
//
// Every change is one guarded statement, or a transaction, that may run twice with one effect: drivers
// repeat a statement whose answer was lost without telling, and so does this package.
package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"

	"latchkey/auth"
	"latchkey/telemetry"
)

// Store is a database. It is safe for concurrent use.
type Store struct {
	write   *sqlx.DB
	read    *sqlx.DB // the same as write where the database allows many writers
	sqlite  bool
	schema  migrations
	timeout time.Duration
	log     *slog.Logger
	turns   turns

	sessionReads batches[uuid.UUID, *stateRow]
	rotations    *changes[auth.Rotation]
	ends         *changes[auth.SessionEnd]
	confirmed    map[int]string // the statements that confirm several generations, by how many
}

// Stats returns how the pools of connections are doing, by name: write and, where it is another one, read.
func (s *Store) Stats() map[string]sql.DBStats {
	stats := map[string]sql.DBStats{"write": s.write.Stats()}
	if s.read != s.write {
		stats["read"] = s.read.Stats()
	}
	return stats
}

var _ auth.Store = (*Store)(nil)

// Options say how to reach a database. All but Prepare must be set.
type Options struct {
	URL     string        // sqlite:PATH or postgres://…
	Timeout time.Duration // the most that one operation takes, its retries included
	Log     *slog.Logger  // at debug level it gets every statement, without its arguments
	Prepare Prepare       // on which connections to PostgreSQL; the zero value is PrepareAuto
}

// Open is Connect and Migrate.
func Open(ctx context.Context, options Options) (*Store, error) {
	store, err := Connect(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := store.Migrate(ctx); err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return store, nil
}

// Connect opens a database as it is. One that is away is an error here. Errors never contain the password.
func Connect(ctx context.Context, options Options) (*Store, error) {
	store := &Store{timeout: options.Timeout, log: options.Log, turns: turns{held: map[any]*turn{}}}
	var err error
	switch path, isSQLite := strings.CutPrefix(options.URL, "sqlite:"); {
	case isSQLite:
		store.write, store.read, err = openSQLite(path)
		store.schema, store.sqlite = sqliteMigrations(path), true
	default:
		var pool *sql.DB
		pool, err = openPostgres(options.URL, options.Timeout, options.Prepare)
		store.write = sqlx.NewDb(pool, "postgres")
		store.read = store.write
		store.schema = postgresMigrations
	}
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	store.sessionReads.ask, store.rotations, store.ends = store.readSessions, newRotations(store), newEnds(store)
	store.confirmed = confirmationChange.textsBySize(store.skipLocked())
	answering, cancel := context.WithTimeout(ctx, options.Timeout)
	defer cancel()
	if err := store.write.PingContext(answering); err != nil {
		return nil, errors.Join(fmt.Errorf("open database: %w", err), store.Close())
	}
	return store, nil
}

// Close closes all connections.
func (s *Store) Close() error {
	err := s.write.Close()
	if s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	return err
}

// do runs an operation, again where the database asks for it, within the store's timeout and whatever
// becomes of the caller: one that hangs up would otherwise have lib/pq throw a connection away.
func (s *Store) do(ctx context.Context, operation func(ctx context.Context) error) error {
	return s.doWithin(ctx, s.timeout, operation)
}

// doWithin is do with another timeout.
func (s *Store) doWithin(ctx context.Context, timeout time.Duration, operation func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	err := withRetry(ctx, operation)
	if late := ctx.Err(); late != nil {
		// Whatever came of it. A commit that waits for a replica and is then cancelled succeeds, with a
		// warning, without it (PostgreSQL's manual, "synchronous_commit"): a failover would lose what we
		// acknowledged. And a transaction may only say that it is over (sql.ErrTxDone).
		return fmt.Errorf("%w: %w", auth.ErrUnavailable, errors.Join(late, err))
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return auth.ErrNotFound
	case isUnavailable(err):
		return fmt.Errorf("%w: %w", auth.ErrUnavailable, err)
	}
	return err
}

// transact runs an operation in a transaction, which may be tried several times.
func (s *Store) transact(ctx context.Context, operation func(ctx context.Context, tx queries) error) error {
	return s.do(ctx, s.inTransaction(operation))
}

func (s *Store) inTransaction(operation func(ctx context.Context, tx queries) error) func(context.Context) error {
	return func(ctx context.Context) error {
		tx, err := s.write.BeginTxx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // no effect after a commit
		if err := operation(ctx, queries{tx, s.log}); err != nil {
			return err
		}
		return tx.Commit()
	}
}

// inTurn has an operation wait until no other one of this server, of those in turn, changes what has a key: a session or a
// bucket.
func (s *Store) inTurn(key any, operation func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		release, err := s.turns.take(ctx, key)
		if err != nil {
			return err
		}
		defer release()
		return operation(ctx)
	}
}

func (s *Store) reader() queries { return queries{s.read, s.log} }
func (s *Store) writer() queries { return queries{s.write, s.log} }

// queries runs statements, written with ?, on a pool or in a transaction.
type queries struct {
	on  sqlx.ExtContext
	log *slog.Logger
}

// get reads the one row of a statement. Errors: sql.ErrNoRows.
func (q queries) get(ctx context.Context, dest any, statement string, args ...any) error {
	ctx, text, done := q.begin(ctx, statement)
	err := sqlx.GetContext(ctx, q.on, dest, text, args...)
	done(err)
	return err
}

// all reads the rows of a statement.
func (q queries) all(ctx context.Context, dest any, statement string, args ...any) error {
	ctx, text, done := q.begin(ctx, statement)
	err := sqlx.SelectContext(ctx, q.on, dest, text, args...)
	done(err)
	return err
}

// exec runs a statement and returns how many rows it changed.
func (q queries) exec(ctx context.Context, statement string, args ...any) (int, error) {
	ctx, text, done := q.begin(ctx, statement)
	result, err := q.on.ExecContext(ctx, text, args...)
	done(err)
	if err != nil {
		return 0, err
	}
	count, err := result.RowsAffected()
	return int(count), err
}

// begin returns the text of a statement for this database, and what is to be told how it ended. Neither the log nor the
// trace gets its arguments, nor its errors, which can quote them.
func (q queries) begin(ctx context.Context, statement string) (_ context.Context, text string, done func(error)) {
	q.log.DebugContext(ctx, "statement", "sql", statement)
	text = q.on.Rebind(statement)
	ctx, span := telemetry.Span(ctx, "statement", attribute.String("db.query.text", text))
	return ctx, text, func(err error) {
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
