package db_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jmoiron/sqlx"

	"latchkey/db/dbtest"
)

// Servers of the first release must run on the schema of every later one, so that a server can be replaced while others
// still run (expand, and contract a release later). These are their statements and their columns; each is tried on the
// schema of today.

// firstRelease returns the lines of a file of the first release that are no comments.
func firstRelease(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/first-release/" + name)
	check(t, err)
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--") {
			lines = append(lines, line)
		}
	}
	return lines
}

// rawDB connects to a database past the store.
func rawDB(t *testing.T, databaseURL string) *sqlx.DB {
	t.Helper()
	dialect := "postgres"
	if strings.HasPrefix(databaseURL, "sqlite:") {
		dialect = "sqlite"
	}
	return sqlx.NewDb(dbtest.Open(t, databaseURL), dialect)
}

// columnsOf returns "null", "not null" or "default" of each column, by table.column.
func columnsOf(t *testing.T, pool *sqlx.DB) map[string]string {
	t.Helper()
	query := `
		SELECT table_name || '.' || column_name AS name, is_nullable = 'YES' AS nullable, column_default IS NOT NULL AS defaulted
		FROM information_schema.columns WHERE table_schema = 'public'`
	if pool.DriverName() == "sqlite" {
		query = `
			SELECT m.name || '.' || c.name AS name, c."notnull" = 0 AS nullable, c.dflt_value IS NOT NULL OR c.pk > 0 AND c.type = 'INTEGER' AS defaulted
			FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%'`
	}
	var rows []struct {
		Name                string
		Nullable, Defaulted bool
	}
	check(t, pool.Select(&rows, query))
	columns := map[string]string{}
	for _, row := range rows {
		switch {
		case row.Nullable:
			columns[row.Name] = "null"
		case row.Defaulted:
			columns[row.Name] = "default"
		default:
			columns[row.Name] = "not null"
		}
	}
	return columns
}

// broken returns what keeps servers of the first release from running on a database.
func broken(t *testing.T, pool *sqlx.DB) []string {
	t.Helper()
	var problems []string
	for _, statement := range firstRelease(t, "statements.sql") {
		prepared, err := pool.Prepare(pool.Rebind(statement))
		if err != nil {
			problems = append(problems, fmt.Sprintf("%v: %.60s…", err, statement))
			continue
		}
		_ = prepared.Close()
	}
	columns, known := columnsOf(t, pool), map[string]bool{} // columns and tables
	for _, line := range firstRelease(t, "columns.txt") {
		name, before, _ := strings.Cut(line, " ")
		table, _, _ := strings.Cut(name, ".")
		known[name], known[table] = true, true
		if now := columns[name]; before == "null" && now != "null" {
			problems = append(problems, fmt.Sprintf("%s was null where it is %q now", name, now))
		}
	}
	for name, kind := range columns {
		table, _, _ := strings.Cut(name, ".")
		if kind == "not null" && !known[name] && known[table] {
			problems = append(problems, name+" is new, and must be given")
		}
	}
	return problems
}

func TestServersOfTheFirstReleaseRunOnThisSchema(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		open(t, url)
		pool := rawDB(t, url)
		want(t, "statements", len(firstRelease(t, "statements.sql")) > 40, true)
		want(t, "columns", len(firstRelease(t, "columns.txt")) > 40, true)
		if problems := broken(t, pool); len(problems) > 0 {
			t.Errorf("expand, and contract a release later:\n%s", strings.Join(problems, "\n"))
		}
	})
}

func TestAMigrationThatWouldStopTheFirstReleaseIsNoticed(t *testing.T) {
	for _, migration := range []string{
		`ALTER TABLE users RENAME COLUMN name TO full_name`,
		`ALTER TABLE sessions DROP COLUMN device_name`,
		`DROP TABLE throttles`,
		`ALTER TABLE events RENAME TO account_events`,
		`ALTER TABLE sessions ADD COLUMN region text NOT NULL`,
		`ALTER TABLE throttles ADD COLUMN region text NOT NULL`,
		`ALTER TABLE events ALTER COLUMN ip SET NOT NULL`,
		`ALTER TABLE sessions ALTER COLUMN refresh_generation TYPE text`,
	} {
		dbtest.Each(t, func(t *testing.T, url string) {
			open(t, url)
			pool := rawDB(t, url)
			if _, err := pool.Exec(migration); err != nil {
				if pool.DriverName() == "sqlite" {
					return // which lacks such a statement
				}
				t.Fatal(err)
			}
			want(t, migration+": noticed", len(broken(t, pool)) > 0, true)
		})
	}
	for _, migration := range []string{
		`ALTER TABLE sessions ADD COLUMN region text`, `ALTER TABLE sessions ADD COLUMN region text NOT NULL DEFAULT ''`,
		`CREATE TABLE passkeys (id text NOT NULL)`, `CREATE INDEX sessions_ip ON sessions (ip)`,
	} {
		dbtest.Each(t, func(t *testing.T, url string) {
			open(t, url)
			pool := rawDB(t, url)
			_, err := pool.Exec(migration)
			check(t, err)
			want(t, migration+": "+strings.Join(broken(t, pool), "; "), len(broken(t, pool)), 0)
		})
	}
}
