package db

import (
	"bytes"
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"slices"
)

// pqConn is what a connection of lib/pq can do. An interface that a wrapper forgot would silently cost a
// feature, such as transactions with options or statements in one round trip.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// errBrokenOff stands for whatever made no sense in an answer, which is not repeated: it may be data.
var errBrokenOff = errors.New("the answer of the database broke off")

// watchedConn is a connection that believes no answer before it is whole, and is not used again after one
// that was not.
//
// lib/pq takes an ErrorResponse for the end of a statement even where the socket drops before the server
// is ready again, and the next statement on that connection fails with "there is already a query being
// processed" (lib/pq#1320, #1450). A context's deadline does not wake a read from a server that has
// stopped answering (lib/pq#620). And where PgBouncer loses its server in the middle of an answer, it
// passes on what it had, followed by an error of its own, which lib/pq reads as the rest of the answer:
// as wrong data, as an error of another kind, or with a panic.
type watchedConn struct {
	pqConn
	socket     *socket
	statements *statements // nil where none are prepared
}

// settle ends an exchange with the server. What neither it nor the network can have meant, lib/pq's panic
// at the end of a message included, becomes errBrokenOff.
func (c *watchedConn) settle(err *error) {
	if recover() == nil && c.meant(*err) {
		return
	}
	*err = errBrokenOff
	c.socket.fail()
}

func (c *watchedConn) meant(err error) bool {
	if err == nil || isTransient(err) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	_, fromServer := sqlState(err)
	return fromServer && !c.socket.failed()
}

// QueryContext implements driver.QueryerContext.
func (c *watchedConn) QueryContext(
	ctx context.Context, query string, args []driver.NamedValue,
) (rows driver.Rows, err error) {
	defer c.settle(&err)
	c.socket.obey(ctx)
	if c.statements.knows(query, args) {
		statement, err := c.prepared(ctx, query)
		if err != nil {
			return nil, err
		}
		return statement.query(ctx, args)
	}
	answer, err := c.pqConn.QueryContext(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return readWhole(answer)
}

// ExecContext implements driver.ExecerContext.
func (c *watchedConn) ExecContext(
	ctx context.Context, query string, args []driver.NamedValue,
) (result driver.Result, err error) {
	defer c.settle(&err)
	c.socket.obey(ctx)
	if c.statements.knows(query, args) {
		statement, err := c.prepared(ctx, query)
		if err != nil {
			return nil, err
		}
		return statement.exec(ctx, args)
	}
	return c.pqConn.ExecContext(ctx, query, args)
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *watchedConn) PrepareContext(ctx context.Context, query string) (statement driver.Stmt, err error) {
	defer c.settle(&err)
	c.socket.obey(ctx)
	return c.pqConn.PrepareContext(ctx, query)
}

// BeginTx implements driver.ConnBeginTx. The deadline holds for the commit as well.
func (c *watchedConn) BeginTx(ctx context.Context, options driver.TxOptions) (tx driver.Tx, err error) {
	defer c.settle(&err)
	c.socket.obey(ctx)
	inner, err := c.pqConn.BeginTx(ctx, options)
	if err != nil {
		return nil, err
	}
	return watchedTx{inner, c}, nil
}

// Ping implements driver.Pinger.
func (c *watchedConn) Ping(ctx context.Context) (err error) {
	defer c.settle(&err)
	c.socket.obey(ctx)
	return c.pqConn.Ping(ctx)
}

// ResetSession implements driver.SessionResetter.
func (c *watchedConn) ResetSession(ctx context.Context) error {
	if c.socket.failed() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// IsValid implements driver.Validator.
func (c *watchedConn) IsValid() bool { return !c.socket.failed() && c.pqConn.IsValid() }

// Close implements driver.Conn.
func (c *watchedConn) Close() error {
	if c.statements != nil {
		c.statements.close()
	}
	return c.pqConn.Close()
}

// watchedTx is a transaction on a watched connection.
type watchedTx struct {
	driver.Tx
	conn *watchedConn
}

// Commit implements driver.Tx.
func (t watchedTx) Commit() (err error) {
	defer t.conn.settle(&err)
	return t.Tx.Commit()
}

// Rollback implements driver.Tx.
func (t watchedTx) Rollback() (err error) {
	defer t.conn.settle(&err)
	return t.Tx.Rollback()
}

// wholeRows are the rows of an answer after which the server was ready again.
type wholeRows struct {
	columns []string
	values  []driver.Value // of the rows that are left, one after the other
	rows    int
}

// readWhole reads an answer and closes it.
func readWhole(answer driver.Rows) (rows *wholeRows, err error) {
	defer func() { err = errors.Join(err, answer.Close()) }()
	return readRows(answer)
}

func readRows(answer driver.Rows) (*wholeRows, error) {
	rows := &wholeRows{columns: answer.Columns()}
	width := len(rows.columns)
	rows.values = make([]driver.Value, 0, 2*width) // one row is the most frequent answer; another is tried for
	for {
		rows.values = slices.Grow(rows.values, width)
		row := rows.values[len(rows.values):][:width]
		switch err := answer.Next(row); {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return nil, err
		}
		for i, value := range row {
			if shared, ok := value.([]byte); ok { // with what is read next
				row[i] = bytes.Clone(shared)
			}
		}
		rows.values = rows.values[:len(rows.values)+width]
		rows.rows++
	}
}

// Columns implements driver.Rows.
func (r *wholeRows) Columns() []string { return r.columns }

// Close implements driver.Rows.
func (r *wholeRows) Close() error { return nil }

// Next implements driver.Rows.
func (r *wholeRows) Next(dest []driver.Value) error {
	if r.rows == 0 {
		return io.EOF
	}
	r.values = r.values[copy(dest, r.values[:len(r.columns)]):]
	r.rows--
	return nil
}
