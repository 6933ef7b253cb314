// Package fill makes a database as large as that of a busy service.
package fill

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Hash is that of the refresh token of every session: nobody has the token, but a statement that rotates one can name
// its hash.
const Hash = `\x6c6174636b6579206c6174636b6579206c6174636b6579206c6174636b65792e`

// SessionsPerUser is how many each has.
const SessionsPerUser = 2

// Users says which users a database is to get: from user1@example.com on.
type Users struct {
	From, To     int // both are made
	Dead         int // how many of the sessions, of the first users, expired long ago
	PasswordHash string
	Now          time.Time
}

const multiplier, modulus = 2654435761, 1 << 32

// Scrambled returns an expression of SQL, and of pgbench, that turns numbers into others, each into one of its own, so that
// ids that follow each other are nowhere near each other in an index.
func Scrambled(number string) string {
	return fmt.Sprintf(`%s * %d %% %d`, number, multiplier, modulus)
}

// SessionIDOf is the id of a session by an SQL expression of its number.
func SessionIDOf(number string) string { return id(number, sessionSeries) }

// id is an SQL expression of the id that a number has in the series of ids that begin with a digit.
func id(number string, digit int) string {
	return fmt.Sprintf(`lpad((%s)::text, 32, '%d')::uuid`, Scrambled(number), digit)
}

// The series of ids.
const (
	sessionSeries = iota
	userSeries
)

// SessionID returns the id of a session by its number: those of user n are 2n-1 and 2n.
func SessionID(number int) string { return idOf(number, "0") }

// UserID returns the id of a user by its number.
func UserID(number int) string { return idOf(number, "1") }

func idOf(number int, digit string) string {
	text := fmt.Sprint(int64(number) * multiplier % modulus)
	for len(text) < 32 {
		text = digit + text
	}
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// FirstExtra is the number from which on there are sessions made by Sessions: behind those of all users.
const FirstExtra = 1 << 30

const sessionColumns = `INSERT INTO sessions (id, user_id, created_at, last_used_at, idle_expires_at, expires_at,
	refresh_generation, refresh_hash, refresh_key_id, refreshed_at, confirmed_generation, late_retry_generation, late_retry_streak, password_generation)`

const sessionValues = `t.at, t.at, t.at + interval '7 days', t.at + interval '30 days', 1, '` + Hash + `'::bytea, '00000001', t.at, 0, 0, 0, 1`

// Fill makes users, two sessions and one event of each, and a throttle of every tenth.
func Fill(ctx context.Context, database *sql.DB, users Users) error {
	stamp := users.Now.UTC().Format(time.RFC3339)
	for _, statement := range []string{
		fmt.Sprintf(`INSERT INTO users (id, email, normalized_email, role, password_hash, created_at)
			SELECT %s, 'user' || n || '@example.com', 'user' || n || '@example.com', 'USER', '%s', timestamptz '%s' - interval '90 days'
			FROM generate_series(%d::bigint, %d) AS n`, id("n", userSeries), users.PasswordHash, stamp, users.From, users.To),
		fmt.Sprintf(sessionColumns+`
			SELECT %s, %s, `+sessionValues+`
			FROM generate_series(%d::bigint, %d) AS n
			CROSS JOIN LATERAL (SELECT timestamptz '%s' - CASE WHEN n <= %d THEN interval '40 days' ELSE interval '1 day' END AS at) AS t`,
			id("n", sessionSeries), id("((n + 1) / 2)", userSeries), SessionsPerUser*users.From-1, SessionsPerUser*users.To, stamp, users.Dead),
		fmt.Sprintf(`INSERT INTO events (id, user_id, kind, created_at)
			SELECT gen_random_uuid(), %s, 'LOGIN', timestamptz '%s' - interval '1 day' FROM generate_series(%d::bigint, %d) AS n`,
			id("n", userSeries), stamp, users.From, users.To),
		fmt.Sprintf(`INSERT INTO throttles (bucket, used_to, failures, doublings)
			SELECT 'account:' || md5(n::text), extract(epoch FROM timestamptz '%s') * 1000000, 1, 0 FROM generate_series(%d, %d) AS n WHERE n %% 10 = 0`,
			stamp, users.From, users.To),
	} {
		if _, err := database.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("fill the database: %w", err)
		}
	}
	for table, most := range map[string]int{"users": users.To, "sessions": SessionsPerUser * users.To} {
		var got int
		if err := database.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+table).Scan(&got); err != nil || got < most {
			return fmt.Errorf("fill the database: %s: %d rows, %v, want %d", table, got, err, most)
		}
	}
	return Settle(ctx, database)
}

// Sessions makes further sessions of one user, with the numbers from FirstExtra + from on.
func Sessions(ctx context.Context, database *sql.DB, userID string, from, count int, now time.Time) error {
	_, err := database.ExecContext(ctx, fmt.Sprintf(sessionColumns+`
		SELECT %s, $1, `+sessionValues+`
		FROM generate_series(%d::bigint, %d) AS n CROSS JOIN (SELECT timestamptz '%s' AS at) AS t`,
		id("n", sessionSeries), FirstExtra+from, FirstExtra+from+count-1, now.UTC().Format(time.RFC3339)), userID)
	if err != nil {
		return fmt.Errorf("fill the database with sessions of one user: %w", err)
	}
	return nil
}

// Settle has PostgreSQL do now what it would soon do by itself, in the middle of a measurement.
func Settle(ctx context.Context, database *sql.DB) error {
	for _, statement := range []string{`VACUUM (ANALYZE)`, `CHECKPOINT`} {
		if _, err := database.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}
