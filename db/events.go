package db

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
)

// newEvent is an event to write.
type newEvent struct {
	id        uuid.UUID
	userID    uuid.UUID
	kind      auth.EventKind
	sessionID *uuid.UUID
	actorID   *uuid.UUID
	reason    auth.EndReason // empty: none
	ended     *int
	client    auth.Client
	now       time.Time
}

// record writes events, each once, those of which there is such a user. They are at most maxBatch.
func record(ctx context.Context, on queries, events ...newEvent) error {
	if len(events) == 0 {
		return nil
	}
	args := arguments(events, func(e newEvent) []any {
		return []any{
			e.id, e.userID, e.kind, e.sessionID, e.actorID, nullable(string(e.reason)), e.ended,
			nullable(e.client.UserAgent), nullable(e.client.IP), e.now,
		}
	})
	_, err := on.exec(ctx, eventsRecorded[padded(len(events))], args...)
	return err
}

const eventColumns = `id, user_id, kind, session_id, actor_id, reason, ended_count, user_agent, ip, created_at`

// eventsRecorded are the statements that record several events, by how many. The first SELECT gives the others their types.
var eventsRecorded = bySize(func(size int) string {
	return `
		WITH given (new_id, new_user_id, new_kind, new_session_id, new_actor_id, new_reason, new_ended_count, new_user_agent, new_ip, new_created_at) AS (
			SELECT ` + eventColumns + ` FROM events WHERE 1 = 0` + strings.Repeat(` UNION ALL SELECT `+repeated("?", 10), size) + `)
		INSERT INTO events (` + eventColumns + `)
		SELECT new_id, users.id, new_kind, new_session_id, new_actor_id, new_reason, new_ended_count, new_user_agent, new_ip, new_created_at
		FROM given, users WHERE users.id = new_user_id
		ON CONFLICT (id) DO NOTHING`
})

func nullable(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

type eventRow struct {
	ID         uuid.UUID       `db:"id"`
	UserID     uuid.UUID       `db:"user_id"`
	Kind       auth.EventKind  `db:"kind"`
	SessionID  *uuid.UUID      `db:"session_id"`
	ActorID    *uuid.UUID      `db:"actor_id"`
	Reason     *auth.EndReason `db:"reason"`
	EndedCount *int            `db:"ended_count"`
	UserAgent  *string         `db:"user_agent"`
	IP         *string         `db:"ip"`
	CreatedAt  instant         `db:"created_at"`
}

// Events implements auth.EventStore.
func (s *Store) Events(ctx context.Context, userID uuid.UUID, after *auth.EventPlace, limit int) ([]auth.Event, error) {
	statement, args := `
		SELECT `+eventColumns+`
		FROM events WHERE user_id = ?`, []any{userID}
	if after != nil {
		statement += ` AND (created_at, id) < (?, ?)`
		args = append(args, after.CreatedAt, after.ID)
	}
	statement += ` ORDER BY created_at DESC, id DESC LIMIT ?`
	var rows []eventRow
	err := s.do(ctx, func(ctx context.Context) error {
		rows = nil
		return s.reader().all(ctx, &rows, statement, append(args, limit)...)
	})
	if err != nil {
		return nil, err
	}
	events := make([]auth.Event, len(rows))
	for i, r := range rows {
		events[i] = auth.Event{
			ID: r.ID, UserID: r.UserID, Kind: r.Kind, SessionID: r.SessionID, ActorID: r.ActorID, Reason: r.Reason,
			EndedCount: r.EndedCount, UserAgent: r.UserAgent, IP: r.IP, CreatedAt: r.CreatedAt.Time,
		}
	}
	return events, nil
}
