//go:build linux

package chaos_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"latchkey/db/dbtest"
)

// The databases of the runs.
const (
	sqlite       = "sqlite"
	postgres     = "postgres"     // READ COMMITTED, as it comes
	serializable = "serializable" // default_transaction_isolation
	pgbouncer    = "pgbouncer"    // in transaction mode

	patroniSynchronous = "Patroni" // two nodes, of which one leads
	asynchronous       = "Patroni, asynchronous"
)

// database is what the servers of one run share.
type database struct {
	name    string
	url     string // as the servers reach it
	direct  string // as the test does: with PostgreSQL, past everything in between
	path    string // of SQLite's file
	server  *dbtest.Server
	cluster *patroni

	toxic *toxiproxy.Proxy // on the way, if the run asked for it
	loser *dbtest.Proxy    // likewise
}

// newDatabase makes an empty database of a kind, with a server of its own.
func newDatabase(t *testing.T, name string, way way, smallDisk bool) *database {
	t.Helper()
	d := &database{name: name}
	if name == sqlite {
		d.url = dbtest.SQLite(t)
		d.path = strings.TrimPrefix(d.url, "sqlite:")
		if smallDisk {
			mountSmallDisk(t, filepath.Dir(d.path))
		}
		return d
	}
	if name == patroniSynchronous || name == asynchronous {
		d.cluster = newPatroni(t, name == patroniSynchronous)
		d.url = d.cluster.url()
		return d
	}
	d.server = dbtest.PostgresServer(t)
	if name == serializable {
		execute(t, connect(t, d.server.URL()), "ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'")
	}
	d.direct = d.server.URL()
	d.url = d.direct
	switch way {
	case throughToxics:
		d.toxic = newToxiproxy(t, hostOf(d.url))
		d.url = withHost(d.url, d.toxic.Listen)
	case throughLoser:
		d.loser = dbtest.NewProxy(t, d.url)
		d.url = d.loser.URL()
	}
	if name == pgbouncer {
		d.url = startPgBouncer(t, d.url)
	}
	return d
}

// way is what lies between the servers and PostgreSQL.
type way string

const (
	straight      way = ""
	throughToxics way = "toxiproxy"
	throughLoser  way = "a proxy that loses answers"
)

// mountSmallDisk puts a file system of 16 MiB over a folder, for which one must be root.
func mountSmallDisk(t *testing.T, folder string) {
	t.Helper()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

func connect(t *testing.T, databaseURL string) *sql.DB {
	t.Helper()
	pool, err := sql.Open("postgres", databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

func execute(t *testing.T, pool *sql.DB, statement string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func mustParse(text string) *url.URL {
	parsed, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return parsed
}

func withHost(databaseURL, host string) string {
	parsed := mustParse(databaseURL)
	parsed.Host = host
	return parsed.String()
}

func hostOf(databaseURL string) string { return mustParse(databaseURL).Host }

func newToxiproxy(t *testing.T, upstream string) *toxiproxy.Proxy {
	t.Helper()
	log := zerolog.Nop()
	proxy := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), log), "database", "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Stop)
	return proxy
}

// poison adds a toxic to what the database answers ("downstream") or is sent ("upstream"), and returns
// what takes it away.
func (d *database) poison(t *testing.T, kind, stream string, attributes map[string]any) (cure func()) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"name": kind, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": attributes})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.toxic.Toxics.AddToxicJson(bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := d.toxic.Toxics.RemoveToxic(ctx, kind); err != nil {
			t.Error(err)
		}
	}
}

// startPgBouncer starts one in transaction mode before a database and returns the URL through it.
func startPgBouncer(t *testing.T, databaseURL string) string {
	t.Helper()
	pooler := dbtest.NewPgBouncer(t, databaseURL, "pool_mode = transaction", "default_pool_size = 20", "max_client_conn = 500")
	keep(t, pooler.Command)
	pooler.Await(t)
	return pooler.URL
}
