package auth

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"latchkey/internal/looks"
	"latchkey/token"
)

const (
	// lookForEndedAfter is the least time between two readings of what ended.
	lookForEndedAfter = 100 * time.Millisecond
	// missingFor is how long a number is waited for that is not there while later ones are: that of a transaction which
	// is not committed yet, or was given up. It is many times what a transaction takes.
	missingFor = 30 * time.Second
	// endedBatch is how many events are read at a time.
	endedBatch = 5000
	// mostMissing is how many numbers are waited for. After a failover PostgreSQL leaves 32 out.
	mostMissing = 1000
)

// NumberedEvent is an event as EndedStore tells of it.
type NumberedEvent struct {
	Number    int64
	CreatedAt time.Time
	SessionID *uuid.UUID // a session that it ended; nil: none. One that ended several comes several times
}

// EndedStore tells which sessions were ended, in the order of the events' numbers. A number may be there later than a
// greater one, and some never are.
type EndedStore interface {
	// FirstNumber returns that of the earliest event from a time on or, where there is none, of the last one, or 0.
	FirstNumber(ctx context.Context, since time.Time) (int64, error)
	// LastNumber returns that of the last event, or 0 where there is none.
	LastNumber(ctx context.Context) (int64, error)
	// EventsAfter returns the events with numbers greater than after, at most limit of them.
	EventsAfter(ctx context.Context, after int64, limit int) ([]NumberedEvent, error)
	// EventsNumbered returns those of the events that are there, of at least one number.
	EventsNumbered(ctx context.Context, numbers []int64) ([]NumberedEvent, error)
}

// Ended is what verifiers of access tokens must know beside the public keys.
type Ended struct {
	Cursor      string      // to be given for what ends after
	Sessions    []uuid.UUID // that ended, and whose access tokens may not have expired; one can come twice
	RevokedKeys []string    // the ids of all signing keys that were revoked
	// KeepFor is how long a session that ended is to be remembered: no access token of it lives longer.
	KeepFor time.Duration
}

// ended follows the events of the database, from when it is first asked, and remembers which sessions ended for as long
// as an access token of theirs can live. It serves any number of verifiers with one reading.
type ended struct {
	store EndedStore
	keep  time.Duration
	now   func() time.Time
	looks *looks.Looks
	id    string // of this process, in cursors

	mu      sync.Mutex
	begun   bool
	last    int64               // the greatest number that was read
	missing map[int64]time.Time // lesser ones that were not, and when that was noticed
	first   int                 // how many were forgotten before heard[0]
	heard   []heard             // in the order in which they were read
}

type heard struct {
	number  int64
	session uuid.UUID
	at      time.Time
}

func newEnded(store EndedStore, accessTokenTTL time.Duration, now func() time.Time) (*ended, error) {
	id, err := newID()
	if err != nil {
		return nil, err
	}
	e := &ended{store: store, keep: accessTokenTTL + 2*token.MaxClockSkew, now: now, id: id.String(), missing: map[int64]time.Time{}}
	e.looks = looks.New(lookForEndedAfter, e.read)
	return e, nil
}

// EndedSince returns the sessions that ended since a cursor was given or, where it is empty or not known any more, all
// whose access tokens may not have expired. Errors: ErrUnavailable.
func (s *Service) EndedSince(ctx context.Context, cursor string) (*Ended, error) {
	if err := waiting(ctx, "read what ended", s.ended.looks.Lately(ctx)); err != nil {
		return nil, fmt.Errorf("sessions that ended: %w", err)
	}
	if err := s.keys.readLately(ctx); err != nil {
		return nil, fmt.Errorf("keys that were revoked: %w", err)
	}
	answer := s.ended.since(cursor)
	for _, key := range s.keys.known.Load().stored {
		if key.Kind == SigningKey && key.RevokedAt != nil {
			answer.RevokedKeys = append(answer.RevokedKeys, key.ID)
		}
	}
	return answer, nil
}

// since reads a cursor: up to which number everything was told, and in which process up to which place.
func (e *ended) since(cursor string) *Ended {
	e.mu.Lock()
	defer e.mu.Unlock()
	settled := e.last
	for number := range e.missing {
		settled = min(settled, number-1)
	}
	answer := &Ended{KeepFor: e.keep, Cursor: fmt.Sprintf("%d.%d.%s", settled, e.first+len(e.heard), e.id)}
	told, place, process := parseCursor(cursor)
	from := 0
	if process == e.id && place <= e.first+len(e.heard) {
		from, told = max(0, place-e.first), -1
	}
	if told > e.last { // a backup of the database was restored
		told = -1
	}
	for _, h := range e.heard[from:] {
		if h.number > told {
			answer.Sessions = append(answer.Sessions, h.session)
		}
	}
	return answer
}

func parseCursor(cursor string) (told int64, place int, process string) {
	parts := strings.SplitN(cursor, ".", 3)
	if len(parts) != 3 {
		return -1, 0, ""
	}
	told, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return -1, 0, ""
	}
	if place, err = strconv.Atoi(parts[1]); err != nil || place < 0 {
		return told, 0, ""
	}
	return told, place, parts[2]
}

// read takes in what is new. looks calls it one at a time.
func (e *ended) read(ctx context.Context) error {
	now := e.now()
	if e.begun {
		last, err := e.store.LastNumber(ctx)
		if err != nil {
			return err
		}
		e.begun = last >= e.last // else an older backup took the database's place, or a clean-up the last events
	}
	if !e.begun {
		first, err := e.store.FirstNumber(ctx, now.Add(-e.keep))
		if err != nil {
			return err
		}
		// Numbers are given out in about the order of time.
		e.mu.Lock()
		e.last, e.begun = max(0, first-mostMissing), true
		clear(e.missing)
		e.mu.Unlock()
	}
	for late := range slices.Chunk(e.lateOnes(now), endedBatch) {
		found, err := e.store.EventsNumbered(ctx, late)
		if err != nil {
			return err
		}
		e.take(found, now)
	}
	for {
		found, err := e.store.EventsAfter(ctx, e.last, endedBatch)
		if err != nil {
			return err
		}
		before := e.last
		e.take(found, now)
		if len(found) < endedBatch || e.last == before {
			break
		}
	}
	e.forget(now)
	return nil
}

// lateOnes returns the numbers that are waited for.
func (e *ended) lateOnes(now time.Time) []int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	var late []int64
	for number, noticed := range e.missing {
		if now.Sub(noticed) > missingFor {
			delete(e.missing, number)
			continue
		}
		late = append(late, number)
	}
	return late
}

func (e *ended) take(found []NumberedEvent, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range found {
		for number := max(e.last+1, event.Number-mostMissing); number < event.Number; number++ {
			e.missing[number] = now
		}
		delete(e.missing, event.Number)
		e.last = max(e.last, event.Number)
		if event.SessionID != nil && now.Sub(event.CreatedAt) <= e.keep {
			e.heard = append(e.heard, heard{event.Number, *event.SessionID, event.CreatedAt})
		}
	}
}

// forget drops what no access token can need any more.
func (e *ended) forget(now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := 0
	for old < len(e.heard) && now.Sub(e.heard[old].at) > e.keep {
		old++
	}
	e.heard, e.first = e.heard[old:], e.first+old
}
