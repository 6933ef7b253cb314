package db

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"

	"latchkey/auth"
)

type numberedRow struct {
	Number    int64      `db:"number"`
	ID        uuid.UUID  `db:"id"`
	CreatedAt instant    `db:"created_at"`
	SessionID *uuid.UUID `db:"session_id"`
}

// endedBy are the sessions that an event of its user ended: those with its mark.
const endedBy = `LEFT JOIN sessions ON sessions.user_id = numbered.user_id AND sessions.revocation_id = numbered.id
	ORDER BY number`

// FirstNumber implements auth.EndedStore.
func (s *Store) FirstNumber(ctx context.Context, since time.Time) (int64, error) {
	first, err := s.eventNumber(ctx, `SELECT number FROM events WHERE created_at >= ? ORDER BY created_at LIMIT 1`, since)
	if err != nil || first > 0 {
		return first, err
	}
	return s.eventNumber(ctx, `SELECT number FROM events ORDER BY number DESC LIMIT 1`)
}

// eventNumber returns the number that a statement selects, or 0 where it selects none.
func (s *Store) eventNumber(ctx context.Context, statement string, args ...any) (int64, error) {
	var number int64
	err := s.do(ctx, func(ctx context.Context) error {
		return s.reader().get(ctx, &number, statement, args...)
	})
	if errors.Is(err, auth.ErrNotFound) {
		return 0, nil
	}
	return number, err
}

// EventID implements auth.EndedStore.
func (s *Store) EventID(ctx context.Context, number int64) (uuid.UUID, error) {
	var id uuid.UUID
	err := s.do(ctx, func(ctx context.Context) error {
		return s.reader().get(ctx, &id, `SELECT id FROM events WHERE number = ?`, number)
	})
	return id, err
}

// EventsAfter implements auth.EndedStore.
func (s *Store) EventsAfter(ctx context.Context, after int64, limit int) ([]auth.NumberedEvent, error) {
	return s.numberedEvents(ctx, `
		SELECT numbered.number, numbered.id, numbered.created_at, sessions.id AS session_id
		FROM (SELECT number, id, user_id, created_at FROM events WHERE number > ? ORDER BY number LIMIT ?) AS numbered
		`+endedBy, after, limit)
}

// EventsNumbered implements auth.EndedStore.
func (s *Store) EventsNumbered(ctx context.Context, numbers []int64) ([]auth.NumberedEvent, error) {
	statement, args, err := sqlx.In(`
		SELECT numbered.number, numbered.id, numbered.created_at, sessions.id AS session_id
		FROM (SELECT number, id, user_id, created_at FROM events WHERE number IN (?)) AS numbered
		`+endedBy, numbers)
	if err != nil {
		return nil, err
	}
	return s.numberedEvents(ctx, statement, args...)
}

func (s *Store) numberedEvents(ctx context.Context, statement string, args ...any) ([]auth.NumberedEvent, error) {
	var rows []numberedRow
	err := s.do(ctx, func(ctx context.Context) error {
		rows = nil
		return s.reader().all(ctx, &rows, statement, args...)
	})
	if err != nil {
		return nil, err
	}
	events := make([]auth.NumberedEvent, len(rows))
	for i, row := range rows {
		events[i] = auth.NumberedEvent{Number: row.Number, ID: row.ID, CreatedAt: row.CreatedAt.Time, SessionID: row.SessionID}
	}
	return events, nil
}
