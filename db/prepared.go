package db

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
)

// maxPrepared is how many texts a connection keeps in mind. Most of ours are constant; what is beyond runs unnamed.
const maxPrepared = 200

// errOutdated says that a statement did not run because what was prepared does not fit the database any more. It is not
// repeated by its name.
var errOutdated = errors.New("a prepared statement is out of date")

// statements are those that a connection has prepared. A text is prepared when the connection meets it again: what runs
// once, as migrations do, would only take longer.
type statements struct {
	known map[string]driver.Stmt // by text; nil where it ran once
	era   int64
	eras  *atomic.Int64 // of the whole pool: what is from another era is out of date

	// held is an answer that was read but not closed: for as long, lib/pq watches its context, and when that is done has the
	// server cancel what the connection does, and does not use the connection again. It would watch the context of a prepared
	// statement as well, but then have the caller wait until the server has been asked, though it may be silent.
	held   driver.Rows
	cancel context.CancelFunc
}

// knows reports whether a connection has met a text before, and takes note of it. Texts without arguments, of which
// some are several statements, are never prepared.
func (s *statements) knows(text string, args []driver.NamedValue) bool {
	if s == nil || len(args) == 0 {
		return false
	}
	if era := s.eras.Load(); s.era != era {
		clear(s.known) // the server forgets them with the connection, which lives some minutes
		s.era = era
	}
	if _, known := s.known[text]; known {
		return true
	}
	if len(s.known) >= maxPrepared { // those that ran once give way
		maps.DeleteFunc(s.known, func(_ string, prepared driver.Stmt) bool { return prepared == nil })
	}
	if len(s.known) < maxPrepared {
		s.known[text] = nil
	}
	return false
}

// prepared returns the statement of a text that the connection knows.
func (c *watchedConn) prepared(ctx context.Context, text string) (preparedStatement, error) {
	statement := c.statements.known[text]
	if statement == nil {
		var err error
		if statement, err = c.pqConn.PrepareContext(ctx, text); err != nil {
			return preparedStatement{}, c.outdated(err, nameTaken)
		}
		c.statements.known[text] = statement
	}
	full, ok := statement.(lastingStmt)
	if !ok {
		return preparedStatement{}, fmt.Errorf("%T lacks an interface of database/sql/driver", statement)
	}
	return preparedStatement{full, c}, nil
}

// lastingStmt is what a statement of lib/pq can do.
type lastingStmt interface {
	driver.StmtQueryContext
	driver.StmtExecContext
}

// preparedStatement is a statement that the server knows by a name.
type preparedStatement struct {
	statement lastingStmt
	conn      *watchedConn
}

func (p preparedStatement) query(ctx context.Context, args []driver.NamedValue) (*wholeRows, error) {
	defer p.conn.cancelledWith(ctx)()
	answer, err := p.statement.QueryContext(context.Background(), args)
	if err != nil {
		return nil, p.conn.outdated(err, unfit...)
	}
	rows, err := readWhole(answer)
	if err != nil {
		return nil, p.conn.outdated(err, unfit...)
	}
	return rows, nil
}

func (p preparedStatement) exec(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	defer p.conn.cancelledWith(ctx)()
	result, err := p.statement.ExecContext(context.Background(), args)
	if err != nil {
		return nil, p.conn.outdated(err, unfit...)
	}
	return result, nil
}

// cancelledWith has the server cancel what the connection does once ctx is done, until over is called. The connection ends
// with it, since a cancellation may arrive late.
func (c *watchedConn) cancelledWith(ctx context.Context) (over func()) {
	stop := context.AfterFunc(ctx, c.statements.cancel)
	return func() {
		if !stop() {
			c.socket.fail()
		}
	}
}

const nameTaken = "42P05" // duplicate_prepared_statement: another client shares the server's connection

// unfit are the errors of a statement that ran, or would have run, when it was prepared.
var unfit = []string{
	"0A000",          // feature_not_supported: a migration changed what it returns
	"42883", "42804", // undefined_function, datatype_mismatch: or what it takes
	"26000", // invalid_sql_statement_name: somebody had them forgotten, as DISCARD ALL does
}

// outdated returns an error as errOutdated where it has one of some states. The pool then begins anew: what one connection
// meets, the others would each meet, and an operation is not repeated as often as there are connections.
func (c *watchedConn) outdated(err error, states ...string) error {
	if state, _ := sqlState(err); !slices.Contains(states, state) {
		return err
	}
	c.statements.eras.CompareAndSwap(c.statements.era, c.statements.era+1)
	return fmt.Errorf("%w: %w", errOutdated, err)
}

// close ends what the connection held for its statements.
func (s *statements) close() {
	if s.held != nil {
		_ = s.held.Close()
	}
	s.cancel()
}
