package db

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"

	"latchkey/db/dbtest"
)

// What goes to PostgreSQL, and what comes back, is the same whether a statement is prepared or not.
func TestValuesAreTheSamePreparedOrNot(t *testing.T) {
	text := "Ada\n'\"\\ 🗝"
	args := []any{
		uuid.New(), time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC), []byte{0, 1, 0xff, '\\'}, []byte{}, []byte(nil), (*string)(nil), &text,
		int64(-1 << 63), 1<<31 - 1, int16(-7), true, 1.5, text, "", strings.Repeat("long", 1000), []string{"a", "b,\"c\"", text}, pq.Array([]int64{1, 2}),
	}
	const statement = `
		SELECT $1::uuid, $2::timestamptz, $3::bytea, $4::bytea, $5::bytea, $6::text, $7::text, $8::bigint, $9::int, $10::smallint,
			$11::boolean, $12::float8, $13::text, $14::varchar(10), $15::text, $16::text[], $17::bigint[], rows
		FROM generate_series(1, 3) AS rows`
	database := dbtest.Postgres(t)
	for _, parameters := range []string{"yes", "no"} {
		var plain [][]any
		for _, prepare := range []Prepare{PrepareOff, PrepareAuto} {
			pool, err := openPostgres(database+"&binary_parameters="+parameters, 10*time.Second, prepare)
			if err != nil {
				t.Fatal(err)
			}
			pool.SetMaxOpenConns(1)
			for range 3 {
				rows, err := pool.Query(statement, args...)
				if err != nil {
					t.Fatal(err)
				}
				var got [][]any
				for rows.Next() {
					row, pointers := make([]any, len(args)+1), make([]any, len(args)+1)
					for i := range row {
						pointers[i] = &row[i]
					}
					if err := rows.Scan(pointers...); err != nil {
						t.Fatal(err)
					}
					got = append(got, row)
				}
				if err := rows.Close(); err != nil || len(got) != 3 {
					t.Fatalf("%d rows, %v", len(got), err)
				}
				if plain == nil {
					plain = got
				}
				for i := range got {
					for j := range got[i] {
						if !reflect.DeepEqual(got[i][j], plain[i][j]) {
							t.Errorf("binary_parameters=%s, prepare %s: row %d, column %d: got %#v, want %#v", parameters, prepare, i+1, j+1, got[i][j], plain[i][j])
						}
					}
				}
			}
			var prepared int
			if err := pool.QueryRow(`SELECT count(*) FROM pg_prepared_statements`).Scan(&prepared); err != nil {
				t.Fatal(err)
			}
			if (prepared == 1) != (prepare == PrepareAuto) {
				t.Errorf("prepare %s: %d prepared statements", prepare, prepared)
			}
			_ = pool.Close()
		}
	}
}
