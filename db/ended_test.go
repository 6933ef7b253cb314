package db_test

import (
	"strings"
	"testing"

	"latchkey/db/dbtest"
)

// Else each event of a user would cost a look at every session that the user ever had, and one who signs in all day could
// stop the feed for everybody.
func TestTheSessionsThatAnEventEndedAreFoundByIt(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		store := open(t, url)
		user := newUser("ada@example.com")
		session := newSession(user.ID)
		check(t, store.CreateUser(t.Context(), user, &session))
		pool := rawDB(t, url)
		id, explain := `('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid`, "EXPLAIN "
		if pool.DriverName() == "sqlite" {
			id, explain = `printf('00000000-0000-7000-8000-%012x', i)`, "EXPLAIN QUERY PLAN "
		}
		_, err := pool.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
			INSERT INTO sessions (id, user_id, created_at, last_used_at, idle_expires_at, expires_at, refresh_generation, refresh_hash, refresh_key_id, refreshed_at,
				confirmed_generation, late_retry_generation, late_retry_streak, delivery, revoked_at, revoke_reason, revocation_id)
			SELECT ` + id + `, user_id, created_at, last_used_at, idle_expires_at, expires_at, 1, refresh_hash, refresh_key_id, refreshed_at,
				0, 0, 0, delivery, created_at, 'REVOKED', ` + id + ` FROM n, sessions WHERE sessions.id = '` + session.ID.String() + `'`)
		check(t, err)
		_, err = pool.Exec(`ANALYZE`)
		check(t, err)
		explained := 0
		for _, statement := range firstRelease(t, "statements.sql") {
			if !strings.Contains(statement, "AS numbered") {
				continue
			}
			rows, err := pool.Queryx(explain + strings.ReplaceAll(statement, "?", "1"))
			check(t, err)
			var plan strings.Builder
			for rows.Next() {
				columns, err := rows.SliceScan()
				check(t, err)
				switch line := columns[len(columns)-1].(type) {
				case string:
					plan.WriteString(line + "\n")
				case []byte:
					plan.Write(append(line, '\n'))
				}
			}
			check(t, rows.Err())
			want(t, statement+"\n"+plan.String(), strings.Contains(plan.String(), "sessions_revocation_id"), true)
			explained++
		}
		want(t, "statements", explained, 2)
	})
}
