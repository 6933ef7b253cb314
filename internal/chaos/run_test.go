//go:build linux

package chaos_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"latchkey/db/dbtest"
	"latchkey/internal/history"
	"latchkey/internal/leaks"
)

var (
	seedFlag = flag.Uint64("seed", 1, "what every decision of a run follows from")
	soakFlag = flag.Bool("soak", false, "also what takes minutes")
)

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "latchkey-chaos-")
	if err != nil {
		panic(err)
	}
	builds.folder, builds.made = folder, map[string]string{}
	dbtest.Main(m, func() {
		_ = os.RemoveAll(folder)
		table.print()
	})
}

const (
	secret          = "a secret of the test's own, long enough"
	password        = "correct horse battery staple"
	databaseTimeout = time.Second
	grace           = 2 * time.Second
	// settled is how long a server goes on at the most with a request whose client has gone: a statement,
	// a read and a second statement, each with the time that the database is given.
	settled = 3*databaseTimeout + time.Second
)

// scenario is one row of the table: a fault, and what it is to be shown on.
type scenario struct {
	name      string
	on        []string // databases
	onSoak    []string // more of them, with -soak
	soak      bool
	last      time.Duration // of the load, 8 s where it is zero
	servers   int           // 2 where it is zero, and 1 on SQLite
	devices   int           // 40 where it is zero
	rate      float64       // arrivals a second, 150 where it is zero
	alone     bool          // no load: the fault says all that is said
	setting   string        // of PostgreSQL's database
	smallDisk bool          // SQLite's file lies on one of 16 MiB
	way       way
	patches   []patch
	env       []string
	// start is asked for more of a server's environment each time that it starts.
	start  func(r *run, server, start int) []string
	adjust func(*history.Rules) // what the checker must know of the fault
	// fault breaks things while the load runs, and mends them. What it breaks, when, follows from r.dice.
	fault func(r *run)
}

// run is a scenario on one database.
type run struct {
	*testing.T
	scenario
	seed     uint64
	folder   string
	dice     *rand.Rand
	database *database
	servers  []*server
	client   *client
	recorder *history.Recorder
	devices  []*device
	rules    history.Rules
	lost     []history.Violation // found by asking, not in the history
}

// faulty marks the time in which something is broken.
func (r *run) faulty(during func()) {
	from := r.recorder.Now()
	during()
	r.rules.Faults = append(r.rules.Faults, history.Window{From: from, To: r.recorder.Now() + settled})
}

// away marks the time in which the database cannot be reached by anybody. What asked before may still be
// answered.
func (r *run) away(during func()) {
	from := r.recorder.Now()
	during()
	r.rules.Away = append(r.rules.Away, history.Window{From: from, To: r.recorder.Now()})
}

func (r *run) sleep(least, most time.Duration) {
	time.Sleep(least + time.Duration(r.dice.Int64N(int64(most-least)+1)))
}

// result is what a run has shown.
type result struct {
	scenario, database string
	seed               uint64
	operations         []history.Operation
	violations         []history.Violation
	least              int // operations, or something is wrong with the run
	took               time.Duration
}

// play plays a scenario and returns what the clients saw. It fails the test only where the run itself
// does not work; what the history shows is the caller's to judge.
func (s scenario) play(t *testing.T, name string, seed uint64) result {
	t.Helper()
	began := time.Now()
	s.last = or(s.last, 8*time.Second)
	s.devices = or(s.devices, 40)
	s.rate = or(s.rate, 150)
	s.servers = or(s.servers, 2)
	if name == sqlite {
		s.servers = 1
	}
	program := build(t, s.patches...)
	r := &run{T: t, scenario: s, seed: seed, folder: t.TempDir(), dice: rand.New(rand.NewPCG(seed, 4))}
	r.rules = history.Rules{Grace: grace, ConfirmedWithin: 3 * time.Second, Slowest: settled + time.Second}
	if s.adjust != nil {
		s.adjust(&r.rules)
	}
	r.database = newDatabase(t, name, s.way, s.smallDisk)
	if s.setting != "" {
		execute(t, connect(t, r.database.direct), "ALTER DATABASE postgres SET "+s.setting)
	}
	for i := range s.servers {
		r.servers = append(r.servers, startServer(t, program, func(start int) []string {
			env := []string{
				"DATABASE_URL=" + r.database.url, "SECRET=" + secret, "PUBLIC_URL=http://latchkey.test",
				"DATABASE_TIMEOUT=" + databaseTimeout.String(), "REFRESH_GRACE=" + grace.String(), "LOG_FORMAT=json",
				// Attempts that die with their server are not given back, and clocks that are wrong fill budgets.
				"LOGIN_LIMIT=off", "LOGIN_IP_LIMIT=off",
			}
			env = append(env, s.env...)
			if s.start != nil {
				env = append(env, s.start(r, i, start)...)
			}
			return env
		}))
	}
	ready, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, server := range r.servers {
		if err := server.awaitReady(ready); err != nil {
			t.Fatal(err)
		}
	}
	r.recorder = history.NewRecorder()
	r.client = newClient(r.servers, r.recorder)
	r.signUp(ready)
	if s.alone {
		s.fault(r)
	} else {
		r.load(seed)
		r.everybodyGoesOn(seed)
	}

	operations := r.recorder.Operations()
	violations := append(history.Check(operations, r.rules), r.lost...)
	r.searchForSecrets()
	if len(violations) > 0 {
		r.showFaults()
	}
	least := 500
	if s.alone {
		least = 10
	}
	return result{s.name, name, seed, operations, violations, least, time.Since(began)}
}

func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// signUp makes the users, each with many devices.
func (r *run) signUp(ctx context.Context) {
	const people = 10
	var users sync.WaitGroup
	for i := range r.scenario.devices {
		email := fmt.Sprintf("user%d@example.com", i%people)
		r.devices = append(r.devices, &device{
			client: r.client, name: fmt.Sprintf("device %d", i), role: roleOf(i), email: email,
		})
		if i >= people {
			continue
		}
		users.Go(func() {
			o, _, _ := r.client.do(ctx, history.Operation{Kind: history.Login},
				`mutation($email: String!, $password: String!) { result: signUp(input: {email: $email, password: $password})`+selection,
				map[string]any{"email": email, "password": password}, "")
			if o.Outcome != history.OK {
				r.Errorf("sign-up: %s", o)
			}
		})
	}
	users.Wait()
}

// load lets people do what they planned while the fault comes and goes.
func (r *run) load(seed uint64) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var people sync.WaitGroup
	began := time.Now()
	people.Go(func() {
		for _, arrival := range plan(seed, len(r.devices), len(r.servers), r.rate, r.last) {
			time.Sleep(time.Until(began.Add(arrival.at)))
			people.Go(func() { r.devices[arrival.device].act(ctx, arrival) })
		}
	})
	time.Sleep(time.Duration(len(r.devices)) * loginEvery)
	if r.fault != nil {
		r.faulty(func() { r.fault(r) })
	}
	well, stop := context.WithTimeout(r.Context(), 30*time.Second)
	defer stop()
	for _, server := range r.servers {
		if err := server.awaitReady(well); err != nil {
			r.Error(err)
		}
	}
	time.Sleep(time.Until(began.Add(r.last)))
	over := make(chan struct{})
	go func() { people.Wait(); close(over) }()
	select {
	case <-over:
	case <-time.After(30 * time.Second): // whoever still has no answer says so in everybodyGoesOn
		cancel()
		<-over
	}
}

// everybodyGoesOn has every honest device refresh and ask, and the others find that what was ended is.
func (r *run) everybodyGoesOn(seed uint64) {
	ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
	defer cancel()
	var devices sync.WaitGroup
	var mu sync.Mutex
	for i, device := range r.devices {
		devices.Go(func() {
			dice := rand.New(rand.NewPCG(seed, 100+uint64(i)))
			if device.ended && device.role != honest {
				device.probe(ctx, arrival{})
				return
			}
			err := device.goOn(ctx, dice)
			if err == nil || device.role != honest {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			token, _ := history.ParseToken(device.tokens.refresh)
			r.lost = append(r.lost, history.Violation{Invariant: history.NobodyLost, Session: token.Session, What: err.Error()})
		})
	}
	devices.Wait()
}

// searchForSecrets looks for tokens and passwords where none may be: one fails the whole.
func (r *run) searchForSecrets() {
	for _, server := range r.servers {
		log, err := os.ReadFile(server.log)
		if err != nil {
			r.Fatal(err)
		}
		leaks.Scan("log", log)
	}
}

// showFaults logs what the servers took for faults of their own, and how their logs end.
func (r *run) showFaults() {
	for _, server := range r.servers {
		log, _ := os.ReadFile(server.log)
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, `"level":"ERROR"`) {
				r.Logf("%s: %s", server.url, line)
			}
		}
		r.Logf("the end of the log of %s:\n%s", server.url, log[max(0, len(log)-1000):])
	}
}

// table is what a test binary prints at its end.
var table results

type results struct {
	mu   sync.Mutex
	rows []result
}

func (r *results) add(row result) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

func (r *results) print() {
	if len(r.rows) == 0 {
		return
	}
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "fault\tdatabase\toperations\tunknown\tslowest\tlogged out\tbroken\tseed\ttook")
	for _, row := range r.rows {
		unknown, slowest := 0, time.Duration(0)
		for _, o := range row.operations {
			if o.Outcome == history.Unknown {
				unknown++
			}
			slowest = max(slowest, o.End-o.Start)
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t%d\t%d\t%.1fs\t%d\t%d\t%d\t%.0fs\n", row.scenario, row.database,
			len(row.operations), unknown, slowest.Seconds(), history.LoggedOut(row.violations), len(row.violations), row.seed, row.took.Seconds())
	}
	_ = out.Flush()
}

// judge fails the test if the run has broken a promise, and says how to see that again.
func (r result) judge(t *testing.T) {
	t.Helper()
	table.add(r)
	if len(r.operations) < r.least {
		t.Errorf("%d operations only: the load did not run", len(r.operations))
	}
	if len(r.violations) == 0 {
		return
	}
	t.Errorf("%d promises broken, with seed %d. To repeat it: go test ./internal/chaos -run '^%s$' -seed %d%s",
		len(r.violations), r.seed, strings.ReplaceAll(t.Name(), "/", "$/^"), r.seed, map[bool]string{true: " -soak"}[*soakFlag])
	for _, violation := range r.violations[:min(5, len(r.violations))] {
		t.Log(violation)
	}
}

func TestTheSameSeedMakesTheSamePlan(t *testing.T) {
	one, again, other := plan(7, 40, 2, 150, time.Minute), plan(7, 40, 2, 150, time.Minute), plan(8, 40, 2, 150, time.Minute)
	if !slices.Equal(one, again) {
		t.Error("two plans of one seed differ")
	}
	if slices.Equal(one, other) {
		t.Error("the seed decides nothing")
	}
}
