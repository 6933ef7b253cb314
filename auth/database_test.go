package auth_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"latchkey/auth"
)

// rawDB connects to a database past the store: for what a test must see or do to rows.
func rawDB(t *testing.T, url string) *sqlx.DB {
	t.Helper()
	driver, source := "postgres", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+path+"?_busy_timeout=10000"
	}
	pool, err := sqlx.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return pool
}

func mustExec(t *testing.T, pool *sqlx.DB, statement string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(pool.Rebind(statement), args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func decodeRefreshToken(token auth.Secret) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimPrefix(token.Reveal(), "lkr1."))
}
