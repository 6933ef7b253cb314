package db

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"runtime"

	"github.com/jmoiron/sqlx"
	_ "modernc.org/sqlite" // the driver "sqlite", in pure Go
)

// sqliteOptions stand in the DSN, since a PRAGMA by statement would reach one connection of the pool.
// synchronous=FULL: a commit that was acknowledged survives a power cut.
const sqliteOptions = "_journal_mode=WAL&_busy_timeout=10000&_foreign_keys=1&_synchronous=FULL&_txlock=immediate&_dqs=0" +
	"&_timezone=UTC&_time_integer_format=unix_micro&_inttotime=1"

func init() { sqlx.BindDriver("sqlite", sqlx.QUESTION) }

// openSQLite opens a file, making it where there is none, for one writer, which is all that SQLite can
// serve, and for readers that cannot write.
func openSQLite(path string) (write, read *sqlx.DB, err error) {
	// SQLite would let everybody read it. Its other files take over the mode of this one.
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := file.Close(); err != nil {
		return nil, nil, err
	}
	dsn := sqliteDSN(path, sqliteOptions)
	if write, err = sqlx.Open("sqlite", dsn); err != nil {
		return nil, nil, err
	}
	write.SetMaxOpenConns(1)
	// Of several that make the file at once all but one are told that it is locked, without waiting.
	if err = withRetry(context.Background(), write.PingContext); err != nil {
		_ = write.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if read, err = sqlx.Open("sqlite", dsn+"&_query_only=1"); err != nil {
		_ = write.Close()
		return nil, nil, err
	}
	readers := max(4, runtime.NumCPU())
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return write, read, nil
}

// sqliteDSN returns a file: URI, in which a path with a question mark stays one.
func sqliteDSN(path, options string) string {
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: options}).String()
}
