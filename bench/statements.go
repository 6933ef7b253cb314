package main

import (
	"fmt"
	"time"

	"latchkey/bench/load"
)

// writtenDown is when a server has written down whose tokens were used (auth.Service.KeepConfirming).
const writtenDown = 1300 * time.Millisecond

// statementsPerRequest returns how many statements PostgreSQL gets for a request, BEGIN and COMMIT included. That is counted
// apart from the timed runs, because it costs something, but at the same load: a server may do several things with one
// statement when they come at once.
func (b *bench) statementsPerRequest(operation string, connections int) (float64, error) {
	countFor := min(b.duration, 2*time.Second)
	clients, err := b.clients(operation, connections, 2*countFor)
	if err != nil {
		return 0, err
	}
	defer closeAll(clients)
	if operation == "me" { // the first use of a token that a refresh gave is written down, which does not count
		if result := load.Run(b.ctx, clients, load.Options{Duration: countFor}); result.Failed() > 0 {
			return 0, fmt.Errorf("%s: %w", operation, failure(result))
		}
		time.Sleep(writtenDown)
	}
	if err := b.execute(
		`CREATE EXTENSION IF NOT EXISTS pg_stat_statements`,
		`ALTER SYSTEM SET pg_stat_statements.track = 'top'`, `SELECT pg_reload_conf()`,
		`SELECT pg_sleep(0.2)`, `SELECT pg_stat_statements_reset()`,
	); err != nil {
		return 0, err
	}
	result := load.Run(b.ctx, clients, load.Options{Duration: countFor})
	var calls float64
	err = b.database.QueryRowContext(b.ctx,
		`SELECT COALESCE(SUM(calls), 0) FROM pg_stat_statements WHERE query NOT LIKE '%pg_stat_statements%'`).Scan(&calls)
	if err == nil {
		err = b.execute(`ALTER SYSTEM RESET pg_stat_statements.track`, `SELECT pg_reload_conf()`)
	}
	if err == nil && (result.Failed() > 0 || result.Sent == 0) {
		err = failure(result)
	}
	if err != nil {
		return 0, fmt.Errorf("count the statements of %s: %w", operation, err)
	}
	return calls / float64(result.Sent), nil
}

// execute runs statements on PostgreSQL, past the product.
func (b *bench) execute(statements ...string) error {
	for _, statement := range statements {
		if _, err := b.database.ExecContext(b.ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}
