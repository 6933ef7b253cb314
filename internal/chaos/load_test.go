//go:build linux

package chaos_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"latchkey/internal/history"
)

// The roles of devices.
const (
	honest = "honest" // keeps to what docs/rotation.md asks of clients; nobody else touches its session
	victim = "victim" // likewise, but a thief copies its tokens and uses them
	leaver = "leaver" // signs out, or is signed out, at some time
)

// An arrival is something that somebody decides to do, whatever became of what was done before: the load
// is open. All of it follows from the seed.
type arrival struct {
	at     time.Duration
	device int
	action string
	server int
	dice   uint64 // what is decided later: it must not depend on how things went
}

// The actions of arrivals, and how many of a hundred they are.
var actions = []struct {
	name   string
	weight int
}{
	{"me", 45}, {"visit", 2}, {"refresh", 25}, {"hang up on me", 4}, {"hang up on refresh", 5}, {"forge", 3},
	{"ten in a row", 1}, {"steal", 4}, {"replay", 6}, {"leave", 5},
}

// plan returns everything that people will want to do in a run.
func plan(seed uint64, devices, servers int, perSecond float64, last time.Duration) []arrival {
	random := rand.New(rand.NewPCG(seed, 1))
	var arrivals []arrival
	for device := range devices {
		arrivals = append(arrivals, arrival{
			at:     time.Duration(device) * loginEvery,
			device: device, action: "login", server: random.IntN(servers), dice: random.Uint64(),
		})
	}
	for at := time.Duration(0); ; {
		at += time.Duration(random.ExpFloat64() / perSecond * float64(time.Second))
		if at > last {
			break
		}
		rest := random.IntN(100)
		action := ""
		for _, candidate := range actions {
			if rest -= candidate.weight; rest < 0 {
				action = candidate.name
				break
			}
		}
		arrivals = append(arrivals, arrival{at, random.IntN(devices), action, random.IntN(servers), random.Uint64()})
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return cmp.Compare(a.at, b.at) })
	return arrivals
}

// loginEvery spreads the first logins: each costs a processor 35 ms.
const loginEvery = 45 * time.Millisecond

func roleOf(device int) string {
	switch device % 10 {
	case 7, 8:
		return victim
	case 9:
		return leaver
	}
	return honest
}

// device is one sign-in of one user, with as many tabs as want something at a time.
type device struct {
	client *client
	name   string
	role   string
	email  string

	mu       sync.Mutex
	tokens   tokens
	previous string // the refresh token before
	ended    bool   // a server said so, or it was signed out
	trying   string // the refresh token that tabs are exchanging
	tabs     int    // how many
	rest     time.Time
	stolen   tokens
}

func (d *device) operation(a arrival, who string) history.Operation {
	return history.Operation{Client: d.name + who, Server: a.server}
}

// act does what an arrival wants. It returns when that is over, at the latest when ctx ends.
func (d *device) act(ctx context.Context, a arrival) {
	dice := rand.New(rand.NewPCG(a.dice, 2))
	d.mu.Lock()
	tokens, previous, ended := d.tokens, d.previous, d.ended
	d.mu.Unlock()
	switch {
	case a.action == "login":
		d.login(ctx, a, dice)
	case a.action == "visit":
		visitor := &device{client: d.client, name: d.name + " visitor", email: d.email}
		visitor.login(ctx, a, dice)
		if visitor.tokens.refresh != "" {
			visitor.refresh(ctx, a, dice)
			visitor.me(ctx, a)
		}
	case tokens.refresh == "" || ended && dice.IntN(4) > 0: // an ended session is asked now and then
	case a.action == "refresh":
		var tabs sync.WaitGroup
		for range 1 + dice.IntN(4) {
			tab := rand.New(rand.NewPCG(dice.Uint64(), 3))
			tabs.Go(func() { d.refresh(ctx, a, tab) })
		}
		tabs.Wait()
	case a.action == "ten in a row":
		for range 10 {
			d.refresh(ctx, a, dice)
		}
	case a.action == "hang up on refresh":
		d.hangUpOnRefresh(ctx, a, dice)
	case a.action == "hang up on me":
		hurried, cancel := context.WithTimeout(ctx, time.Duration(dice.IntN(10_000))*time.Microsecond)
		defer cancel()
		d.client.me(hurried, d.operation(a, ""), tokens.access)
	case a.action == "forge":
		d.forge(ctx, a, tokens, dice)
	case a.action == "steal" && d.role == victim:
		d.mu.Lock()
		d.stolen = d.tokens
		d.mu.Unlock()
	case a.action == "replay" && d.role == victim:
		d.replay(ctx, a, dice)
	case a.action == "leave" && d.role == leaver:
		d.leave(ctx, a, dice, tokens, previous)
	default:
		d.me(ctx, a)
	}
}

// current returns the newest tokens.
func (d *device) current() tokens {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tokens
}

// again waits, longer each time, before something is tried at a server that is drawn anew.
func (d *device) again(ctx context.Context, a *arrival, dice *rand.Rand, attempt int) bool {
	pause := time.Duration(1+dice.IntN(1<<min(attempt, 5))) * 10 * time.Millisecond
	a.server = dice.IntN(len(d.client.servers))
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause):
		return true
	}
}

func (d *device) login(ctx context.Context, a arrival, dice *rand.Rand) {
	for attempt := 0; ; attempt++ {
		o, tokens, _ := d.client.login(ctx, d.operation(a, ""), d.email)
		if o.Outcome == history.OK {
			d.mu.Lock()
			d.tokens = tokens
			d.mu.Unlock()
			return
		}
		if o.Outcome == history.Refused || !d.again(ctx, &a, dice, attempt) {
			return
		}
	}
}

// me asks who is signed in, and returns whether that was answered.
func (d *device) me(ctx context.Context, a arrival) bool {
	o, _ := d.client.me(ctx, d.operation(a, ""), d.current().access)
	return o.Outcome == history.OK
}

// mostTabs is how many tabs of one device refresh at a time.
const mostTabs = 8

// take returns the refresh token that a tab may exchange now, if it may: while requests with the one
// before are under way, at a client or still at a server, it may not (docs/rotation.md).
func (d *device) take() (string, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.trying != d.tokens.refresh {
		if d.tabs > 0 || time.Now().Before(d.rest) {
			return "", false
		}
		d.trying = d.tokens.refresh
	}
	if d.tabs == mostTabs {
		return "", false
	}
	d.tabs++
	return d.trying, true
}

// giveBack says how an attempt with a token that take returned went, and whether to try it again.
func (d *device) giveBack(token string, o history.Operation, got tokens, sent bool) (again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case o.Outcome == history.OK:
		if d.tokens.refresh == token {
			d.previous, d.tokens = token, got
		}
	case o.Outcome == history.Refused:
		d.ended = true
	default:
		if sent {
			d.rest = time.Now().Add(settled)
		}
		again = d.tokens.refresh == token // else another tab was answered, and has told
	}
	return again
}

func (d *device) refresh(ctx context.Context, a arrival, dice *rand.Rand) {
	token, ok := d.take()
	if !ok {
		d.me(ctx, a)
		return
	}
	defer d.leaveTab()
	for attempt := 0; ; attempt++ {
		o, got, sent := d.client.refresh(ctx, d.operation(a, ""), token)
		if !d.giveBack(token, o, got, sent) || !d.again(ctx, &a, dice, attempt) {
			return
		}
	}
}

func (d *device) leaveTab() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tabs--
}

func (d *device) hangUpOnRefresh(ctx context.Context, a arrival, dice *rand.Rand) {
	token, ok := d.take()
	if !ok {
		return
	}
	defer d.leaveTab()
	hurried, cancel := context.WithTimeout(ctx, time.Duration(dice.IntN(10_000))*time.Microsecond)
	defer cancel()
	o, got, sent := d.client.refresh(hurried, d.operation(a, ""), token)
	d.giveBack(token, o, got, sent)
}

// forge presents what was never issued. The codes of the answers are checked with the history.
func (d *device) forge(ctx context.Context, a arrival, tokens tokens, dice *rand.Rand) {
	o := d.operation(a, " forger")
	o.Forged = true
	changed := func(text string) string {
		at := len(text) - 2 - dice.IntN(len(text)-10) // not the very last, which has bits that say nothing
		letter := byte('A')
		if text[at] == letter {
			letter = 'B'
		}
		if text[at] == '.' {
			return text[:at]
		}
		return text[:at] + string(letter) + text[at+1:]
	}
	switch dice.IntN(5) {
	case 0:
		d.client.refresh(ctx, o, changed(tokens.refresh))
	case 1:
		d.client.refresh(ctx, o, tokens.access)
	case 2:
		d.client.refresh(ctx, o, tokens.refresh[:len(tokens.refresh)-1])
	case 3:
		d.client.me(ctx, o, changed(tokens.access))
	case 4:
		d.client.me(ctx, o, tokens.refresh)
	}
}

// replay is the thief: it exchanges what it has copied, or uses it, and sometimes keeps the successor.
func (d *device) replay(ctx context.Context, a arrival, dice *rand.Rand) {
	d.mu.Lock()
	stolen := d.stolen
	d.mu.Unlock()
	if stolen.refresh == "" {
		return
	}
	o := d.operation(a, " thief")
	o.Hostile = true
	o, got, _ := d.client.refresh(ctx, o, stolen.refresh)
	if o.Outcome == history.OK {
		used := d.operation(a, " thief")
		used.Hostile = true
		d.client.me(ctx, used, got.access)
		if dice.IntN(2) == 0 {
			d.mu.Lock()
			d.stolen = got
			d.mu.Unlock()
		}
	}
	if o.Outcome == history.Refused {
		d.probe(ctx, a)
	}
}

// leave ends the session, until a server says that it is ended, and then looks on every server whether
// that is true.
func (d *device) leave(ctx context.Context, a arrival, dice *rand.Rand, tokens tokens, previous string) {
	token := tokens.refresh
	if previous != "" && dice.IntN(2) == 0 {
		token = previous
	}
	byAccessToken := dice.IntN(2) == 0
	for attempt := 0; ; attempt++ {
		var o history.Operation
		if byAccessToken {
			o, _ = d.client.revokeByAccessToken(ctx, d.operation(a, ""), tokens.access)
		} else {
			o, _ = d.client.revokeByRefreshToken(ctx, d.operation(a, ""), token)
		}
		if o.Outcome == history.OK || o.Outcome == history.Refused {
			break
		}
		if !d.again(ctx, &a, dice, attempt) {
			return
		}
	}
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.probe(ctx, a)
}

// probe asks every server what it thinks of the device's tokens, all of which an ended session has lost.
func (d *device) probe(ctx context.Context, a arrival) {
	d.mu.Lock()
	tokens, previous := d.tokens, d.previous
	d.mu.Unlock()
	for range 2 {
		for server := range d.client.servers {
			a.server = server
			o := d.operation(a, " probe")
			o.Hostile = true // no honest client asks again
			d.client.me(ctx, o, tokens.access)
			d.client.refresh(ctx, o, tokens.refresh)
			if previous != "" {
				d.client.refresh(ctx, o, previous)
			}
		}
	}
}

// goOn reports whether the device, after everything is well again, can go on with the tokens that it has.
func (d *device) goOn(ctx context.Context, dice *rand.Rand) error {
	d.mu.Lock()
	signedIn := d.tokens.refresh != ""
	before := d.tokens.refresh
	d.mu.Unlock()
	if !signedIn {
		return nil // it never was: its login had no answer
	}
	a := arrival{server: dice.IntN(len(d.client.servers))}
	for attempt := 0; ; attempt++ {
		d.refresh(ctx, a, dice)
		d.mu.Lock()
		after := d.tokens.refresh
		ended := d.ended
		d.mu.Unlock()
		switch {
		case ended:
			return fmt.Errorf("%s was refused", d.name)
		case after != before && d.me(ctx, a):
			return nil
		case !d.again(ctx, &a, dice, attempt):
			return fmt.Errorf("%s got no answer: %w", d.name, ctx.Err())
		}
	}
}
