package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"latchkey/bench/fill"
	"latchkey/bench/load"
)

// walker returns one with a connection of its own to one of the servers, and no sessions.
func (b *bench) walker(number int) *walker {
	return &walker{connection: newConnection(b.servers[number%len(b.servers)].address)}
}

// email returns the address of a user of the database.
func email(number int) string { return fmt.Sprintf("user%d@example.com", number) }

// signIn signs people in, users from all over the table.
func (b *bench) signIn() error {
	b.report.doing("signing %d people in", b.people)
	b.sessions = make([]*session, b.people)
	var next atomic.Int64
	var group errgroup.Group
	for number := range 2 * runtime.NumCPU() { // a hash keeps a core busy
		group.Go(func() error {
			w := b.walker(number)
			defer w.Close()
			for i := next.Add(1) - 1; i < int64(b.people); i = next.Add(1) - 1 {
				s, err := w.login(email(1 + int(i)*(b.users/b.people)))
				if err != nil {
					return fmt.Errorf("sign in: %w", err)
				}
				b.sessions[i] = s
			}
			return b.ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	w := b.walker(0)
	defer w.Close()
	var err error
	b.owner, err = w.login(email(b.users))
	b.ownerID = fill.UserID(b.users)
	return err
}

// ownedSessions makes further sessions of the owner, and returns the number of the first. That is after the owner signed in,
// because a login ends those over MAX_SESSIONS.
func (b *bench) ownedSessions(count int) (int, error) {
	from := b.extra
	if err := fill.Sessions(b.ctx, b.database, b.ownerID, from, count, time.Now()); err != nil {
		return 0, err
	}
	b.extra += count
	_, err := b.database.ExecContext(b.ctx, `VACUUM (ANALYZE) sessions`)
	return fill.FirstExtra + from, err
}

// walkers returns as many, with the sessions shared out among them.
func (b *bench) walkers(count int) []*walker {
	walkers := make([]*walker, count)
	for i := range walkers {
		walkers[i] = b.walker(i)
	}
	for i, s := range b.sessions {
		w := walkers[i%count]
		w.sessions = append(w.sessions, s)
	}
	return walkers
}

// nextEmail returns that of the user who signs in next: they are far apart in the table.
func (b *bench) nextEmail() string {
	const stride = 7919
	return email(1 + int(b.logins.Add(1)*stride)%(b.users-1)) // never the owner, whose sessions others are ending
}

// clients returns those of an operation, for runs that last as long together.
func (b *bench) clients(operation string, connections int, lasting time.Duration) ([]load.Client, error) {
	var do func(*walker) (string, error)
	switch operation {
	case "me":
		do = askMe
	case "refresh":
		do = askRefresh
	case "login":
		do = askLogin(b.nextEmail)
	case "revoke":
		ids, err := b.idsToRevoke(lasting)
		if err != nil {
			return nil, err
		}
		do = askRevoke(b.owner, ids, new(atomic.Int64))
	}
	var clients []load.Client
	for i, w := range b.walkers(connections) {
		if operation == "mix" {
			clients = append(clients, &mixing{walker: w, email: b.nextEmail, random: rand.New(rand.NewPCG(1, uint64(i)))})
		} else {
			clients = append(clients, asking{w, do})
		}
	}
	return clients, nil
}

// revokesPerSecond is more than are expected: a run that has ended all sessions is over early.
const revokesPerSecond = 6000

func (b *bench) idsToRevoke(lasting time.Duration) ([]string, error) {
	count := min(int(lasting.Seconds()*revokesPerSecond)+100, 500_000)
	from, err := b.ownedSessions(count)
	if err != nil {
		return nil, err
	}
	ids := make([]string, count)
	for i := range ids {
		ids[i] = fill.SessionID(from + i)
	}
	return ids, nil
}

// closeAll gives the connections of clients up.
func closeAll(clients []load.Client) {
	for _, client := range clients {
		client.Close()
	}
}
