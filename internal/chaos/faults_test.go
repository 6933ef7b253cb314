//go:build linux

package chaos_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"latchkey/internal/history"
)

var (
	everywhere   = []string{sqlite, postgres, serializable, pgbouncer}
	allPostgres  = []string{postgres, serializable, pgbouncer}
	postgresOnly = []string{postgres}
	replicated   = []string{patroniSynchronous}
)

// scenarios are all faults. The quick ones come first.
var scenarios = []scenario{
	{name: "none", on: []string{sqlite, postgres}, last: 6 * time.Second},
	{name: "servers killed", on: []string{sqlite, postgres, pgbouncer}, onSoak: []string{serializable}, fault: killServers},
	{name: "servers killed in the middle", on: []string{sqlite, postgres}, patches: hooked, last: 11 * time.Second,
		start: killAtAPoint, fault: awaitKills},
	{name: "database killed", on: []string{postgres, pgbouncer}, onSoak: []string{serializable}, fault: func(r *run) {
		r.bounceDatabase(func() { r.database.server.Kill(r.T) }, 300*time.Millisecond, time.Second)
	}},
	{name: "database away", on: postgresOnly, last: 12 * time.Second, fault: func(r *run) {
		r.bounceDatabase(func() { r.database.server.Stop(r.T, "fast") }, 5*time.Second, 5*time.Second)
	}},
	{name: "all connections ended", on: []string{postgres, pgbouncer}, onSoak: []string{serializable}, fault: endConnections},
	{name: "answers of commits lost", on: allPostgres, way: throughLoser, fault: loseAnswers},
	{name: "network silent", on: postgresOnly, way: throughToxics, last: 10 * time.Second, fault: func(r *run) {
		defer r.database.poison(r.T, "timeout", "downstream", map[string]any{"timeout": 0})()
		r.sleep(4*time.Second, 5*time.Second)
	}},
	{name: "network reset", on: postgresOnly, way: throughToxics, fault: func(r *run) {
		for range 8 {
			cure := r.database.poison(r.T, "reset_peer", "downstream", map[string]any{"timeout": r.dice.IntN(20)})
			r.sleep(50*time.Millisecond, 300*time.Millisecond)
			cure()
			r.sleep(200*time.Millisecond, 500*time.Millisecond)
		}
	}},
	{name: "a rotation lost by the database", on: postgresOnly, alone: true, fault: loseRotations},
	{name: "answers lost, strict rotation", on: allPostgres, alone: true, way: throughLoser, fault: loseEachAnswer,
		env: []string{"REFRESH_GRACE=0s", "REFRESH_RETRY_WINDOW=0s"}},
	{name: "a patient thief", on: []string{sqlite, postgres}, alone: true, fault: waitAndReplay},
	{name: "servers told to stop", on: []string{sqlite, postgres}, fault: restartServers},
	{name: "a row locked", on: postgresOnly, last: 12 * time.Second, fault: func(r *run) { r.lockRow(6 * time.Second) }},
	{name: "clocks wrong", on: postgresOnly, patches: hooked, start: wrongClock, fault: jumpClocks,
		adjust: func(rules *history.Rules) { rules.ClocksDiffer = true }},

	{name: "200 servers killed", soak: true, on: []string{sqlite, postgres}, last: 110 * time.Second, fault: func(r *run) {
		for range 25 {
			killServers(r)
		}
	}},
	{name: "servers killed in the middle, long", soak: true, on: []string{serializable, pgbouncer}, patches: hooked, last: 40 * time.Second,
		start: killAtAPoint, fault: awaitKills},
	{name: "database killed 20 times", soak: true, on: postgresOnly, last: 100 * time.Second, fault: func(r *run) {
		for range 20 {
			r.bounceDatabase(func() { r.database.server.Kill(r.T) }, 100*time.Millisecond, time.Second)
			r.sleep(time.Second, 3*time.Second)
		}
	}},
	{name: "database stopped at once 20 times", soak: true, on: []string{serializable, pgbouncer}, last: 100 * time.Second, fault: func(r *run) {
		for range 20 {
			r.bounceDatabase(func() { r.database.server.Stop(r.T, "immediate") }, 100*time.Millisecond, time.Second)
			r.sleep(time.Second, 3*time.Second)
		}
	}},
	{name: "database away for 30 s", soak: true, on: allPostgres, last: 45 * time.Second, fault: func(r *run) {
		r.bounceDatabase(func() { r.database.server.Stop(r.T, "fast") }, 30*time.Second, 30*time.Second)
	}},
	{name: "database paused for 20 s", soak: true, on: allPostgres, last: 35 * time.Second, fault: func(r *run) {
		r.database.server.Pause(r.T)
		r.sleep(20*time.Second, 20*time.Second)
		r.database.server.Continue(r.T)
	}},
	{name: "a row locked for 30 s", soak: true, on: allPostgres, last: 45 * time.Second, fault: func(r *run) { r.lockRow(30 * time.Second) }},
	{name: "answers of commits lost, long", soak: true, on: allPostgres, way: throughLoser, last: 32 * time.Second, fault: func(r *run) {
		for range 5 {
			loseAnswers(r)
		}
	}},
	{name: "network slow", soak: true, on: allPostgres, way: throughToxics, last: 40 * time.Second, fault: func(r *run) {
		for _, milliseconds := range []int{50, 200, 900, 2000} {
			cure := r.database.poison(r.T, "latency", "downstream", map[string]any{"latency": milliseconds, "jitter": milliseconds / 4})
			r.sleep(6*time.Second, 8*time.Second)
			cure()
		}
	}},
	{name: "network in slices", soak: true, on: postgresOnly, way: throughToxics, last: 15 * time.Second, fault: func(r *run) {
		defer r.database.poison(r.T, "slicer", "downstream", map[string]any{"average_size": 16, "size_variation": 8, "delay": 500})()
		r.sleep(8*time.Second, 10*time.Second)
	}},
	{name: "network cut in the middle of answers", soak: true, on: allPostgres, way: throughToxics, last: 25 * time.Second, fault: func(r *run) {
		for range 30 {
			cure := r.database.poison(r.T, "limit_data", "downstream", map[string]any{"bytes": 200 + r.dice.IntN(4000)})
			r.sleep(200*time.Millisecond, 500*time.Millisecond)
			cure()
		}
	}},
	{name: "network silent, long", soak: true, on: allPostgres, way: throughToxics, last: 40 * time.Second, fault: func(r *run) {
		for _, stream := range []string{"downstream", "upstream"} {
			cure := r.database.poison(r.T, "timeout", stream, map[string]any{"timeout": 0})
			r.sleep(8*time.Second, 10*time.Second)
			cure()
			r.sleep(5*time.Second, 5*time.Second)
		}
	}},
	{name: "500 devices on pools of 5", soak: true, on: postgresOnly, devices: 500, rate: 400, last: 45 * time.Second,
		patches: []patch{{"db/postgres.go", "const poolSize = 16", "const poolSize = 5"}},
		fault:   func(r *run) { r.sleep(15*time.Second, 15*time.Second) }},
	{name: "5000 hang-ups", soak: true, on: []string{sqlite, postgres}, last: 40 * time.Second, fault: hangUp},
	{name: "disk full", soak: true, on: []string{sqlite}, smallDisk: true, last: 15 * time.Second, fault: fillDisk},
	{name: "disk read-only", soak: true, on: []string{sqlite}, smallDisk: true, last: 15 * time.Second, fault: protectDisk},
	{name: "leader killed, its replica promoted", soak: true, on: replicated, last: 90 * time.Second, fault: func(r *run) {
		for range 2 {
			cluster := r.database.cluster
			dead := cluster.killLeader(r.T)
			cluster.awaitLeader(r.T, dead)
			cluster.startNode(r.T, dead)
			cluster.awaitSynchronous(r.T)
			r.sleep(2*time.Second, 3*time.Second)
		}
	}},
	{name: "leader paused, its replica promoted", soak: true, on: replicated, last: 60 * time.Second, fault: func(r *run) {
		cluster := r.database.cluster
		paused := cluster.pauseLeader(r.T)
		cluster.awaitLeader(r.T, paused)
		r.sleep(2*time.Second, 3*time.Second)
		// As a watchdog does. Without one it goes on as if it led, see docs/reliability.md.
		cluster.killNode(r.T, paused)
		cluster.startNode(r.T, paused)
		cluster.awaitSynchronous(r.T)
	}},
	{name: "leader replaced as planned", soak: true, on: replicated, last: 40 * time.Second, fault: func(r *run) {
		for range 2 {
			cluster := r.database.cluster
			before := cluster.leader(r.T)
			cluster.switchover(r.T)
			cluster.awaitLeader(r.T, before)
			cluster.awaitSynchronous(r.T)
			r.sleep(2*time.Second, 3*time.Second)
		}
	}},
	{name: "what an asynchronous replica loses", soak: true, on: []string{asynchronous}, alone: true, fault: loseWithReplica},
	{name: "rolling restarts", soak: true, on: everywhere, last: 40 * time.Second, fault: func(r *run) {
		for range 10 {
			restartServers(r)
		}
	}},
}

// TestFaults plays the scenarios on their databases.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes; `make test` does it")
	}
	for _, s := range scenarios {
		databases := s.on
		switch {
		case *soakFlag:
			databases = slices.Concat(s.on, s.onSoak)
		case s.soak:
			databases = nil
		}
		for _, name := range databases {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				s.play(t, name, *seedFlag).judge(t)
			})
		}
	}
}

func (r *run) anyServer() *server { return r.servers[r.dice.IntN(len(r.servers))] }

func killServers(r *run) {
	for range 8 {
		r.anyServer().kill()
		r.sleep(300*time.Millisecond, 800*time.Millisecond)
	}
}

// killAtAPoint has each server die of itself: in turns at one of the points that are seldom reached, and
// in the middle of a refresh.
func killAtAPoint(r *run, server, start int) []string {
	points := r.database.killPoints()
	at := points[0] + "=20"
	if start%2 == 0 {
		seldom := points[1:]
		at = fmt.Sprintf("%s=1", seldom[(uint64(start/2+3*server)+r.seed)%uint64(len(seldom))])
	}
	return []string{"CHAOS_KILL=" + at}
}

// comeByAllPoints signs in and refreshes, and then signs out or has a thief found.
func comeByAllPoints(r *run, dice *rand.Rand) {
	guest := r.anotherGuest()
	at := arrival{server: dice.IntN(len(r.servers))}
	guest.login(r.Context(), at, dice)
	guest.stolen = guest.tokens
	guest.refresh(r.Context(), at, dice)
	if dice.IntN(2) == 0 {
		guest.leave(r.Context(), at, dice, guest.tokens, "")
		return
	}
	guest.me(r.Context(), at)
	time.Sleep(grace + r.rules.ConfirmedWithin)
	for range 3 { // the server that finds out may die of it
		guest.replay(r.Context(), at, dice)
		guest.again(r.Context(), &at, dice, 5)
	}
}

// awaitKills has people come by all the points, for long enough that servers died at each.
func awaitKills(r *run) {
	var guests sync.WaitGroup
	began := time.Now()
	for time.Since(began) < r.last-5*time.Second || slices.Min(r.kills()) == 0 && time.Since(began) < 30*time.Second {
		dice := rand.New(rand.NewPCG(r.dice.Uint64(), 5))
		guests.Go(func() { comeByAllPoints(r, dice) })
		r.sleep(100*time.Millisecond, 200*time.Millisecond)
	}
	guests.Wait()
	points := r.database.killPoints()
	for i, count := range r.kills() {
		r.Logf("killed %d times at %q", count, points[i])
		if count == 0 {
			r.Errorf("nobody died at %q", points[i])
		}
	}
}

// kills returns how many servers died at each of the points.
func (r *run) kills() []int {
	points := r.database.killPoints()
	counts := make([]int, len(points))
	for _, server := range r.servers {
		log, err := os.ReadFile(server.log)
		if err != nil {
			r.Fatal(err)
		}
		for i, point := range points {
			counts[i] += strings.Count(string(log), "killed at "+point+"\n")
		}
	}
	return counts
}

// bounceDatabase takes the database away and brings it back.
func (r *run) bounceDatabase(stop func(), least, most time.Duration) {
	stop()
	r.away(func() { r.sleep(least, most) })
	r.database.server.Start(r.T)
}

func endConnections(r *run) {
	admin := connect(r.T, r.database.direct)
	for range 20 {
		execute(r.T, admin, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		r.sleep(150*time.Millisecond, 250*time.Millisecond)
	}
}

func loseAnswers(r *run) {
	r.database.loser.LoseAnswers(10, "")
	r.sleep(5*time.Second, 5*time.Second)
	r.database.loser.LoseAnswers(0, "")
}

func restartServers(r *run) {
	for _, server := range r.servers {
		if err := server.restart(r.Context()); err != nil {
			r.Error(err)
		}
	}
}

func (r *run) clock() string { return filepath.Join(r.folder, "clock") }

func wrongClock(r *run, _, _ int) []string { return []string{"CHAOS_CLOCK=" + r.clock()} }

// jumpClocks sets the time of all servers forward, back, and right again.
func jumpClocks(r *run) {
	for _, wrong := range []string{"10m", "-10m", "1h", "0s"} {
		// In one step: a server must not read half of it.
		if err := os.WriteFile(r.clock()+".new", []byte(wrong), 0o600); err != nil {
			r.Fatal(err)
		}
		if err := os.Rename(r.clock()+".new", r.clock()); err != nil {
			r.Fatal(err)
		}
		r.sleep(time.Second, 1500*time.Millisecond)
	}
}

// guest signs in anew, for a fault that wants a session to itself.
func (r *run) guest() *device {
	guest := r.anotherGuest()
	guest.login(r.Context(), arrival{}, r.dice)
	if guest.tokens.refresh == "" {
		r.Fatal("a guest could not sign in")
	}
	return guest
}

func (r *run) anotherGuest() *device {
	return &device{client: r.client, name: "guest", role: honest, email: r.devices[0].email}
}

// exchange refreshes once, and reports whether that was answered.
func (r *run) exchange(d *device, token string, hostile bool) (tokens, bool) {
	o := d.operation(arrival{server: r.dice.IntN(len(r.servers))}, "")
	o.Hostile = hostile
	o, got, _ := r.client.refresh(r.Context(), o, token)
	return got, o.Outcome == history.OK
}

// loseRotations puts sessions back to where they were a rotation ago, as a replica that lacks it does.
func loseRotations(r *run) {
	admin := connect(r.T, r.database.direct)
	execute(r.T, admin, "CREATE TABLE kept AS SELECT * FROM sessions WHERE FALSE")
	for i := range 6 {
		guest := r.guest()
		first := guest.tokens.refresh
		token, _ := history.ParseToken(first)
		execute(r.T, admin, "INSERT INTO kept SELECT * FROM sessions WHERE id = $1", token.Session.String())
		second, ok := r.exchange(guest, first, false)
		if !ok {
			r.Error("a guest was not answered")
		}
		restored := history.Operation{Client: "database", Kind: history.Restored, Session: token.Session, Token: token, Start: r.recorder.Now(), Outcome: history.OK}
		execute(r.T, admin, `UPDATE sessions SET (refresh_generation, refresh_hash, refresh_seed, refreshed_at, confirmed_generation)
			= (SELECT refresh_generation, refresh_hash, refresh_seed, refreshed_at, confirmed_generation FROM kept WHERE kept.id = sessions.id)
			WHERE id = $1`, token.Session.String())
		restored.End = r.recorder.Now()
		r.recorder.Add(restored)
		if i%2 == 0 { // somebody else has the first token, and is faster
			r.exchange(guest, first, false)
		}
		r.exchange(guest, second.refresh, false)
		guest.tokens = second
		guest.probe(r.Context(), arrival{})
	}
}

// loseWithReplica has a leader die whose replica lacks what it has acknowledged. It shows what docs/
// reliability.md says of that: it is not a promise.
func loseWithReplica(r *run) {
	cluster := r.database.cluster
	rotated, revoked := r.guest(), r.guest()
	r.sleep(time.Second, time.Second) // for the replica to have them
	leader := cluster.leader(r.T)
	var sender int
	if err := cluster.nodes[leader].pool.QueryRow("SELECT pid FROM pg_stat_replication").Scan(&sender); err != nil {
		r.Fatal(err)
	}
	if err := syscall.Kill(sender, syscall.SIGSTOP); err != nil {
		r.Fatal(err)
	}
	before := rotated.tokens.refresh
	rotated.refresh(r.Context(), arrival{}, r.dice)
	if o, _ := r.client.revokeByAccessToken(r.Context(), revoked.operation(arrival{}, ""), revoked.tokens.access); o.Outcome != history.OK {
		r.Fatalf("not acknowledged: %s", o)
	}
	cluster.killLeader(r.T)
	cluster.awaitLeader(r.T, leader)
	for _, lost := range []string{before, revoked.tokens.refresh} {
		token, _ := history.ParseToken(lost)
		now := r.recorder.Now()
		r.recorder.Add(history.Operation{Client: "database", Kind: history.Restored, Session: token.Session, Token: token, Start: now, End: now, Outcome: history.OK})
	}
	if err := r.servers[0].awaitReady(r.Context()); err != nil {
		r.Fatal(err)
	}
	o, _, _ := r.client.refresh(r.Context(), rotated.operation(arrival{}, ""), rotated.tokens.refresh)
	if o.Reason != "STORAGE_ROLLED_BACK" {
		r.Errorf("a lost rotation is not noticed: %s", o)
	}
	if !revoked.me(r.Context(), arrival{}) {
		r.Error("a lost revoke is not lost")
	}
	revoked.leave(r.Context(), arrival{}, r.dice, revoked.tokens, "")
}

// loseEachAnswer loses, between a server and the database, every answer to what changes something.
func loseEachAnswer(r *run) {
	for range 5 {
		guest := r.guest()
		leaving := r.guest()
		for range 3 {
			r.database.loser.LoseAnswer("refresh_generation = refresh_generation + 1")
			guest.refresh(r.Context(), arrival{server: r.dice.IntN(len(r.servers))}, r.dice)
			guest.me(r.Context(), arrival{})
		}
		r.database.loser.LoseAnswer("SET revoked_at = new_now")
		leaving.leave(r.Context(), arrival{}, r.dice, leaving.tokens, "")
		r.database.loser.LoseAnswer("INSERT INTO sessions")
	}
	r.guest()
}

// waitAndReplay has a thief use a token when its successor has long been used.
func waitAndReplay(r *run) {
	var guests []*device
	for range 5 {
		guest := r.guest()
		guest.refresh(r.Context(), arrival{}, r.dice)
		if !guest.me(r.Context(), arrival{server: r.dice.IntN(len(r.servers))}) {
			r.Error("a guest was not answered")
		}
		guests = append(guests, guest)
	}
	time.Sleep(grace + r.rules.ConfirmedWithin)
	for _, guest := range guests {
		r.exchange(guest, guest.previous, true)
		guest.probe(r.Context(), arrival{})
	}
}

// lockRow holds the row of one honest device's session, as a stray transaction of an operator does.
// Everybody else must not notice.
func (r *run) lockRow(last time.Duration) {
	token, err := history.ParseToken(r.devices[0].current().refresh)
	if err != nil {
		r.Fatal("nobody is signed in")
	}
	held, err := connect(r.T, r.database.direct).Begin()
	if err != nil {
		r.Fatal(err)
	}
	if _, err := held.Exec("SELECT id FROM sessions WHERE id = $1 FOR UPDATE", token.Session.String()); err != nil {
		r.Fatal(err)
	}
	from := r.recorder.Now()
	time.Sleep(last)
	to := r.recorder.Now()
	if err := held.Rollback(); err != nil {
		r.Fatal(err)
	}
	if r.database.name == serializable {
		return // where a long transaction can make others fail that it has nothing to do with
	}
	for _, o := range r.recorder.Operations() {
		if o.Session == token.Session || o.Start < from || o.Start > to || o.Kind == history.Login { // which waits for a processor
			continue
		}
		if o.Code == "UNAVAILABLE" || o.End-o.Start > databaseTimeout {
			r.Errorf("the lock of one session is felt by another one: %s", o)
			return
		}
	}
}

// hangUp has clients go away in the middle of 5,000 requests, and counts the connections to the database.
func hangUp(r *run) {
	var clients sync.WaitGroup
	for range 10 {
		dice := rand.New(rand.NewPCG(r.dice.Uint64(), 5))
		clients.Go(func() {
			for range 500 {
				a := arrival{server: dice.IntN(len(r.servers)), action: "hang up on me", dice: dice.Uint64()}
				if dice.IntN(10) == 0 {
					a.action = "hang up on refresh"
				}
				r.devices[dice.IntN(len(r.devices))].act(r.Context(), a)
			}
		})
	}
	clients.Wait()
	if r.database.name == sqlite {
		return
	}
	var connections int
	admin := connect(r.T, r.database.direct)
	if err := admin.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'latchkey'").Scan(&connections); err != nil {
		r.Fatal(err)
	}
	if most := 16 * len(r.servers); connections > most {
		r.Errorf("%d connections, where the pools have %d", connections, most)
	}
}

// fillDisk leaves no room for the database, and then makes some.
func fillDisk(r *run) {
	filler := filepath.Join(filepath.Dir(r.database.path), "filler")
	file, err := os.Create(filler)
	if err != nil {
		r.Fatal(err)
	}
	for err == nil {
		_, err = file.Write(make([]byte, 4096))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		r.Fatalf("the disk is not full: %v", err)
	}
	_ = file.Close()
	r.sleep(4*time.Second, 6*time.Second)
	if err := os.Remove(filler); err != nil {
		r.Fatal(err)
	}
	unavailable := 0
	for _, o := range r.recorder.Operations() {
		if o.Code == "UNAVAILABLE" {
			unavailable++
		}
	}
	if unavailable == 0 {
		r.Error("nothing failed: the disk was not full")
	}
}

// protectDisk has the server start on a disk that cannot be written, which it does not, until it can.
func protectDisk(r *run) {
	folder := filepath.Dir(r.database.path)
	r.remount(folder, "ro", func() { r.servers[0].kill() })
	r.away(func() { r.sleep(3*time.Second, 4*time.Second) })
	log, err := os.ReadFile(r.servers[0].log)
	if err != nil {
		r.Fatal(err)
	}
	if !strings.Contains(string(log), "read-only file system") {
		r.Error("the log does not say that the disk cannot be written")
	}
	r.remount(folder, "rw", func() {})
}

// remount changes how a file system is mounted, which goes only while no process writes to it.
func (r *run) remount(folder, how string, before func()) {
	var err error
	for range 100 {
		before()
		if err = syscall.Mount("tmpfs", folder, "tmpfs", syscall.MS_REMOUNT|map[string]uintptr{"ro": syscall.MS_RDONLY}[how], "size=16m"); err == nil {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.Fatalf("remount %s: %v", how, err)
}
