package db_test

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"latchkey/auth"
	"latchkey/db"
	"latchkey/db/dbtest"
	"latchkey/internal/leaks"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var now = time.Date(2026, 3, 1, 12, 0, 0, 123456000, time.UTC)

func open(t *testing.T, url string) *db.Store {
	t.Helper()
	store, err := db.Open(t.Context(), db.Options{URL: url, Timeout: 10 * time.Second, Log: leaks.Log()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// each is the conformance suite's way to run on both databases, with a user who has one session.
func each(t *testing.T, test func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession)) {
	t.Helper()
	dbtest.Each(t, func(t *testing.T, url string) {
		store := open(t, url)
		user := newUser("ada@example.com")
		session := newSession(user.ID)
		if err := store.CreateUser(t.Context(), user, &session); err != nil {
			t.Fatal(err)
		}
		test(t, store, user, session)
	})
}

func newUser(email string) auth.NewUser {
	name := "Ada"
	return auth.NewUser{
		User:            auth.User{ID: uuid.New(), Email: strings.ToUpper(email), Name: &name, Role: auth.RoleUser, CreatedAt: now},
		NormalizedEmail: email, PasswordHash: "hash",
	}
}

func newSession(user uuid.UUID) auth.NewSession {
	device := "laptop"
	return auth.NewSession{
		Session: auth.Session{
			ID: uuid.New(), UserID: user, DeviceName: &device, Delivery: auth.ByRefreshCookie,
			CreatedAt: now, LastUsedAt: now, ExpiresAt: now.Add(30 * 24 * time.Hour),
		},
		IdleExpiresAt: now.Add(7 * 24 * time.Hour), RefreshHash: []byte("hash 1"), RefreshKeyID: "00000001",
	}
}

func rotation(session auth.NewSession) auth.Rotation {
	agent := "agent"
	return auth.Rotation{
		SessionID: session.ID, Generation: 1, Hash: session.RefreshHash,
		NextHash: []byte("hash 2"), Seed: []byte("seed"), RefreshKeyID: "00000002",
		Now: now.Add(time.Hour), IdleExpiresAt: now.Add(8 * 24 * time.Hour), UserAgent: &agent,
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func wantNotFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, auth.ErrNotFound) {
		t.Fatalf("%s: got %v, want not found", what, err)
	}
}

func TestWhatIsStoredComesBackAsItWas(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
		found, hash, err := store.UserByEmail(t.Context(), user.NormalizedEmail)
		check(t, err)
		want(t, "hash", hash, "hash")
		want(t, "user", found.ID, user.ID)
		want(t, "email", found.Email, user.Email)
		want(t, "name", *found.Name, *user.Name)
		want(t, "created", found.CreatedAt, now)
		want(t, "enabled", found.DisabledAt == nil, true)

		state, err := store.Session(t.Context(), session.ID)
		check(t, err)
		want(t, "session", state.ID, session.ID)
		want(t, "its user", state.User.ID, user.ID)
		want(t, "read through", state.User.SessionID, session.ID)
		want(t, "its user's e-mail", state.User.Email, user.Email)
		want(t, "its user's time", state.User.CreatedAt, now)
		want(t, "device", *state.DeviceName, "laptop")
		want(t, "delivery", state.Delivery, auth.ByRefreshCookie)
		want(t, "no address", state.IP == nil, true)
		want(t, "times", state.CreatedAt.Equal(now) && state.RefreshedAt.Equal(now) && state.LastUsedAt.Equal(now), true)
		want(t, "in UTC", state.CreatedAt.Location(), time.UTC)
		want(t, "idle", state.IdleExpiresAt, session.IdleExpiresAt)
		want(t, "end", state.ExpiresAt, session.ExpiresAt)
		want(t, "generation", state.Generation, 1)
		want(t, "confirmed", state.ConfirmedGeneration, 0)
		want(t, "refresh hash", string(state.RefreshHash), "hash 1")
		want(t, "no seed", state.RefreshSeed == nil, true)
		want(t, "not revoked", state.RevokedAt == nil && state.RevokeReason == "", true)

		_, err = store.Session(t.Context(), uuid.New())
		wantNotFound(t, "another session", err)
		_, _, err = store.UserByEmail(t.Context(), "nobody@example.com")
		wantNotFound(t, "another user", err)
	})
}

func TestAnAddressHasOneUser(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
		check(t, store.CreateUser(t.Context(), user, &session)) // the same transaction, once more
		another := newUser(user.NormalizedEmail)
		if err := store.CreateUser(t.Context(), another, nil); !errors.Is(err, auth.ErrEmailTaken) {
			t.Fatalf("got %v, want the address taken", err)
		}
		users, err := store.Users(t.Context(), auth.UserQuery{Limit: 10})
		check(t, err)
		want(t, "users", len(users), 1)
	})
}

func TestASessionBeginsOnlyWithTheHashThatLetItsUserIn(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
		check(t, store.CreateSession(t.Context(), newSession(user.ID), "hash"))
		check(t, store.CreateSession(t.Context(), session, "hash")) // once more
		wantNotFound(t, "with another hash", store.CreateSession(t.Context(), newSession(user.ID), "another"))
		check(t, store.ReplacePasswordHash(t.Context(), user.ID, "another", "new")) // does nothing
		check(t, store.ReplacePasswordHash(t.Context(), user.ID, "hash", "new"))
		wantNotFound(t, "with the old hash", store.CreateSession(t.Context(), newSession(user.ID), "hash"))
		ended, err := store.DisableUser(t.Context(), auth.AdminAct{UserID: user.ID, Now: now.Add(time.Minute), Mark: uuid.New()})
		check(t, err)
		want(t, "ended", ended, 2)
		wantNotFound(t, "of a disabled user", store.CreateSession(t.Context(), newSession(user.ID), "new"))
	})
}

func TestARotationNeedsEveryOneOfItsGuards(t *testing.T) {
	broken := map[string]func(r *auth.Rotation){
		"another session":    func(r *auth.Rotation) { r.SessionID = uuid.New() },
		"another generation": func(r *auth.Rotation) { r.Generation = 2 },
		"another hash":       func(r *auth.Rotation) { r.Hash = []byte("hash 2") },
		"idle too long":      func(r *auth.Rotation) { r.Now = now.Add(7 * 24 * time.Hour) },
	}
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
		for name, change := range broken {
			r := rotation(session)
			change(&r)
			_, err := store.Rotate(t.Context(), r)
			wantNotFound(t, name, err)
		}
		state, err := store.Rotate(t.Context(), rotation(session))
		check(t, err)
		want(t, "generation", state.Generation, 2)
		want(t, "confirmed", state.ConfirmedGeneration, 1)
		want(t, "hash", string(state.RefreshHash), "hash 2")
		want(t, "seed", string(state.RefreshSeed), "seed")
		want(t, "key", state.RefreshKeyID, "00000002")
		want(t, "refreshed", state.RefreshedAt, now.Add(time.Hour))
		want(t, "used", state.LastUsedAt, now.Add(time.Hour))
		want(t, "idle", state.IdleExpiresAt, now.Add(8*24*time.Hour))
		want(t, "agent", *state.UserAgent, "agent")
		want(t, "user", state.User.Email, user.Email)
		_, err = store.Rotate(t.Context(), rotation(session))
		wantNotFound(t, "a second time", err)

		r := rotation(session)
		r.Generation, r.Hash, r.IdleExpiresAt = 2, []byte("hash 2"), now.Add(31*24*time.Hour)
		state, err = store.Rotate(t.Context(), r)
		check(t, err)
		want(t, "never past the end", state.IdleExpiresAt, session.ExpiresAt)
	})
}

func TestNoSessionIsRotatedThatIsOver(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
		short := newSession(user.ID)
		short.ExpiresAt = now.Add(time.Hour)
		check(t, store.CreateSession(t.Context(), short, "hash"))
		_, err := store.Rotate(t.Context(), rotation(short))
		wantNotFound(t, "expired", err)

		_, err = store.EndSession(t.Context(), auth.SessionEnd{SessionID: session.ID, Reason: auth.Revoked, Now: now, Mark: uuid.New()})
		check(t, err)
		_, err = store.Rotate(t.Context(), rotation(session))
		wantNotFound(t, "revoked", err)

		another := newUser("grace@example.com")
		theirs := newSession(another.ID)
		check(t, store.CreateUser(t.Context(), another, &theirs))
		_, err = store.DisableUser(t.Context(), auth.AdminAct{UserID: another.ID, Now: now, Mark: uuid.New()})
		check(t, err)
		_, err = store.Rotate(t.Context(), rotation(theirs))
		wantNotFound(t, "of a disabled user", err)
	})
}

func TestOfAHundredRotationsAtOnceOneHappens(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, _ auth.NewUser, session auth.NewSession) {
		var happened, refused atomic.Int32
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				switch _, err := store.Rotate(t.Context(), rotation(session)); {
				case err == nil:
					happened.Add(1)
				case errors.Is(err, auth.ErrNotFound):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		group.Wait()
		want(t, "happened", happened.Load(), 1)
		want(t, "refused", refused.Load(), 99)
	})
}

func TestALateRetryCountsOncePerGeneration(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, _ auth.NewUser, session auth.NewSession) {
		_, err := store.CountLateRetry(t.Context(), session.ID, 2)
		wantNotFound(t, "of another generation", err)
		for range 3 {
			state, err := store.CountLateRetry(t.Context(), session.ID, 1)
			check(t, err)
			want(t, "streak", state.LateRetryStreak, 1)
			want(t, "generation", state.LateRetryGeneration, 1)
		}
		state, err := store.Rotate(t.Context(), rotation(session))
		check(t, err)
		want(t, "streak after a rotation", state.LateRetryStreak, 1)
		r := rotation(session)
		r.Generation, r.Hash = 2, []byte("hash 2")
		state, err = store.Rotate(t.Context(), r)
		check(t, err)
		want(t, "streak after a generation without", state.LateRetryStreak, 0)
		_, err = store.EndSession(t.Context(), auth.SessionEnd{SessionID: session.ID, Reason: auth.Revoked, Now: now, Mark: uuid.New()})
		check(t, err)
		_, err = store.CountLateRetry(t.Context(), session.ID, 3)
		wantNotFound(t, "of a revoked session", err)
	})
}

func TestASessionEndsOnceAndKnowsItsOwnEnd(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
		stranger := uuid.New()
		end := auth.SessionEnd{SessionID: session.ID, UserID: &stranger, Reason: auth.Revoked, Now: now.Add(time.Minute), Mark: uuid.New()}
		_, err := store.EndSession(t.Context(), end)
		wantNotFound(t, "by a stranger", err)
		end.UserID = &user.ID
		for range 2 { // the same end, once more
			state, err := store.EndSession(t.Context(), end)
			check(t, err)
			want(t, "at", *state.RevokedAt, end.Now)
			want(t, "reason", state.RevokeReason, auth.Revoked)
		}
		end.Mark, end.Reason = uuid.New(), auth.ReuseDetected
		_, err = store.EndSession(t.Context(), end)
		wantNotFound(t, "another end", err)
		state, err := store.Session(t.Context(), session.ID)
		check(t, err)
		want(t, "reason", state.RevokeReason, auth.Revoked)
	})
}

func TestAConfirmationNeverGoesBack(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, _ auth.NewUser, session auth.NewSession) {
		_, err := store.Rotate(t.Context(), rotation(session))
		check(t, err)
		later := now.Add(2 * time.Hour)
		confirm := func(generation uint32, at time.Time) *auth.SessionState {
			t.Helper()
			check(t, store.Confirm(t.Context(), []auth.Confirmation{{
				SessionID: session.ID, Generation: generation, UsedAt: at,
			}}))
			state, err := store.Session(t.Context(), session.ID)
			check(t, err)
			return state
		}
		want(t, "another generation", confirm(3, later).ConfirmedGeneration, 1)
		state := confirm(2, now.Add(time.Hour))
		want(t, "confirmed", state.ConfirmedGeneration, 2)
		want(t, "since", *state.ConfirmedAt, now.Add(time.Hour))
		state = confirm(2, later)
		want(t, "confirmed", state.ConfirmedGeneration, 2)
		want(t, "used", state.LastUsedAt, now.Add(time.Hour))
		want(t, "an old generation", confirm(1, later).ConfirmedGeneration, 2)
		check(t, store.Confirm(t.Context(), []auth.Confirmation{{SessionID: uuid.New(), Generation: 1}})) // gone since
	})
}

func TestDisablingTwiceEndsNothingAndKnowsItsOwnEffect(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, _ auth.NewSession) {
		mark := uuid.New()
		for _, m := range []uuid.UUID{mark, mark} { // the same one, once more
			ended, err := store.DisableUser(t.Context(), auth.AdminAct{UserID: user.ID, Now: now, Mark: m})
			check(t, err)
			want(t, "ended", ended, 1)
		}
		ended, err := store.DisableUser(t.Context(), auth.AdminAct{UserID: user.ID, Now: now.Add(time.Hour), Mark: uuid.New()})
		check(t, err)
		want(t, "ended", ended, 0)
		found, _, err := store.UserByEmail(t.Context(), user.NormalizedEmail)
		check(t, err)
		want(t, "since", *found.DisabledAt, now)
	})
}

func TestAPasswordIsChangedOnceAndKnowsItsOwnEffect(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
		other := newSession(user.ID)
		check(t, store.CreateSession(t.Context(), other, "hash"))
		change := auth.PasswordChange{
			OthersEnd: auth.OthersEnd{UserID: user.ID, Except: session.ID, Reason: auth.PasswordChanged, Now: now, Mark: uuid.New()},
			OldHash:   "hash", NewHash: "new hash",
		}
		for _, guard := range map[string]func(c *auth.PasswordChange){
			"another hash":    func(c *auth.PasswordChange) { c.OldHash = "another hash" },
			"another session": func(c *auth.PasswordChange) { c.Except = uuid.New() },
			"another user":    func(c *auth.PasswordChange) { c.UserID = uuid.New() },
		} {
			wrong := change
			guard(&wrong)
			_, err := store.ChangePassword(t.Context(), wrong)
			wantNotFound(t, "changed", err)
		}
		for range 2 { // the second as if the answer to the first was lost
			ended, err := store.ChangePassword(t.Context(), change)
			check(t, err)
			want(t, "ended", ended, 1)
		}
		kept, err := store.Session(t.Context(), session.ID)
		check(t, err)
		want(t, "password generation", kept.PasswordGeneration, 2)
		want(t, "the user's", kept.User.PasswordGeneration, 2)
		wantNotFound(t, "a session with the old hash", store.CreateSession(t.Context(), newSession(user.ID), "hash"))
		check(t, store.CreateSession(t.Context(), newSession(user.ID), "new hash"))
	})
}

func TestAKeyIsStoredOnceAndSealedAnewOnlyFromItsOldForm(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, _ auth.NewUser, _ auth.NewSession) {
		key := auth.SealedKey{Kind: "signing", Number: 1, ID: "a", Sealed: []byte("sealed"), CreatedAt: now}
		check(t, store.AddKey(t.Context(), key))
		second := key
		second.ID = "b"
		check(t, store.AddKey(t.Context(), second)) // somebody was faster
		again := key
		again.Sealed = []byte("sealed anew")
		check(t, store.ResealKey(t.Context(), again, []byte("something else")))
		check(t, store.ResealKey(t.Context(), again, key.Sealed))
		keys, err := store.Keys(t.Context())
		check(t, err)
		want(t, "keys", len(keys), 1)
		want(t, "id", keys[0].ID, "a")
		want(t, "sealed", string(keys[0].Sealed), "sealed anew")
		want(t, "created", keys[0].CreatedAt, now)
	})
}

func TestBothDatabasesHaveTheSameColumns(t *testing.T) {
	columns := map[string]map[string]bool{} // dialect to table.column, and whether it may be NULL
	types := map[string]map[string]string{}
	same := map[string]string{ // PostgreSQL's type to SQLite's
		"uuid": "TEXT", "text": "TEXT", "timestamp with time zone": "TIMESTAMP", "bytea": "BLOB", "bigint": "INTEGER",
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		open(t, url)
		dialect, source, query := "postgres", url, `
			SELECT table_name AS "table", column_name AS "column", data_type AS type, is_nullable = 'YES' AS nullable
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'`
		if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
			dialect, source, query = "sqlite", path, `
				SELECT m.name AS "table", c.name AS "column", c.type, c."notnull" = 0 AS nullable
				FROM sqlite_master m JOIN pragma_table_info(m.name) c
				WHERE m.type = 'table' AND m.name NOT LIKE 'goose%' AND m.name NOT LIKE 'sqlite%'`
		}
		pool, err := sqlx.Open(dialect, source)
		check(t, err)
		defer func() { _ = pool.Close() }()
		var rows []struct {
			Table, Column, Type string
			Nullable            bool
		}
		check(t, pool.Select(&rows, query))
		columns[dialect], types[dialect] = map[string]bool{}, map[string]string{}
		for _, row := range rows {
			name := row.Table + "." + row.Column
			columns[dialect][name] = row.Nullable
			types[dialect][name] = row.Type
			if dialect == "postgres" {
				types[dialect][name] = same[row.Type]
			}
		}
	})
	if len(columns) < 2 {
		t.Skip("one of the databases is not here") // dbtest has said why
	}
	want(t, "columns", len(columns["sqlite"]) > 30, true)
	if !maps.Equal(columns["sqlite"], columns["postgres"]) {
		t.Fatalf("columns differ:\n%v\n%v", columns["sqlite"], columns["postgres"])
	}
	if !maps.Equal(types["sqlite"], types["postgres"]) {
		t.Fatalf("types differ:\n%v\n%v", types["sqlite"], types["postgres"])
	}
}

func TestOneNeitherReadsNorWritesADatabaseThatIsNotThere(t *testing.T) {
	for _, url := range []string{
		"sqlite:" + t.TempDir() + "/no/such/folder/latchkey.db",
		"postgres://ada:canary-password@127.0.0.1:1/x?sslmode=disable", "postgres://ada:canary-password@[", "postgres://ada:canary-password@h/x?sslmode=perhaps",
	} {
		_, err := db.Open(t.Context(), db.Options{URL: url, Timeout: time.Second, Log: leaks.Log()})
		if err == nil {
			t.Fatalf("opened %s", url)
		}
		want(t, "password in the error", strings.Contains(err.Error(), "canary"), false)
	}
}

func TestASQLiteDatabaseIsItsOwnersAlone(t *testing.T) {
	url := dbtest.SQLite(t)
	store := open(t, url)
	check(t, store.CreateUser(t.Context(), newUser("ada@example.com"), nil))
	path := strings.TrimPrefix(url, "sqlite:")
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		check(t, err)
		want(t, name, info.Mode().Perm(), fs.FileMode(0o600))
	}
}

func TestASQLiteFileMayHaveAnyName(t *testing.T) {
	store := open(t, "sqlite:"+t.TempDir()+"/what? 100% #1 & more.db")
	check(t, store.CreateUser(t.Context(), newUser("ada@example.com"), nil))
}

func TestASQLiteDatabaseThatCannotBeWrittenIsUnavailableAndStillRead(t *testing.T) {
	url := dbtest.SQLite(t)
	store := open(t, url)
	user := newUser("ada@example.com")
	check(t, store.CreateUser(t.Context(), user, nil))
	pool, err := sqlx.Open("sqlite", strings.TrimPrefix(url, "sqlite:"))
	check(t, err)
	defer func() { _ = pool.Close() }()
	tx, err := pool.Begin()
	check(t, err)
	_, err = tx.Exec(`UPDATE users SET role = role`) // and holds the lock
	check(t, err)
	short, err := db.Open(t.Context(), db.Options{URL: url, Timeout: 300 * time.Millisecond, Log: leaks.Log()})
	check(t, err)
	defer func() { _ = short.Close() }()
	err = short.CreateUser(t.Context(), newUser("grace@example.com"), nil)
	want(t, "unavailable", errors.Is(err, auth.ErrUnavailable), true)
	_, _, err = short.UserByEmail(t.Context(), user.NormalizedEmail)
	check(t, err)
	check(t, tx.Rollback())
	check(t, short.CreateUser(t.Context(), newUser("grace@example.com"), nil))
}

func TestStatementsAreLoggedWithoutTheirArguments(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		var log bytes.Buffer
		store, err := db.Open(t.Context(), db.Options{
			URL: url, Timeout: 10 * time.Second, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		check(t, err)
		defer func() { _ = store.Close() }()
		check(t, store.CreateUser(t.Context(), newUser("canary@example.com"), nil))
		want(t, "statement", strings.Contains(log.String(), "INSERT INTO users"), true)
		want(t, "argument", strings.Contains(log.String(), "canary"), false)
	})
}

func TestWhatAnAdministratorDidIsKnownWhenItIsDoneOnceMore(t *testing.T) {
	each(t, func(t *testing.T, store *db.Store, user auth.NewUser, session auth.NewSession) {
		check(t, store.CreateUser(t.Context(), admin("root@example.com"), nil))
		self := admin("self@example.com")
		check(t, store.CreateUser(t.Context(), self, nil))
		act := auth.AdminAct{UserID: user.ID, ActorID: &self.ID, Now: now, Mark: uuid.New()}
		for range 2 {
			ended, err := store.DisableUser(t.Context(), act)
			check(t, err)
			want(t, "ended", ended, 1)
		}
		act.UserID, act.Mark = self.ID, uuid.New()
		for range 2 { // after the first, the actor may not do it
			check(t, store.SetRole(t.Context(), act, auth.RoleUser))
		}
		act.Mark = uuid.New()
		if err := store.SetRole(t.Context(), act, auth.RoleAdmin); !errors.Is(err, auth.ErrForbidden) {
			t.Fatalf("got %v, want it forbidden", err)
		}
	})
}

func admin(email string) auth.NewUser {
	user := newUser(email)
	user.Role = auth.RoleAdmin
	return user
}

func TestNoSessionBeginsWithAKeyThatMayBeRevoked(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		store := open(t, url)
		user := newUser("ada@example.com")
		check(t, store.CreateUser(t.Context(), user, nil))
		check(t, store.AddKey(t.Context(), auth.SealedKey{Kind: auth.RefreshKey, Number: 1, ID: "leaked", Sealed: []byte("x"), CreatedAt: now, ActiveAt: now}))
		check(t, store.RevokeKey(t.Context(), "leaked", now))
		session, other := newSession(user.ID), newUser("grace@example.com") // by a server that has not heard of it
		wantUnavailable(t, store.CreateSession(t.Context(), session, user.PasswordHash))
		first := newSession(other.ID)
		wantUnavailable(t, store.CreateUser(t.Context(), other, &first))
		_, err := store.Session(t.Context(), session.ID)
		wantNotFound(t, "session", err)
		_, _, err = store.UserByEmail(t.Context(), other.NormalizedEmail)
		wantNotFound(t, "user", err)
		session.RevokedKeys = 1
		check(t, store.CreateSession(t.Context(), session, user.PasswordHash))
	})
}
