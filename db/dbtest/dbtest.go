// Package dbtest gives tests real databases: SQLite files, PostgreSQL databases on a server that it
// starts from installed programs, and a proxy that does to PostgreSQL's answers what networks do.
package dbtest

import (
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/lib/pq"
	_ "modernc.org/sqlite"

	"latchkey/internal/leaks"
)

// howToGet is what a skipped test says.
const howToGet = "PostgreSQL is not installed here: run `make test`, or install it " +
	"(Debian and Ubuntu: apt-get install postgresql; Fedora: dnf install postgresql-server; macOS: brew install postgresql), " +
	"or set TEST_DATABASE_URL to a server on which databases may be created"

// shared is the server of this test binary, started when the first test asks for it.
var shared struct {
	once   sync.Once
	server *Server
	err    error
}

// Main runs a package's tests, then what they need to clean up, stops the server that they started, and
// exits: with a failure also where a server said a secret (package leaks). TestMain calls it.
func Main(m *testing.M, cleanUp ...func()) {
	code := m.Run()
	for _, clean := range cleanUp {
		clean()
	}
	if shared.server != nil {
		shared.server.Close()
	}
	if !leaks.Verdict() {
		code = max(code, 1)
	}
	os.Exit(code)
}

// SQLite returns the URL of a database that does not exist yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "latchkey.db")
}

// Postgres returns the URL of an empty database on the server that TEST_DATABASE_URL names or, without
// it, on one started for this test binary. Where there is neither the test is skipped, or fails if CI is
// set. Such a package's TestMain must call Main.
func Postgres(t testing.TB) string {
	t.Helper()
	serverURL := os.Getenv("TEST_DATABASE_URL")
	if serverURL == "" {
		shared.once.Do(func() { shared.server, shared.err = startShared() })
		if shared.err != nil {
			missing(t, shared.err)
		}
		serverURL = shared.server.URL()
	}
	return newDatabase(t, serverURL)
}

// Each runs a test on both databases.
func Each(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Run("sqlite", func(t *testing.T) { test(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, Postgres(t)) })
}

// Open returns a pool on a database, to look into it past the product. It is closed when the test ends.
func Open(t testing.TB, databaseURL string) *sql.DB {
	t.Helper()
	driver, source := "postgres", databaseURL
	if path, ok := strings.CutPrefix(databaseURL, "sqlite:"); ok {
		driver, source = "sqlite", path
	}
	pool, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

func missing(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" || !isMissing(err) {
		t.Fatalf("%v. %s", err, howToGet)
	}
	t.Skip(howToGet)
}

// newDatabase creates a database that is dropped when the test ends.
func newDatabase(t testing.TB, serverURL string) string {
	t.Helper()
	var random [8]byte
	_, _ = rand.Read(random[:])
	name := "latchkey_test_" + hex.EncodeToString(random[:])
	execute := func(statement string) error {
		pool, err := sql.Open("postgres", serverURL)
		if err != nil {
			return err
		}
		defer func() { _ = pool.Close() }()
		_, err = pool.Exec(statement)
		return err
	}
	if err := execute("CREATE DATABASE " + name); err != nil {
		t.Fatalf("create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := execute("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Logf("drop the test's database: %v", err)
		}
	})
	parsed, err := url.Parse(serverURL)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL is not a URL")
	}
	parsed.Path = "/" + name
	return parsed.String()
}
