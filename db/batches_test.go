package db_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
	"latchkey/db"
	"latchkey/db/dbtest"
)

// countingLog counts what a store logs: what says a text, and the statements that contain it.
type countingLog struct {
	slog.Handler
	text string

	mu    sync.Mutex
	count int
	then  func(nth int) // or nil; called without the lock
}

func (l *countingLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *countingLog) Handle(_ context.Context, record slog.Record) error {
	said := record.Message
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "sql" {
			said = a.Value.String()
		}
		return true
	})
	if strings.Contains(said, l.text) {
		l.mu.Lock()
		l.count++
		nth, then := l.count, l.then
		l.mu.Unlock()
		if then != nil {
			then(nth)
		}
	}
	return nil
}

// each has something done at each of what is counted from now on, from 1, or nothing.
func (l *countingLog) each(then func(nth int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count, l.then = 0, then
}

func (l *countingLog) counted() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// madeTogether is in the statements that change several sessions.
const madeTogether = "? UNION ALL SELECT ?"

// crowd is a store with many sessions, each of a user of its own, and a log that counts what contains a text.
func crowd(t *testing.T, url, counting string, size int) (*db.Store, []auth.NewSession, *countingLog) {
	t.Helper()
	log := &countingLog{text: counting}
	store, err := db.Open(t.Context(), db.Options{URL: url, Timeout: 10 * time.Second, Log: slog.New(log)})
	check(t, err)
	t.Cleanup(func() { _ = store.Close() })
	sessions := make([]auth.NewSession, size)
	for i := range sessions {
		user := newUser(fmt.Sprintf("user%d@example.com", i))
		sessions[i] = newSession(user.ID)
		sessions[i].RefreshHash = fmt.Appendf(nil, "first of %d", i)
		check(t, store.CreateUser(t.Context(), user, &sessions[i]))
	}
	return store, sessions, log
}

// atOnce does something with each member of a list, all at the same time, and returns when all is done.
func atOnce[Member any](list []Member, do func(i int, member Member)) {
	var group sync.WaitGroup
	begin := make(chan struct{})
	for i, member := range list {
		group.Go(func() {
			<-begin
			do(i, member)
		})
	}
	close(begin)
	group.Wait()
}

func TestSessionsThatAreReadAtOnceAreReadTogetherAndNoneForAnother(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		store, sessions, log := crowd(t, url, "FROM sessions JOIN", 200)
		atOnce(sessions, func(i int, session auth.NewSession) {
			state, err := store.Session(t.Context(), session.ID)
			if err != nil || state.ID != session.ID || state.UserID != session.UserID || state.User.ID != session.UserID ||
				state.User.Email != fmt.Sprintf("USER%d@EXAMPLE.COM", i) || string(state.RefreshHash) != string(session.RefreshHash) {
				t.Errorf("session %d: got %+v, %v", i, state, err)
			}
			if _, err := store.Session(t.Context(), uuid.New()); !errors.Is(err, auth.ErrNotFound) {
				t.Errorf("a session that is none: %v", err)
			}
		})
		if statements := log.counted(); statements == 0 || statements > 200 {
			t.Errorf("400 readings were %d statements", statements)
		}
	})
}

func TestWhatPanicsInABatchPanicsInAllWhoAskedAndInNobodyAfterwards(t *testing.T) {
	for name, test := range map[string]struct {
		statement string
		ask       func(context.Context, *db.Store, auth.NewSession) error
	}{
		"readings": {"FROM sessions JOIN", func(ctx context.Context, store *db.Store, session auth.NewSession) error {
			_, err := store.Session(ctx, session.ID)
			return err
		}},
		"rotations": {"UPDATE sessions", func(ctx context.Context, store *db.Store, session auth.NewSession) error {
			_, err := store.Rotate(ctx, rotation(session))
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, url string) {
				store, sessions, log := crowd(t, url, test.statement, 80)
				firstIsUnderWay, othersAsked := make(chan struct{}), make(chan struct{})
				log.each(func(nth int) {
					if nth == 1 {
						close(firstIsUnderWay)
						<-othersAsked // so that they cannot ask alone
						return
					}
					panic("the log is broken")
				})
				first := make(chan error, 1)
				go func() { first <- test.ask(t.Context(), store, sessions[0]) }()
				<-firstIsUnderWay
				var panics atomic.Int32
				atOnce(sessions[1:], func(i int, session auth.NewSession) {
					defer func() {
						if recover() == "the log is broken" {
							panics.Add(1)
						}
					}()
					t.Errorf("%d was answered: %v", i, test.ask(t.Context(), store, session))
				})
				close(othersAsked)
				check(t, <-first)
				want(t, "panics", int(panics.Load()), len(sessions)-1)

				log.each(nil)
				atOnce(sessions[1:], func(i int, session auth.NewSession) {
					if err := test.ask(t.Context(), store, session); err != nil {
						t.Errorf("%d afterwards: %v", i, err)
					}
				})
			})
		})
	}
}

func TestWhoComesAloneWaitsForNobody(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		store, sessions, log := crowd(t, url, "", 1)
		before := log.counted()
		_, err := store.Session(t.Context(), sessions[0].ID)
		check(t, err)
		want(t, "statements of a reading", log.counted()-before, 1)
		_, err = store.Rotate(t.Context(), rotation(sessions[0]))
		check(t, err)
		want(t, "statements of a rotation besides", log.counted()-before, 2)
	})
}

func TestRotationsAtOnceAreEachTheirOwnAndOfTwoOfOneTokenOneHappens(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		store, sessions, log := crowd(t, url, madeTogether, 100)
		var mu sync.Mutex
		rotated := map[uuid.UUID]int{}
		atOnce(append(sessions, sessions...), func(i int, session auth.NewSession) {
			r := rotation(session)
			r.NextHash = fmt.Appendf(nil, "second of %d", i)
			r.Hash = session.RefreshHash
			if i%10 == 9 {
				r.Hash = []byte("no token of this session")
			}
			state, err := store.Rotate(t.Context(), r)
			switch {
			case errors.Is(err, auth.ErrNotFound):
			case err != nil || i%10 == 9:
				t.Errorf("rotation %d: %+v, %v", i, state, err)
			case state.ID != session.ID || state.Generation != 2 || string(state.RefreshHash) != string(r.NextHash) || state.User.ID != session.UserID:
				t.Errorf("rotation %d got %+v", i, state)
			default:
				mu.Lock()
				rotated[session.ID]++
				mu.Unlock()
			}
		})
		for i, session := range sessions {
			wanted := 1
			if i%10 == 9 {
				wanted = 0
			}
			want(t, fmt.Sprintf("rotations of session %d", i), rotated[session.ID], wanted)
		}
		if log.counted() == 0 {
			t.Error("none was made together with others")
		}
	})
}

func TestEndsAtOnceAreEachRecordedOnceAndOfTwoOfOneSessionOneHappens(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		store, sessions, log := crowd(t, url, madeTogether, 100)
		stranger := uuid.New()
		var mu sync.Mutex
		ended := map[uuid.UUID]uuid.UUID{}
		atOnce(append(sessions, sessions...), func(i int, session auth.NewSession) {
			end := auth.SessionEnd{
				SessionID: session.ID, UserID: &session.UserID, Reason: auth.SignedOut, Now: now.Add(time.Minute), Mark: uuid.New(),
				Client: auth.Client{UserAgent: fmt.Sprintf("agent %d", i)},
			}
			if i%10 == 9 {
				end.UserID = &stranger
			}
			state, err := store.EndSession(t.Context(), end)
			switch {
			case errors.Is(err, auth.ErrNotFound):
			case err != nil || i%10 == 9:
				t.Errorf("end %d: %+v, %v", i, state, err)
			case state.ID != session.ID || state.RevokeReason != auth.SignedOut || state.User.ID != session.UserID:
				t.Errorf("end %d got %+v", i, state)
			default:
				mu.Lock()
				if _, twice := ended[session.ID]; twice {
					t.Errorf("session %d ended twice", i)
				}
				ended[session.ID] = end.Mark
				mu.Unlock()
			}
		})
		for i, session := range sessions {
			events, err := store.Events(t.Context(), session.UserID, nil, 10)
			check(t, err)
			mark, was := ended[session.ID]
			want(t, fmt.Sprintf("whether session %d ended", i), was, i%10 != 9)
			if !was {
				want(t, "events", len(events), 1)
				continue
			}
			want(t, "events", len(events), 2) // the sign-up is the other
			want(t, "the event", events[0].ID, mark)
			want(t, "its kind", events[0].Kind, auth.SessionWasEnded)
			want(t, "its session", *events[0].SessionID, session.ID)
			want(t, "its reason", *events[0].Reason, auth.SignedOut)
		}
		if log.counted() == 0 {
			t.Error("none was made together with others")
		}
	})
}

func TestALockedSessionHoldsNoOther(t *testing.T) {
	url := dbtest.Postgres(t)
	store, sessions, _ := crowd(t, url, "", 60)
	locked, err := dbtest.Open(t, url).BeginTx(t.Context(), &sql.TxOptions{})
	check(t, err)
	_, err = locked.Exec(`SELECT id FROM sessions WHERE id = $1 FOR UPDATE`, sessions[0].ID)
	check(t, err)

	held := make(chan error, 1)
	others := make(chan error, len(sessions))
	go atOnce(sessions, func(i int, session auth.NewSession) {
		_, err := store.Rotate(t.Context(), rotation(session))
		if i > 0 && err == nil {
			_, err = store.EndSession(t.Context(), auth.SessionEnd{SessionID: session.ID, Reason: auth.SignedOut, Now: now.Add(2 * time.Hour), Mark: uuid.New()})
		}
		if i == 0 {
			held <- err
			return
		}
		others <- err
	})
	for range len(sessions) - 1 {
		check(t, <-others) // or the test hangs, and then the store's timeout fails it
	}
	confirmations := []auth.Confirmation{{SessionID: sessions[0].ID, Generation: 1, UsedAt: now}}
	check(t, store.Confirm(t.Context(), confirmations))
	select {
	case err := <-held:
		t.Fatalf("the locked session was rotated: %v", err)
	default:
	}
	check(t, locked.Rollback())
	check(t, <-held)
}

func TestChangesThatFailTogetherAreMadeAlone(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	store, sessions, log := crowd(t, proxy.URL(), "one by one, having failed together", 60)
	proxy.LoseAnswers(1, "free AS (") // again and again, since the driver asks again
	defer proxy.LoseAnswers(0, "")
	atOnce(sessions, func(i int, session auth.NewSession) {
		if _, err := store.Rotate(t.Context(), rotation(session)); err != nil && !errors.Is(err, auth.ErrNotFound) {
			t.Errorf("rotation %d: %v", i, err)
		}
	})
	rotations := log.counted()
	atOnce(sessions, func(i int, session auth.NewSession) {
		state, err := store.EndSession(t.Context(), auth.SessionEnd{SessionID: session.ID, Reason: auth.SignedOut, Now: now.Add(2 * time.Hour), Mark: uuid.New()})
		if err != nil || state.Generation != 2 {
			t.Errorf("end %d: %+v, %v", i, state, err)
		}
	})
	if ends := log.counted() - rotations; rotations == 0 || ends == 0 {
		t.Errorf("%d batches of rotations failed, and %d of ends", rotations, ends)
	}
	for _, session := range sessions {
		events, err := store.Events(t.Context(), session.UserID, nil, 10)
		check(t, err)
		want(t, "events", len(events), 2)
	}
}

func TestRotationsThatWereLateTogetherAreNotAcknowledgedAlone(t *testing.T) {
	url := dbtest.Postgres(t)
	proxy := dbtest.NewProxy(t, url)
	_, sessions, _ := crowd(t, url, "", 20)
	store, err := db.Open(t.Context(), db.Options{URL: proxy.URL(), Timeout: time.Second, Log: slog.New(slog.DiscardHandler)})
	check(t, err)
	t.Cleanup(func() { _ = store.Close() })
	held := proxy.HoldAnswer("free AS (")
	defer held.Release()
	var unavailable atomic.Int32
	atOnce(sessions, func(i int, session auth.NewSession) {
		switch _, err := store.Rotate(t.Context(), rotation(session)); {
		case errors.Is(err, auth.ErrUnavailable):
			unavailable.Add(1)
		case err != nil: // that it was not found would be taken for its own doing
			t.Errorf("rotation %d: %v", i, err)
		}
	})
	if count := unavailable.Load(); count < 2 {
		t.Errorf("%d rotations were late", count)
	}
}

func TestNobodyIsAnsweredByAReadingThatBeganBeforeTheQuestion(t *testing.T) {
	url := dbtest.Postgres(t)
	proxy := dbtest.NewProxy(t, url)
	store, sessions, _ := crowd(t, proxy.URL(), "", 2)
	anotherServer := open(t, url)
	session := sessions[0].ID

	held := proxy.HoldAnswer("FROM sessions JOIN")
	first := make(chan *auth.SessionState, 1)
	go func() {
		state, err := store.Session(t.Context(), session)
		if err != nil {
			t.Error(err)
		}
		first <- state
	}()
	held.Await() // the database has answered, and nobody has heard it yet
	_, err := anotherServer.EndSession(t.Context(), auth.SessionEnd{SessionID: session, Reason: auth.SignedOut, Now: now, Mark: uuid.New()})
	check(t, err)

	// Nor does it wait for that answer.
	state, err := store.Session(t.Context(), session)
	check(t, err)
	want(t, "whether the end is seen", state.RevokedAt != nil, true)
	held.Release()
	if state := <-first; state.RevokedAt != nil {
		t.Error("the first reading was after the end: nothing is shown")
	}
}

func TestAChangeWhoseAnswerIsHeldHoldsNoOther(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	store, sessions, _ := crowd(t, proxy.URL(), "", 20)
	held := proxy.HoldAnswer("UPDATE sessions")
	first := make(chan error, 1)
	go func() {
		_, err := store.Rotate(t.Context(), rotation(sessions[0]))
		first <- err
	}()
	held.Await()
	atOnce(sessions[1:], func(i int, session auth.NewSession) {
		if _, err := store.Rotate(t.Context(), rotation(session)); err != nil {
			t.Errorf("rotation %d: %v", i, err)
		}
	})
	held.Release()
	check(t, <-first)
}
