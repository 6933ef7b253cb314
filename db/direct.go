package db

import (
	"context"
	"database/sql/driver"
	"reflect"
	"sync/atomic"
)

// Prepare says on which connections to PostgreSQL statements are prepared: parsed once and run by a name from then on, and
// planned only where that pays. Planning is most of what a small read costs. Behind PgBouncer in transaction mode, though, a
// name can reach another client's statement, which then runs instead, and nobody notices.
type Prepare string

// The ways to prepare. The zero value does as PrepareAuto.
const (
	PrepareAuto Prepare = "auto" // on connections that are shown to reach PostgreSQL itself
	PrepareOn   Prepare = "on"   // on all: a pooler that is in between must keep clients' statements apart
	PrepareOff  Prepare = "off"  // on none
)

// Prepares reports whether statements are prepared on a connection to the database, which it makes if there is none. Errors:
// auth.ErrUnavailable.
func (s *Store) Prepares(ctx context.Context) (prepares bool, err error) {
	err = s.do(ctx, func(ctx context.Context) error {
		conn, err := s.write.Conn(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		return conn.Raw(func(inner any) error {
			watched, ok := inner.(*watchedConn)
			prepares = ok && watched.statements != nil
			return nil
		})
	})
	return prepares, err
}

// prepareStatements has a new connection prepare its statements, where that is wanted and safe. It costs a round trip.
func (c *watchedConn) prepareStatements(prepare Prepare, eras *atomic.Int64) (err error) {
	if prepare == PrepareOff {
		return nil
	}
	defer c.settle(&err)
	ctx, cancel := context.WithCancel(context.Background())
	s := &statements{known: map[string]driver.Stmt{}, era: eras.Load(), eras: eras, cancel: cancel}
	defer func() {
		if c.statements == nil {
			s.close()
		}
	}()
	if s.held, err = c.pqConn.QueryContext(ctx, `SELECT pg_backend_pid()`, nil); err != nil {
		return err
	}
	answer, err := readRows(s.held)
	if err == nil && (prepare == PrepareOn || c.isServedBy(answer.values)) {
		c.statements = s
	}
	return err
}

// isServedBy reports whether the process that answers is the one that was announced to lib/pq when the connection was made
// (PostgreSQL's manual, "BackendKeyData"). Then it reaches PostgreSQL itself, however many pass its bytes on: HAProxy, NAT,
// a service of Kubernetes, with TLS or without. A pooler, which has to find out whom a cancellation is for, announces
// something of its own.
//
// lib/pq does not tell what was announced, so it is read where lib/pq keeps it. Where it is not, nothing is shown.
func (c *watchedConn) isServedBy(answer []driver.Value) bool {
	conn := reflect.Indirect(reflect.ValueOf(c.pqConn))
	if conn.Kind() != reflect.Struct || len(answer) != 1 {
		return false
	}
	announced := conn.FieldByName("pid")
	return announced.IsValid() && announced.CanInt() && answer[0] == announced.Int()
}
