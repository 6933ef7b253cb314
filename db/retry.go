package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/lib/pq"
	"github.com/sethvargo/go-retry"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// withRetry runs an operation up to five times while it fails in a way that may pass, with growing and
// scattered pauses, and returns its last error.
func withRetry(ctx context.Context, operation func(ctx context.Context) error) error {
	backoff := retry.NewExponential(10 * time.Millisecond)
	backoff = retry.WithCappedDuration(500*time.Millisecond, backoff)
	backoff = retry.WithJitterPercent(50, backoff)
	backoff = retry.WithMaxRetries(4, backoff)
	var last error
	err := retry.Do(ctx, backoff, func(ctx context.Context) error {
		last = operation(ctx)
		if isTransient(last) {
			return retry.RetryableError(last)
		}
		return last
	})
	if err != nil && last != nil {
		return last // which says more than that the time was up
	}
	return err
}

// isTransient reports whether an operation that failed so may succeed if it is simply tried again.
func isTransient(err error) bool {
	if errors.Is(err, errOutdated) {
		return true
	}
	if state, ok := sqlState(err); ok {
		switch state {
		case "40001", // serialization_failure
			"40P01",                   // deadlock_detected
			"55P03",                   // lock_not_available
			"53300",                   // too_many_connections
			"57P01", "57P02", "57P03", // shutdown, crash, starting up
			"25006": // read_only_sql_transaction: still connected to a former primary
			return true
		case "08P01": // protocol_violation: a fault of ours, or else whatever befalls PgBouncer
			var postgres *pq.Error
			return errors.As(err, &postgres) && postgres.Fatal()
		}
		return strings.HasPrefix(state, "08")
	}
	if code, ok := sqliteCode(err); ok {
		return code == sqlite3.SQLITE_BUSY || code == sqlite3.SQLITE_LOCKED
	}
	return isConnectionLoss(err)
}

// isUnavailable reports whether a failure means that the database is away or cannot serve now, rather
// than that the statement was wrong.
func isUnavailable(err error) bool {
	if isTransient(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	if state, ok := sqlState(err); ok {
		switch state[:2] {
		case "53", "57", "58": // insufficient resources, operator intervention, system error
			return true
		}
		return false
	}
	if code, ok := sqliteCode(err); ok {
		switch code {
		case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_INTERRUPT:
			return true
		}
	}
	return false
}

func isConnectionLoss(err error) bool {
	var network net.Error
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, errBrokenOff) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network) && !errors.Is(err, context.DeadlineExceeded)
}

// sqlState returns PostgreSQL's error code (its manual, appendix A).
func sqlState(err error) (string, bool) {
	var postgres *pq.Error
	if errors.As(err, &postgres) && len(postgres.Code) == 5 {
		return string(postgres.Code), true
	}
	return "", false
}

// sqliteCode returns SQLite's primary result code.
func sqliteCode(err error) (int, bool) {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() & 0xff, true
	}
	return 0, false
}
