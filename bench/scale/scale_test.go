// Package scale measures what a large database does to those who ask. No test may assert it: it depends on the machine.
package scale

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"golang.org/x/sync/errgroup"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/bench/fill"
	"latchkey/db/dbtest"
	"latchkey/graph"
	"latchkey/web"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	users = 1_000_000
	dead  = 500_000 // of the sessions

	email    = "ada@example.com"
	password = auth.Secret("correct horse battery staple")
)

// statements collects the SQL that the store logs.
type statements struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (s *statements) Enabled(context.Context, slog.Level) bool { return true }
func (s *statements) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s *statements) WithGroup(string) slog.Handler            { return s }
func (s *statements) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "statement" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen[a.Value.String()] = true
		return true
	})
	return nil
}

func (s *statements) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = map[string]bool{}
}

// together reports whether there was a statement with a text for several sessions.
func (s *statements) together(text string) bool {
	for statement := range s.seen {
		if strings.Contains(statement, text) && (strings.Contains(statement, "? UNION ALL SELECT ?") || strings.Contains(statement, "IN (?, ?")) {
			return true
		}
	}
	return false
}

var wholeTable = regexp.MustCompile(`Seq Scan on (users|sessions|events|throttles)`)

// explain fails where the plan of a statement, made without knowing its arguments, reads a whole table.
func explain(b *testing.B, database *sql.DB, what, statement string) {
	b.Helper()
	connection, err := database.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	nulls := strings.TrimSuffix(strings.Repeat("NULL, ", strings.Count(statement, "?")), ", ")
	if nulls != "" {
		nulls = "(" + nulls + ")"
	}
	for _, step := range []string{`SET plan_cache_mode = force_generic_plan`, `PREPARE asked AS ` + sqlx.Rebind(sqlx.DOLLAR, statement)} {
		if _, err := connection.ExecContext(b.Context(), step); err != nil {
			b.Fatalf("%s: %v: %s", what, err, statement)
		}
	}
	defer func() { _, _ = connection.ExecContext(context.WithoutCancel(b.Context()), `DEALLOCATE asked`) }()
	rows, err := connection.QueryContext(b.Context(), `EXPLAIN EXECUTE asked `+nulls)
	if err != nil {
		b.Fatalf("%s: %v: %s", what, err, statement)
	}
	defer func() { _ = rows.Close() }()
	var plan []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			b.Fatal(err)
		}
		plan = append(plan, line)
	}
	if err := rows.Err(); err != nil {
		b.Fatal(err)
	}
	text := strings.Join(plan, "\n")
	if wholeTable.MatchString(text) {
		b.Errorf("%s reads a whole table:\n%s\n%s", what, statement, text)
	}
}

// BenchmarkAMillionUsers fills a private PostgreSQL with a million users and two million sessions, shows that nothing
// that people wait for reads a whole table, and measures what the clean-up of half a million dead sessions does to
// those who ask who they are meanwhile.
func BenchmarkAMillionUsers(b *testing.B) {
	server := dbtest.PostgresServer(b)
	log := &statements{seen: map[string]bool{}}
	clock := authtest.NewClock()
	service, store := authtest.NewService(b, authtest.Options{URL: server.URL(), Clock: clock, Log: slog.New(log)})
	database := dbtest.Open(b, server.URL())
	began := time.Now()
	err := fill.Fill(b.Context(), database, fill.Users{From: 1, To: users, Dead: dead, PasswordHash: "none", Now: clock.Now()})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("filled in %s", time.Since(began).Round(time.Second))

	client := auth.Client{UserAgent: "bench/1", IP: "192.0.2.1"}
	admin, err := service.AddUser(b.Context(), email, password, auth.RoleAdmin)
	if err != nil {
		b.Fatal(err)
	}
	var tokens *auth.Tokens
	var someone *auth.User
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"login", func() {
			tokens, err = service.Login(b.Context(), auth.LoginRequest{Email: email, Password: password}, client)
			check(err)
		}},
		{"login, wrong", func() {
			_, err := service.Login(b.Context(), auth.LoginRequest{Email: email, Password: "wrong"}, client)
			if err == nil {
				b.Fatal("let in")
			}
		}},
		{"refreshToken", func() {
			tokens, err = service.Refresh(b.Context(), tokens.RefreshToken, client)
			check(err)
		}},
		{"me", func() {
			_, err := service.Authenticate(b.Context(), tokens.AccessToken)
			check(err)
		}},
		{"the list of sessions", func() {
			_, err := service.Sessions(b.Context(), &tokens.User)
			check(err)
		}},
		{"the account", func() {
			page, err := service.Events(b.Context(), &tokens.User, 1, nil)
			check(err)
			cursor := page.Events[0].Cursor()
			_, err = service.Events(b.Context(), &tokens.User, 20, &cursor)
			check(err)
		}},
		{"the list of users", func() {
			page, err := service.Users(b.Context(), "", 100, nil)
			check(err)
			cursor, err := page.Users[99].Cursor()
			check(err)
			_, err = service.Users(b.Context(), "user4711", 20, &cursor)
			check(err)
			page, err = service.Users(b.Context(), "user4711", 20, nil)
			check(err)
			someone = &page.Users[0]
		}},
		{"the acts of an administrator", func() {
			actor := auth.Actor{UserID: &admin.ID, Client: client}
			_, err := service.RevokeUserSessions(b.Context(), actor, someone.ID)
			check(err)
			_, err = service.DisableUser(b.Context(), actor, someone.ID)
			check(err)
			check(service.EnableUser(b.Context(), actor, someone.ID))
			check(service.SetRole(b.Context(), actor, someone.ID, auth.RoleAdmin))
		}},
		{"many at once", func() { // those of nobody are looked for as others are
			var group errgroup.Group
			for range 100 {
				group.Go(func() error {
					_, read := store.Session(b.Context(), uuid.New())
					_, rotated := store.Rotate(b.Context(), auth.Rotation{SessionID: uuid.New(), Now: clock.Now(), IdleExpiresAt: clock.Now()})
					_, ended := store.EndSession(b.Context(), auth.SessionEnd{SessionID: uuid.New(), Reason: auth.Revoked, Now: clock.Now(), Mark: uuid.New()})
					for _, err := range []error{read, rotated, ended} {
						if !errors.Is(err, auth.ErrNotFound) {
							return fmt.Errorf("got %v", err)
						}
					}
					return nil
				})
			}
			check(group.Wait())
			check(store.Confirm(b.Context(), make([]auth.Confirmation, 40)))
			for _, of := range []string{"IN (?, ?", "refresh_generation + 1", "revocation_id", "confirmed_generation ="} {
				if !log.together(of) {
					b.Errorf("no statement with %q was for several", of)
				}
			}
		}},
		{"the clean-up", func() {
			_, err := store.CleanUp(b.Context(), auth.Old{}, 500)
			check(err)
		}},
	} {
		log.reset()
		began := time.Now()
		step.do()
		took := time.Since(began)
		for statement := range log.seen {
			explain(b, database, step.name, statement)
		}
		b.Logf("%-30s %2d statements, by index; %s", step.name, len(log.seen), took.Round(100*time.Microsecond))
	}

	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	edge, err := web.New(web.Options{
		Executor:  graph.NewExecutor(service, quiet, graph.Options{Metrics: web.NewMetrics()}),
		ClockSkew: func(ctx context.Context) (time.Duration, error) { return store.ClockSkew(ctx, time.Now) }, Log: quiet, Metrics: web.NewMetrics(), PublicURL: "https://auth.example.com",
	})
	check(err)
	listening := httptest.NewServer(edge)
	defer listening.Close()

	for b.Loop() {
		before := load(b, listening, tokens, func() { time.Sleep(10 * time.Second) })
		var deleted int
		began := time.Now()
		during := load(b, listening, tokens, func() {
			deleted, err = service.CleanUp(b.Context())
			check(err)
		})
		took := time.Since(began)
		after := load(b, listening, tokens, func() { time.Sleep(5 * time.Second) })
		if deleted < dead {
			b.Errorf("deleted %d rows, want %d", deleted, dead)
		}
		_, _ = fmt.Fprintf(os.Stderr, "clean-up of %d rows: %s\nme, 99th percentile: before %s, during %s, after %s\nme, a second: before %d, during %d\n",
			deleted, took.Round(time.Millisecond), before.p99, during.p99, after.p99, before.rate, during.rate)
		ratio := float64(during.p99) / float64(before.p99)
		b.ReportMetric(ratio, "p99-ratio")
		if ratio > 2 {
			b.Errorf("the 99th percentile of me is %.1f times what it was", ratio)
		}
	}
}

type figures struct {
	p99  time.Duration
	rate int // a second
}

// load asks who is signed in, over 8 connections, until something is done.
func load(b *testing.B, server *httptest.Server, tokens *auth.Tokens, until func()) figures {
	b.Helper()
	done := make(chan struct{})
	var mu sync.Mutex
	var all []time.Duration
	var workers sync.WaitGroup
	began := time.Now()
	for range 8 {
		workers.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			var took []time.Duration
			for running := true; running; {
				select {
				case <-done:
					running = false
				default:
				}
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/graphql", strings.NewReader(`{"query":"{ me { id } }"}`))
				if err != nil {
					b.Error(err)
					return
				}
				request.Header.Set("Content-Type", "application/json")
				request.Header.Set("Authorization", "Bearer "+tokens.AccessToken.Reveal())
				sent := time.Now()
				response, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				body, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				took = append(took, time.Since(sent))
				if err != nil || !strings.Contains(string(body), `"me":{"id"`) {
					b.Errorf("%v: %s", err, body)
					return
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	until()
	close(done)
	workers.Wait()
	slices.Sort(all)
	return figures{p99: all[len(all)*99/100], rate: int(float64(len(all)) / time.Since(began).Seconds())}
}
