package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/db"
	"latchkey/db/dbtest"
	"latchkey/internal/leaks"
)

func openWithin(t *testing.T, url string, timeout time.Duration) *db.Store {
	t.Helper()
	store, err := db.Open(t.Context(), db.Options{URL: url, Timeout: timeout, Log: leaks.Log()})
	check(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func wantUnavailable(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, auth.ErrUnavailable) {
		t.Fatalf("got %v, want unavailable", err)
	}
}

// The fact that every write of ours is built for. If this fails, database/sql or lib/pq has changed.
func TestAStatementWhoseAnswerIsLostRunsAgainUnseen(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	pool, err := sql.Open("postgres", proxy.URL())
	check(t, err)
	defer func() { _ = pool.Close() }()
	_, err = pool.Exec(`CREATE TABLE counter (n bigint NOT NULL)`)
	check(t, err)
	_, err = pool.Exec(`INSERT INTO counter VALUES (0)`)
	check(t, err)
	proxy.LoseAnswer("UPDATE counter")
	_, err = pool.Exec(`UPDATE counter SET n = n + 1`)
	check(t, err)
	var n int
	check(t, pool.QueryRow(`SELECT n FROM counter`).Scan(&n))
	want(t, "counted", n, 2)
}

func TestAConnectionThatDropsAfterAnErrorIsNotUsedAgain(t *testing.T) {
	database := dbtest.Postgres(t)
	open(t, database)

	// lib/pq alone poisons its connection (lib/pq#1320, #1450).
	proxy := dbtest.NewProxy(t, database)
	plain, err := sql.Open("postgres", proxy.URL()+"&binary_parameters=yes")
	check(t, err)
	defer func() { _ = plain.Close() }()
	plain.SetMaxOpenConns(1)
	proxy.CutAfterError("SELECT 1/")
	_, _ = plain.Exec(`SELECT 1/$1::int`, 0)
	if _, err := plain.Exec(`SELECT 1`); err == nil {
		t.Fatal("this lib/pq does not poison a connection any more: watchedConn can go")
	}

	proxy = dbtest.NewProxy(t, database)
	store := open(t, proxy.URL())
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	for range 20 { // more than the pool has connections
		proxy.CutAfterError("INSERT INTO sessions")
		broken, nul := newSession(user.ID), "\x00"
		broken.DeviceName = &nul // an error of PostgreSQL's: 22021
		if err := store.CreateSession(t.Context(), broken, "hash"); err == nil {
			t.Fatal("PostgreSQL took a NUL")
		}
		_, err := store.Session(t.Context(), session.ID)
		check(t, err)
	}
}

// PgBouncer passes on the beginning of an answer and then an error of its own. lib/pq alone then reads wrong
// data, fails with errors of all kinds, panics, or allocates up to 2 GiB.
func TestAnAnswerThatBreaksOffAnywhereIsNotBelieved(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	store := open(t, proxy.URL())
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	whole, err := store.Session(t.Context(), session.ID)
	check(t, err)
	create := func() error {
		user := newUser(uuid.NewString() + "@example.com")
		session := newSession(user.ID)
		return store.CreateUser(t.Context(), user, &session)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for statement, operation := range map[string]func() error{
		"FROM sessions": func() error {
			state, err := store.Session(t.Context(), session.ID)
			if err == nil && !reflect.DeepEqual(state, whole) {
				return fmt.Errorf("got %+v, want %+v", state, whole)
			}
			return err
		},
		"pg_backend_pid": func() error {
			proxy.Refuse() // so that there is a new connection
			proxy.Accept()
			_, err := store.Session(t.Context(), session.ID)
			return err
		},
		"UPDATE users": func() error { return store.ReplacePasswordHash(t.Context(), user.ID, "hash", "hash") },
		"BEGIN":        create,
		"COMMIT":       create,
	} {
		at := 0
		for broken := -1; broken < proxy.BrokenOff(); at++ {
			broken = proxy.BrokenOff()
			proxy.BreakOff(statement, at)
			if err := operation(); err != nil {
				t.Fatalf("%s, after %d bytes: %v", statement, at, err)
			}
		}
		if at < 10 {
			t.Fatalf("%s: broke off %d times", statement, at)
		}
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 500<<20 {
		t.Fatalf("allocated %d bytes", allocated)
	}
}

func TestAServerThatStopsAnsweringCostsNoMoreThanTheTimeout(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	const timeout = 500 * time.Millisecond
	store := openWithin(t, proxy.URL(), timeout)
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	proxy.Freeze()
	for name, operation := range map[string]func() error{
		"read":  func() error { _, err := store.Session(t.Context(), session.ID); return err },
		"write": func() error { _, err := store.Rotate(t.Context(), rotation(session)); return err },
		"transaction": func() error {
			_, err := store.DisableUser(t.Context(), auth.AdminAct{UserID: user.ID, Now: now, Mark: uuid.New()})
			return err
		},
	} {
		start := time.Now()
		wantUnavailable(t, operation())
		if took := time.Since(start); took > timeout+time.Second {
			t.Fatalf("%s: took %s", name, took)
		}
	}
	proxy.Thaw()
	_, err := store.Session(t.Context(), session.ID)
	check(t, err)
}

func TestACallerWhoHangsUpCostsNoConnectionAndStopsNoWrite(t *testing.T) {
	store := open(t, dbtest.Postgres(t))
	user := newUser("ada@example.com")
	gone, hangUp := context.WithCancel(t.Context())
	hangUp()
	check(t, store.CreateUser(gone, user, nil))
	_, _, err := store.UserByEmail(gone, user.NormalizedEmail)
	check(t, err)
}

func TestAStatementIsOneRoundTrip(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	store := open(t, proxy.URL())
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	proxy.Reset()
	_, err := store.Session(t.Context(), session.ID)
	check(t, err)
	want(t, "statements", len(proxy.Statements()), 1)
	want(t, "round trips", proxy.RoundTrips(), 1)
}

func TestTheDatabaseMayGoAwayAndComeBack(t *testing.T) {
	server := dbtest.PostgresServer(t)
	store := openWithin(t, server.URL(), time.Second)
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	acknowledged, err := store.Rotate(t.Context(), rotation(session))
	check(t, err)
	for range 3 {
		server.Kill(t)
		_, err := store.Session(t.Context(), session.ID)
		wantUnavailable(t, err)
		_, err = store.ClockSkew(t.Context(), time.Now)
		wantUnavailable(t, err)
		_, err = store.EndSession(t.Context(), auth.SessionEnd{SessionID: session.ID, Reason: auth.Revoked, Now: now, Mark: uuid.New()})
		wantUnavailable(t, err)
		server.Start(t)
		state, err := store.Session(t.Context(), session.ID)
		check(t, err)
		want(t, "generation", state.Generation, acknowledged.Generation)
		want(t, "not revoked", state.RevokedAt == nil, true)
	}
}

func TestOfSeveralHostsTheOneThatTakesWritesIsFound(t *testing.T) {
	database := dbtest.Postgres(t)
	parsed, err := url.Parse(database)
	check(t, err)
	parsed.Host = "127.0.0.1:1," + parsed.Host // nobody listens on the first
	store := open(t, parsed.String())
	check(t, store.CreateUser(t.Context(), newUser("ada@example.com"), nil))

	readOnly := parsed.Query()
	readOnly.Set("options", "-c default_transaction_read_only=on")
	parsed.RawQuery = readOnly.Encode()
	_, err = db.Open(t.Context(), db.Options{URL: parsed.String(), Timeout: time.Second, Log: leaks.Log()})
	want(t, "a server that takes no writes", err != nil, true)
}

func TestUnderSerializableOneOfEightRotationsHappensToo(t *testing.T) {
	url := dbtest.Postgres(t)
	pool, err := sql.Open("postgres", url)
	check(t, err)
	defer func() { _ = pool.Close() }()
	_, err = pool.Exec(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation TO serializable', current_database()); END $$`)
	check(t, err)
	store := open(t, url)
	user := newUser("ada@example.com")
	session := newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	results := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := store.Rotate(t.Context(), rotation(session))
			results <- err
		}()
	}
	rotated := 0
	for range 8 {
		if err := <-results; err == nil {
			rotated++
		} else if !errors.Is(err, auth.ErrNotFound) {
			t.Fatal(err)
		}
	}
	want(t, "rotated", rotated, 1)
}

func TestAHostThatIsSilentLeavesTimeForTheNextOne(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	check(t, err)
	defer func() { _ = silent.Close() }()
	database, err := url.Parse(dbtest.Postgres(t))
	check(t, err)
	database.Host = silent.Addr().String() + "," + database.Host
	store := openWithin(t, database.String(), 2*time.Second)
	_, err = store.Session(t.Context(), uuid.New())
	if !errors.Is(err, auth.ErrNotFound) {
		t.Fatalf("got %v, want an answer", err)
	}
}

func TestALockedSessionTakesOneConnection(t *testing.T) {
	database := dbtest.Postgres(t)
	store := open(t, database)
	user := newUser("ada@example.com")
	session, other := newSession(user.ID), newSession(user.ID)
	check(t, store.CreateUser(t.Context(), user, &session))
	check(t, store.CreateSession(t.Context(), other, user.PasswordHash))
	pool, err := sql.Open("postgres", database)
	check(t, err)
	defer func() { _ = pool.Close() }()
	held, err := pool.Begin()
	check(t, err)
	_, err = held.Exec(`SELECT id FROM sessions WHERE id = $1 FOR UPDATE`, session.ID)
	check(t, err)
	waiting := func() (count int) {
		check(t, pool.QueryRow(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&count))
		return count
	}

	var clients, begun sync.WaitGroup
	rotated := make(chan error, 100)
	for range cap(rotated) {
		begun.Add(1)
		clients.Go(func() {
			begun.Done()
			_, err := store.Rotate(t.Context(), rotation(session))
			rotated <- err
		})
	}
	begun.Wait()
	for waiting() == 0 {
		runtime.Gosched()
	}
	for range 50 { // everybody else is served, however long it takes
		_, err = store.Session(t.Context(), other.ID)
		check(t, err)
	}
	_, err = store.Rotate(t.Context(), rotation(other))
	check(t, err)
	want(t, "waiting connections", waiting(), 1)
	check(t, held.Rollback())
	clients.Wait()
	answered := 0
	for range cap(rotated) {
		if err := <-rotated; err == nil {
			answered++
		} else if !errors.Is(err, auth.ErrNotFound) {
			t.Error(err)
		}
	}
	want(t, "rotations", answered, 1)
}
