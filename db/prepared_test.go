package db_test

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/db"
	"latchkey/db/dbtest"
	"latchkey/internal/leaks"
)

func openPreparing(t *testing.T, url string, prepare db.Prepare) *db.Store {
	t.Helper()
	store, err := db.Open(t.Context(), db.Options{URL: url, Timeout: 10 * time.Second, Log: leaks.Log(), Prepare: prepare})
	check(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// spy has each server process note what is prepared in it when it updates a user.
func spy(t *testing.T, database *sql.DB) {
	t.Helper()
	_, err := database.Exec(`
		CREATE TABLE noted (statement text NOT NULL);
		CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN INSERT INTO noted SELECT statement FROM pg_prepared_statements; RETURN NULL; END $$;
		CREATE TRIGGER note AFTER UPDATE ON users EXECUTE FUNCTION note()`)
	check(t, err)
}

// noted returns how many different statements the spy has seen prepared.
func noted(t *testing.T, database *sql.DB) (count int) {
	t.Helper()
	check(t, database.QueryRow(`SELECT count(DISTINCT statement) FROM noted`).Scan(&count))
	return count
}

// useAgain does the same often enough for its statements to be prepared.
func useAgain(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
	t.Helper()
	for range 4 {
		_, err := store.Session(t.Context(), session.ID)
		check(t, err)
		check(t, store.ReplacePasswordHash(t.Context(), user.ID, "hash", "hash"))
	}
}

func TestStatementsArePreparedWhereNoPoolerStandsBetween(t *testing.T) {
	server := startWithTLS(t)
	direct := dbtest.Open(t, server)
	var folder, port string
	check(t, direct.QueryRow(`SELECT current_setting('unix_socket_directories'), current_setting('port')`).Scan(&folder, &port))
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, openPreparing(t, server, db.PrepareOff).CreateUser(t.Context(), user, &session))
	spy(t, direct)

	certificateFile, keyFile := certificate(t)
	pooler := startPgBouncer(t, server, "pool_mode = transaction", "client_tls_sslmode = allow",
		"client_tls_cert_file = "+certificateFile, "client_tls_key_file = "+keyFile)
	ofSessions := startPgBouncer(t, server, "pool_mode = session")

	for _, test := range []struct {
		name, url string
		prepare   db.Prepare
		want      bool
	}{
		{"directly", server, "", true},
		{"directly, auto", server, db.PrepareAuto, true},
		{"by a Unix socket", bySocket(t, server, folder, port), db.PrepareAuto, true},
		{"with TLS", withTLS(server), db.PrepareAuto, true},
		{"through a balancer", relay(t, server), db.PrepareAuto, true},
		{"through a balancer with TLS", withTLS(relay(t, server)), db.PrepareAuto, true},
		{"through PgBouncer", pooler.URL, db.PrepareAuto, false},
		{"through PgBouncer's Unix socket", bySocket(t, server, pooler.Folder, pooler.Port), db.PrepareAuto, false},
		{"through PgBouncer with TLS", withTLS(pooler.URL), db.PrepareAuto, false},
		{"through PgBouncer and a balancer", relay(t, pooler.URL), db.PrepareAuto, false},
		{"through PgBouncer in session mode", ofSessions.URL, db.PrepareAuto, false},
		{"through PgBouncer in session mode, on", ofSessions.URL, db.PrepareOn, true},
		{"directly, off", server, db.PrepareOff, false},
	} {
		_, err := direct.Exec(`TRUNCATE noted`)
		check(t, err)
		store := openPreparing(t, test.url, test.prepare)
		useAgain(t, store, user, session)
		want(t, test.name+": prepared", noted(t, direct) > 0, test.want)
		prepares, err := store.Prepares(t.Context())
		check(t, err)
		want(t, test.name+": says so", prepares, test.want)
	}
}

func TestThroughPgBouncerEachGetsTheAnswerToItsOwnQuestion(t *testing.T) {
	database := dbtest.Postgres(t)
	pooler := startPgBouncer(t, database, "pool_mode = transaction", "default_pool_size = 2")
	stores := []*db.Store{openPreparing(t, pooler.URL, db.PrepareAuto), openPreparing(t, pooler.URL, db.PrepareAuto)}
	direct := dbtest.Open(t, database)
	spy(t, direct)
	var clients sync.WaitGroup
	for i := range 16 {
		store, user := stores[i%len(stores)], newUser(fmt.Sprintf("ada%d@example.com", i))
		session := newSession(user.ID)
		check(t, store.CreateUser(t.Context(), user, &session))
		clients.Go(func() {
			for n := range 40 {
				var err error
				var got, is uuid.UUID
				switch (i + n) % 4 {
				case 0:
					var state *auth.SessionState
					if state, err = store.Session(t.Context(), session.ID); err == nil {
						got, is = state.ID, session.ID
					}
				case 1:
					var found *auth.User
					if found, err = store.User(t.Context(), user.ID); err == nil {
						got, is = found.ID, user.ID
					}
				case 2:
					var found *auth.User
					if found, _, err = store.UserByEmail(t.Context(), user.NormalizedEmail); err == nil {
						got, is = found.ID, user.ID
					}
				case 3:
					err = store.ReplacePasswordHash(t.Context(), user.ID, "hash", "hash")
				}
				if err != nil || got != is {
					t.Errorf("client %d, question %d: got %v, %v; want %v", i, n, got, err, is)
				}
			}
		})
	}
	clients.Wait()
	want(t, "prepared statements", noted(t, direct), 0)
}

func TestAPreparedStatementIsOneRoundTrip(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	store := open(t, proxy.URL())
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	useAgain(t, store, user, session)
	for what, operation := range map[string]func() error{
		"read":  func() error { _, err := store.Session(t.Context(), session.ID); return err },
		"write": func() error { return store.ReplacePasswordHash(t.Context(), user.ID, "hash", "hash") },
	} {
		proxy.Reset()
		check(t, operation())
		want(t, what+": statements", len(proxy.Statements()), 1)
		want(t, what+": round trips", proxy.RoundTrips(), 1)
	}
}

// Whatever happens to prepared statements, on however many connections: operations do not notice.
func TestWhatIsPreparedMayGoOutOfDate(t *testing.T) {
	for name, change := range map[string]string{
		"a result's type changes":    `ALTER TABLE sessions ALTER COLUMN device_name TYPE varchar(100)`,
		"an argument's type changes": `ALTER TABLE sessions ALTER COLUMN refresh_key_id TYPE varchar(100), ALTER COLUMN refresh_hash TYPE text`,
		"they are forgotten": `
			CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN NULL; END $$;
			CREATE TRIGGER forget AFTER UPDATE ON users EXECUTE FUNCTION forget()`,
	} {
		database := dbtest.Postgres(t)
		store := open(t, database)
		direct := dbtest.Open(t, database)
		user := newUser("ada@example.com")
		session := newSession(user.ID)
		check(t, store.CreateUser(t.Context(), user, &session))
		spy(t, direct)
		use := func() {
			var clients sync.WaitGroup
			for range 12 {
				clients.Go(func() {
					for range 5 {
						_, readErr := store.Session(t.Context(), session.ID)
						other := newSession(user.ID)
						err := store.CreateSession(t.Context(), other, "hash") // a transaction
						_, endErr := store.EndSession(t.Context(), auth.SessionEnd{SessionID: other.ID, Reason: auth.Revoked, Now: now, Mark: uuid.New()})
						writeErr := store.ReplacePasswordHash(t.Context(), user.ID, "hash", "hash")
						if err := errors.Join(readErr, err, endErr, writeErr); err != nil {
							t.Errorf("%s: %v", name, err)
						}
					}
				})
			}
			clients.Wait()
		}
		use()
		want(t, name+": prepared before", noted(t, direct) > 3, true)
		_, err := direct.Exec(change)
		check(t, err)
		use()
		if _, err := direct.Exec(`DROP TRIGGER IF EXISTS forget ON users; TRUNCATE noted`); err != nil {
			t.Fatal(err)
		}
		use()
		want(t, name+": prepared after", noted(t, direct) > 3, true)
	}
}

func TestAPreparedStatementEndsWithItsTime(t *testing.T) {
	database := dbtest.Postgres(t)
	proxy := dbtest.NewProxy(t, database)
	const timeout = time.Second
	store := openWithin(t, proxy.URL(), timeout)
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	late := func(operation func() error) {
		t.Helper()
		began := time.Now()
		wantUnavailable(t, operation())
		if took := time.Since(began); took > timeout+time.Second {
			t.Fatalf("took %s", took)
		}
	}
	read := func() error { _, err := store.Session(t.Context(), session.ID); return err }
	write := func() error { return store.ReplacePasswordHash(t.Context(), user.ID, "hash", "hash") }

	direct := dbtest.Open(t, database)
	held, err := direct.Begin()
	check(t, err)
	useAgain(t, store, user, session)
	_, err = held.Exec(`SELECT id FROM users FOR UPDATE`)
	check(t, err)
	late(write)
	for began, waiting := time.Now(), 1; waiting > 0; { // the server is told to stop, and does
		check(t, direct.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting))
		if time.Since(began) > 5*time.Second {
			t.Fatal("the statement goes on")
		}
	}
	check(t, held.Rollback())

	useAgain(t, store, user, session)
	proxy.Freeze()
	late(read)
	proxy.Thaw()
	check(t, read())
	check(t, write())
}

func TestAPreparedStatementAnswersTheSame(t *testing.T) {
	database := dbtest.Postgres(t)
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	answers := map[db.Prepare]any{}
	for _, prepare := range []db.Prepare{db.PrepareOff, db.PrepareOn} {
		store := openPreparing(t, database, prepare)
		if prepare == db.PrepareOff {
			check(t, store.CreateUser(t.Context(), user, &session))
		}
		for range 4 {
			state, err := store.Session(t.Context(), session.ID)
			check(t, err)
			sessions, err := store.Sessions(t.Context(), user.ID, now, 10)
			check(t, err)
			found, hash, err := store.UserByEmail(t.Context(), user.NormalizedEmail)
			check(t, err)
			_, absent := store.Session(t.Context(), user.ID)
			_, malformed := store.EventsAfter(t.Context(), -1, -1) // an error of PostgreSQL's: 2201W
			answers[prepare] = []any{state, sessions, found, hash, absent.Error(), strings.Contains(malformed.Error(), "2201W")}
		}
	}
	if !reflect.DeepEqual(answers[db.PrepareOff], answers[db.PrepareOn]) {
		t.Errorf("got %+v, want %+v", answers[db.PrepareOn], answers[db.PrepareOff])
	}
}

// Sessions that are asked for at the same time are asked for together; users are not.
func BenchmarkRead(b *testing.B) {
	database := dbtest.Postgres(b)
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	for _, prepare := range []db.Prepare{db.PrepareOff, db.PrepareOn} {
		store, err := db.Open(b.Context(), db.Options{URL: database, Timeout: 10 * time.Second, Log: slog.New(slog.DiscardHandler), Prepare: prepare})
		if err == nil && prepare == db.PrepareOff {
			err = store.CreateUser(b.Context(), user, &session)
		}
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = store.Close() }()
		for what, read := range map[string]func() error{
			"Session": func() error { _, err := store.Session(b.Context(), session.ID); return err },
			"User":    func() error { _, err := store.User(b.Context(), user.ID); return err },
		} {
			b.Run(what+"/"+string(prepare), func(b *testing.B) {
				b.ReportAllocs()
				b.SetParallelism(8)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := read(); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
