package db

import (
	"bytes"
	"context"
	"slices"

	"github.com/google/uuid"

	"latchkey/auth"
)

// rotationChange is the step of a session from one generation to the next.
var rotationChange = change{
	parameters: []parameter{
		{"session", "id"}, {"generation", "refresh_generation"}, {"hash", "refresh_hash"}, {"revoked_keys", "refresh_generation"},
		{"next_hash", "refresh_hash"}, {"seed", "refresh_seed"}, {"key", "refresh_key_id"},
		{"now", "refreshed_at"}, {"idle", "idle_expires_at"}, {"user_agent", "user_agent"}, {"ip", "ip"},
	},
	set: `
		refresh_generation = refresh_generation + 1, refresh_hash = :next_hash, refresh_seed = :seed, refresh_key_id = :key,
		refreshed_at = :now, confirmed_generation = refresh_generation, confirmed_at = NULL,
		late_retry_streak = CASE WHEN late_retry_generation = refresh_generation THEN late_retry_streak ELSE 0 END,
		idle_expires_at = CASE WHEN expires_at < :idle THEN expires_at ELSE :idle END,
		last_used_at = :now, user_agent = :user_agent, ip = :ip`,
	where: `refresh_generation = :generation AND refresh_hash = :hash
		AND revoked_at IS NULL AND idle_expires_at > :now AND expires_at > :now
		AND ` + ofLiveUser + ` AND ` + revokedKeys + ` = :revoked_keys`,
	returning: stateColumns,
}

// Rotate implements auth.SessionStore.
func (s *Store) Rotate(ctx context.Context, r auth.Rotation) (*auth.SessionState, error) {
	return s.rotations.apply(ctx, r)
}

func newRotations(store *Store) *changes[auth.Rotation] {
	return newChanges(store, rotationChange, changesOf[auth.Rotation]{
		arguments: func(r auth.Rotation) []any {
			return []any{
				r.SessionID, r.Generation, r.Hash, r.RevokedKeys,
				r.NextHash, r.Seed, r.RefreshKeyID,
				r.Now, r.IdleExpiresAt, r.UserAgent, r.IP,
			}
		},
		made: func(r auth.Rotation, row *stateRow) bool {
			return row.ID == r.SessionID && bytes.Equal(row.RefreshHash, r.NextHash)
		},
	})
}

// endChange is the revocation of a session, which is recorded.
var endChange = change{
	parameters: []parameter{
		{"session", "id"}, {"user", "user_id"}, {"mark", "revocation_id"}, {"reason", "revoke_reason"}, {"now", "revoked_at"},
		{"client_agent", "user_agent"}, {"client_ip", "ip"},
	},
	set:       `revoked_at = :now, revoke_reason = :reason, revocation_id = :mark`,
	where:     `(revoked_at IS NULL OR revocation_id = :mark) AND user_id = COALESCE(:user, user_id)`,
	returning: stateColumns,
	recorded: `
		INSERT INTO events (id, user_id, kind, session_id, reason, user_agent, ip, created_at)
		SELECT new_mark, user_id, '` + string(auth.SessionWasEnded) + `', id, new_reason, new_client_agent, new_client_ip, new_now
		FROM changed JOIN given ON new_session = id AND new_mark = revocation_id
		ON CONFLICT (id) DO NOTHING`,
}

// EndSession implements auth.SessionStore.
func (s *Store) EndSession(ctx context.Context, end auth.SessionEnd) (*auth.SessionState, error) {
	return s.ends.apply(ctx, end)
}

// newEnds records an end by the same statement, or on SQLite by a second one.
func newEnds(store *Store) *changes[auth.SessionEnd] {
	return newChanges(store, endChange, changesOf[auth.SessionEnd]{
		arguments: func(end auth.SessionEnd) []any {
			return []any{end.SessionID, end.UserID, end.Mark, end.Reason, end.Now, nullable(end.Client.UserAgent), nullable(end.Client.IP)}
		},
		made: func(end auth.SessionEnd, row *stateRow) bool {
			return row.ID == end.SessionID && row.RevocationID != nil && *row.RevocationID == end.Mark
		},
		event: func(end auth.SessionEnd, row *stateRow) newEvent {
			return newEvent{
				id: end.Mark, userID: row.UserID, kind: auth.SessionWasEnded, sessionID: &end.SessionID,
				reason: end.Reason, client: end.Client, now: end.Now,
			}
		},
	})
}

// CountLateRetry implements auth.SessionStore.
func (s *Store) CountLateRetry(ctx context.Context, id uuid.UUID, generation uint32) (*auth.SessionState, error) {
	var row stateRow
	err := s.do(ctx, s.inTurn(id, func(ctx context.Context) error {
		row = stateRow{}
		return s.writer().get(ctx, &row, `
			UPDATE sessions SET
				late_retry_streak = CASE WHEN late_retry_generation = refresh_generation
					THEN late_retry_streak ELSE late_retry_streak + 1 END,
				late_retry_generation = refresh_generation
			WHERE id = ? AND refresh_generation = ? AND revoked_at IS NULL
			RETURNING `+stateColumns, id, generation)
	}))
	if err != nil {
		return nil, err
	}
	return row.state(), nil
}

// confirmationChange is the proof that a client holds a generation.
var confirmationChange = change{
	parameters: []parameter{{"session", "id"}, {"generation", "refresh_generation"}, {"now", "confirmed_at"}},
	set: `confirmed_generation = :generation, confirmed_at = :now,
		last_used_at = CASE WHEN last_used_at < :now THEN :now ELSE last_used_at END`,
	where:     `refresh_generation = :generation AND confirmed_generation < :generation`,
	returning: `id`,
}

// Confirm implements auth.SessionStore.
func (s *Store) Confirm(ctx context.Context, confirmations []auth.Confirmation) error {
	for several := range slices.Chunk(confirmations, maxBatch) {
		args := arguments(several, func(c auth.Confirmation) []any { return []any{c.SessionID, c.Generation, c.UsedAt} })
		err := s.do(ctx, func(ctx context.Context) error {
			_, err := s.writer().exec(ctx, s.confirmed[len(args)/len(confirmationChange.parameters)], args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
