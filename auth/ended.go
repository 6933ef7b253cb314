package auth

import (
	"context"
	"errors"
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
	// endedBatch is how many events are read at a time, so that each reading gets on, however much there is.
	endedBatch = 1000
	// endedPage is how many sessions are told at a time: some megabytes.
	endedPage = 50_000
	// mostMissing is how many numbers in a row are waited for that are not there while later ones are: those of transactions
	// which are not committed yet, or were given up. After a failover PostgreSQL leaves 32 out.
	mostMissing = 1000
)

// NumberedEvent is an event as EndedStore tells of it.
type NumberedEvent struct {
	Number    int64
	ID        uuid.UUID
	CreatedAt time.Time
	SessionID *uuid.UUID // a session that it ended; nil: none. One that ended several comes several times
}

// EndedStore tells which sessions were ended, in the order of the events' numbers. A number may be there later than a
// greater one, and some never are.
type EndedStore interface {
	// FirstNumber returns that of the earliest event from a time on or, where there is none, of the last one, or 0.
	FirstNumber(ctx context.Context, since time.Time) (int64, error)
	// EventID returns the id of the event with a number. Errors: ErrNotFound.
	EventID(ctx context.Context, number int64) (uuid.UUID, error)
	// EventsAfter returns the events with numbers greater than after, at most limit of them.
	EventsAfter(ctx context.Context, after int64, limit int) ([]NumberedEvent, error)
	// EventsNumbered returns those of the events that are there, of at least one number.
	EventsNumbered(ctx context.Context, numbers []int64) ([]NumberedEvent, error)
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
	after   int64               // all that matters has a greater number
	last    mark                // the event with the greatest number that was read
	missing map[int64]time.Time // lesser ones that were not, and when that was noticed
	first   int                 // how many were forgotten before heard[0]
	heard   []heard             // in the order in which they were read
}

type heard struct {
	number  int64
	session uuid.UUID
	at      time.Time
}

// mark is an event by which a database is known: one that was restored, or that another took the place of, has none with
// this number, or another one. The zero value is of none.
type mark struct {
	number int64
	id     uuid.UUID
}

// stands reports whether the database still has the event of a mark.
func (m mark) stands(ctx context.Context, store EndedStore) (bool, error) {
	if m.number == 0 {
		return true, nil
	}
	id, err := store.EventID(ctx, m.number)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return id == m.id, err
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
func (s *Service) EndedSince(ctx context.Context, cursor string) (*token.Ended, error) {
	if err := waiting(ctx, "read what ended", s.ended.looks.Lately(ctx)); err != nil {
		return nil, fmt.Errorf("sessions that ended: %w", err)
	}
	if err := s.keys.readLately(ctx); err != nil {
		return nil, fmt.Errorf("keys that were revoked: %w", err)
	}
	from := parseCursor(cursor)
	if from.process != s.ended.id { // it is of another server, or of another database
		stands, err := from.last.stands(ctx, s.store)
		if err != nil {
			return nil, fmt.Errorf("sessions that ended: %w", err)
		}
		if !stands {
			from = endedCursor{told: -1}
		}
	}
	answer := s.ended.since(from)
	for _, key := range s.keys.known.Load().stored {
		if key.Kind == SigningKey && key.RevokedAt != nil {
			answer.RevokedKeys = append(answer.RevokedKeys, key.ID)
		}
	}
	return answer, nil
}

// endedCursor says how far somebody was told.
type endedCursor struct {
	told    int64  // all with this number or a lesser one; -1: nothing
	place   int    // in the process, counted from its beginning
	process string // whose place it is
	last    mark   // the greatest that the process had read
}

func (c endedCursor) String() string {
	return fmt.Sprintf("%d.%d.%s.%d.%s", c.told, c.place, c.process, c.last.number, c.last.id)
}

// parseCursor returns a cursor, or of a text that is none one that was told nothing.
func parseCursor(text string) endedCursor {
	none := endedCursor{told: -1}
	parts := strings.Split(text, ".")
	if len(parts) != 5 {
		return none
	}
	told, err1 := strconv.ParseInt(parts[0], 10, 64)
	place, err2 := strconv.Atoi(parts[1])
	number, err3 := strconv.ParseInt(parts[3], 10, 64)
	id, err4 := uuid.Parse(parts[4])
	if errors.Join(err1, err2, err3, err4) != nil || place < 0 || number < 0 || told > number {
		return none
	}
	return endedCursor{told, place, parts[2], mark{number, id}}
}

// since returns what was heard after a cursor, a page of it at the most.
func (e *ended) since(from endedCursor) *token.Ended {
	e.mu.Lock()
	defer e.mu.Unlock()
	start := 0
	if from.process == e.id && from.place <= e.first+len(e.heard) {
		start, from.told = max(0, from.place-e.first), -1
	}
	answer := &token.Ended{KeepFor: int(e.keep.Seconds()), Sessions: []uuid.UUID{}, RevokedKeys: []string{}}
	next := endedCursor{told: e.last.number, place: e.first + len(e.heard), process: e.id, last: e.last}
	for number := range e.missing {
		next.told = min(next.told, number-1)
	}
	for i, h := range e.heard[start:] {
		if h.number <= from.told {
			continue
		}
		if len(answer.Sessions) == endedPage {
			answer.More, next.place = true, e.first+start+i
			for _, untold := range e.heard[start+i:] {
				next.told = min(next.told, untold.number-1)
			}
			break
		}
		answer.Sessions = append(answer.Sessions, h.session)
	}
	answer.Cursor = next.String()
	return answer
}

// read takes in what is new. looks calls it one at a time.
func (e *ended) read(ctx context.Context) error {
	now := e.now()
	if e.begun {
		stands, err := e.last.stands(ctx, e.store)
		if err != nil {
			return err
		}
		e.begun = stands
	}
	if !e.begun {
		first, err := e.store.FirstNumber(ctx, now.Add(-e.keep))
		if err != nil {
			return err
		}
		// Numbers are given out in about the order of time.
		e.mu.Lock()
		e.after, e.last, e.begun = max(0, first-mostMissing), mark{}, true
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
		before := max(e.after, e.last.number)
		found, err := e.store.EventsAfter(ctx, before, endedBatch)
		if err != nil {
			return err
		}
		e.take(found, now)
		if len(found) < endedBatch || e.last.number == before {
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
		if now.Sub(noticed) > e.keep { // whatever it is, its access tokens have expired
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
		for number := max(e.after+1, e.last.number+1, event.Number-mostMissing); number < event.Number; number++ {
			e.missing[number] = now
		}
		delete(e.missing, event.Number)
		if event.Number > e.last.number {
			e.last = mark{event.Number, event.ID}
		}
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
