package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	_ "github.com/lib/pq"

	"latchkey/bench/fill"
	"latchkey/db/dbtest"
)

// bench is a private PostgreSQL, servers on it, and people who are signed in to them.
type bench struct {
	*settings
	ctx    context.Context
	report *report
	folder string // for what is not to stay
	busy   string // what the machine had to do before

	program  string // the product's
	postgres *dbtest.Server
	database *sql.DB
	servers  []*server

	sessions []*session   // of the walkers
	owner    *session     // whose other sessions are there to be revoked
	ownerID  string       // the user's
	extra    int          // how many sessions the owner was given yet
	logins   atomic.Int64 // how many there were yet
	capture  *capture     // what the servers send, once somebody asked
}

// newBench builds the product and starts a PostgreSQL, without anything in it.
func newBench(ctx context.Context, s *settings, output io.Writer) (*bench, error) {
	b := &bench{settings: s, ctx: ctx, report: newReport(s, output), busy: loadAverages()}
	if err := b.open(); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) open() (err error) {
	if b.folder, err = os.MkdirTemp("", "latchkey-bench-"); err != nil {
		return err
	}
	b.report.doing("building the server")
	if b.program, err = build(b.ctx, b.source, b.folder, "latchkey", b.laidOver()); err != nil {
		return err
	}
	b.report.doing("starting PostgreSQL")
	settings := append([]string{
		"log_line_prefix = '%p '",
		"shared_preload_libraries = 'pg_stat_statements'",            // which costs something only while it counts:
		"pg_stat_statements.track = 'none'", "compute_query_id = on", // of statements that are prepared before, too
	}, b.settings.postgres...)
	if b.postgres, err = dbtest.Start(settings...); err != nil {
		return fmt.Errorf("PostgreSQL, with its contributed modules and pgbench, must be installed: %w", err)
	}
	if b.database, err = sql.Open("postgres", b.postgres.URL()); err != nil {
		return err
	}
	return b.report.describe(b)
}

// close ends all that was started.
func (b *bench) close() {
	b.stopServers()
	if b.database != nil {
		_ = b.database.Close()
	}
	if b.postgres != nil {
		b.postgres.Close()
	}
	if b.folder != "" {
		_ = os.RemoveAll(b.folder)
	}
}

func (b *bench) stopServers() {
	for _, s := range b.servers {
		s.stop()
	}
	b.servers = nil
}

// startServers has as many servers run as there are to be, on the database.
func (b *bench) startServers(count int) error {
	b.stopServers()
	for range count {
		s, err := startServer(b.ctx, b.program, b.folder, b.postgres.URL(), b.env...)
		if err != nil {
			return err
		}
		b.servers = append(b.servers, s)
	}
	return nil
}

// prepare starts the servers, fills the database, and signs people in.
func (b *bench) prepare() error {
	if err := b.startServers(1); err != nil { // it migrates
		return err
	}
	if err := b.grow(1, b.users); err != nil {
		return err
	}
	if b.serverCount > 1 {
		if err := b.startServers(b.serverCount); err != nil {
			return err
		}
	}
	return b.signIn()
}

// grow makes users whose password is known.
func (b *bench) grow(from, to int) error {
	b.report.doing("filling the database with %d users and %d sessions", to, fill.SessionsPerUser*to)
	var hash string
	const anybody = `SELECT password_hash FROM users LIMIT 1`
	err := b.database.QueryRowContext(b.ctx, anybody).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) { // the first one signs up, and all others have the same hash, in the server's own form
		w := b.walker(0)
		defer w.Close()
		if _, err := w.post(signUpOperation.with(nil, "first@example.com"), "", `"refreshToken":"lkr1.`); err != nil {
			return fmt.Errorf("sign up: %w", err)
		}
		err = b.database.QueryRowContext(b.ctx, anybody).Scan(&hash)
	}
	if err != nil {
		return err
	}
	return fill.Fill(b.ctx, b.database, fill.Users{From: from, To: to, PasswordHash: hash, Now: time.Now()})
}
