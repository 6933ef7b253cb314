package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"latchkey/auth"
)

const (
	sessionColumns = `id, user_id, device_name, delivery, user_agent, ip, created_at, last_used_at, expires_at`

	refreshColumns = `idle_expires_at, revoked_at, revoke_reason, revocation_id, refresh_generation, confirmed_generation,
		password_generation, confirmed_at, refresh_hash, refresh_seed, refresh_key_id, refreshed_at, late_retry_generation, late_retry_streak`

	// stateColumns are a session's whole row with its user's. Subqueries, because RETURNING reaches only
	// the changed table in SQLite; each is one lookup by primary key.
	stateColumns = sessionColumns + `, ` + refreshColumns + `,
		(SELECT email FROM users WHERE users.id = sessions.user_id) AS user_email,
		(SELECT name FROM users WHERE users.id = sessions.user_id) AS user_name,
		(SELECT role FROM users WHERE users.id = sessions.user_id) AS user_role,
		(SELECT created_at FROM users WHERE users.id = sessions.user_id) AS user_created_at,
		(SELECT disabled_at FROM users WHERE users.id = sessions.user_id) AS user_disabled_at,
		(SELECT password_generation FROM users WHERE users.id = sessions.user_id) AS user_password_generation,
		` + revokedKeys + ` AS revoked_keys`

	// revokedKeys tells a server whether it knows all that are. The table is some rows long.
	revokedKeys = `(SELECT COUNT(*) FROM keys WHERE keys.revoked_at IS NOT NULL)`

	// owners are users under the names that stateColumns gives them: of statements that read sessions, which can join them.
	owners = `(SELECT id AS owner_id, email AS user_email, name AS user_name, role AS user_role, created_at AS user_created_at,
		disabled_at AS user_disabled_at, password_generation AS user_password_generation FROM users) AS owners`

	// ofLiveUser lets a session pass whose user is enabled and has had no other password since. Not only an
	// equal one: a statement that waited for the row may see a newer session beside an older user.
	ofLiveUser = `EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id AND users.disabled_at IS NULL
		AND COALESCE(sessions.password_generation, users.password_generation) >= users.password_generation)`
)

// sessionsRead are the statements that read several sessions, by how many.
var sessionsRead = bySize(func(size int) string {
	return `
		SELECT ` + sessionColumns + `, ` + refreshColumns + `, user_email, user_name, user_role, user_created_at, user_disabled_at,
			user_password_generation, ` + revokedKeys + ` AS revoked_keys
		FROM sessions JOIN ` + owners + ` ON owner_id = user_id WHERE id IN (` + repeated("?", size) + `)`
})

type sessionRow struct {
	ID         uuid.UUID `db:"id"`
	UserID     uuid.UUID `db:"user_id"`
	DeviceName *string   `db:"device_name"`
	Delivery   string    `db:"delivery"`
	UserAgent  *string   `db:"user_agent"`
	IP         *string   `db:"ip"`
	CreatedAt  instant   `db:"created_at"`
	LastUsedAt instant   `db:"last_used_at"`
	ExpiresAt  instant   `db:"expires_at"`
}

func (r *sessionRow) session() auth.Session {
	return auth.Session{
		ID: r.ID, UserID: r.UserID, DeviceName: r.DeviceName, Delivery: auth.Delivery(r.Delivery), UserAgent: r.UserAgent, IP: r.IP,
		CreatedAt: r.CreatedAt.Time, LastUsedAt: r.LastUsedAt.Time, ExpiresAt: r.ExpiresAt.Time,
	}
}

type stateRow struct {
	sessionRow
	IdleExpiresAt       instant    `db:"idle_expires_at"`
	RevokedAt           *instant   `db:"revoked_at"`
	RevokeReason        *string    `db:"revoke_reason"`
	RevocationID        *uuid.UUID `db:"revocation_id"`
	Generation          uint32     `db:"refresh_generation"`
	ConfirmedGeneration uint32     `db:"confirmed_generation"`
	ConfirmedAt         *instant   `db:"confirmed_at"`
	PasswordGeneration  *int       `db:"password_generation"`
	RefreshHash         []byte     `db:"refresh_hash"`
	RefreshSeed         []byte     `db:"refresh_seed"`
	RefreshKeyID        string     `db:"refresh_key_id"`
	RefreshedAt         instant    `db:"refreshed_at"`
	LateRetryGeneration uint32     `db:"late_retry_generation"`
	LateRetryStreak     int        `db:"late_retry_streak"`

	UserEmail      string    `db:"user_email"`
	UserName       *string   `db:"user_name"`
	UserRole       auth.Role `db:"user_role"`
	UserCreatedAt  instant   `db:"user_created_at"`
	UserDisabledAt *instant  `db:"user_disabled_at"`

	UserPasswordGeneration int `db:"user_password_generation"`
	RevokedKeys            int `db:"revoked_keys"`
}

func (r *stateRow) state() *auth.SessionState {
	state := &auth.SessionState{
		Session: r.session(),
		User: auth.User{
			ID: r.UserID, Email: r.UserEmail, Name: r.UserName, Role: r.UserRole,
			CreatedAt: r.UserCreatedAt.Time, DisabledAt: r.UserDisabledAt.pointer(),
			PasswordGeneration: r.UserPasswordGeneration, SessionID: r.ID,
		},
		IdleExpiresAt: r.IdleExpiresAt.Time, RevokedAt: r.RevokedAt.pointer(),
		Generation: r.Generation, ConfirmedGeneration: r.ConfirmedGeneration, ConfirmedAt: r.ConfirmedAt.pointer(),
		RefreshHash: r.RefreshHash, RefreshSeed: r.RefreshSeed, RefreshKeyID: r.RefreshKeyID,
		RefreshedAt:         r.RefreshedAt.Time,
		LateRetryGeneration: r.LateRetryGeneration, LateRetryStreak: r.LateRetryStreak,
		PasswordGeneration: r.UserPasswordGeneration,
		RevokedKeys:        r.RevokedKeys,
	}
	if r.PasswordGeneration != nil {
		state.PasswordGeneration = *r.PasswordGeneration
	}
	if r.RevokeReason != nil {
		state.RevokeReason = auth.EndReason(*r.RevokeReason)
	}
	return state
}

// CreateSession implements auth.SessionStore.
func (s *Store) CreateSession(ctx context.Context, session auth.NewSession, passwordHash string) error {
	return s.transactRefunding(ctx, session.Refund, func(ctx context.Context, tx queries) error {
		// It takes the user's row: of two logins at once, the second sees the session of the first.
		_, err := tx.exec(ctx, `UPDATE users SET role = role WHERE id = ? AND password_hash = ?`, session.UserID, passwordHash)
		if err != nil {
			return err
		}
		begun, err := beginSession(ctx, tx, &session, passwordHash, auth.LoggedIn)
		if err != nil || begun {
			return err
		}
		// Not, or our own transaction was committed, and its answer was lost.
		var id uuid.UUID
		return tx.get(ctx, &id, `SELECT id FROM sessions WHERE id = ?`, session.ID)
	})
}

// beginSession stores a session whose user is enabled and has a password hash, with all that follows from it, and
// reports whether it did.
func beginSession(ctx context.Context, tx queries, session *auth.NewSession, passwordHash string, kind auth.EventKind) (bool, error) {
	added, err := tx.exec(ctx, `
		INSERT INTO sessions (`+sessionColumns+`, idle_expires_at, refresh_generation, confirmed_generation,
			refresh_hash, refresh_key_id, refreshed_at, late_retry_generation, late_retry_streak, password_generation)
		SELECT ?, id, ?, ?, ?, ?, ?, ?, ?, ?, 1, 0, ?, ?, ?, 0, 0, password_generation
		FROM users WHERE id = ? AND disabled_at IS NULL AND password_hash = ? AND `+revokedKeys+` = ?
		ON CONFLICT (id) DO NOTHING`,
		session.ID, session.DeviceName, session.Delivery, session.UserAgent, session.IP, session.CreatedAt, session.LastUsedAt,
		session.ExpiresAt, session.IdleExpiresAt, session.RefreshHash, session.RefreshKeyID, session.CreatedAt,
		session.UserID, passwordHash, session.RevokedKeys)
	if err != nil {
		return false, err
	}
	if added == 0 {
		var revoked int
		err := tx.get(ctx, &revoked, `SELECT COUNT(*) FROM keys WHERE revoked_at IS NOT NULL`)
		if err == nil && revoked != session.RevokedKeys {
			err = fmt.Errorf("%w: a key was revoked meanwhile", auth.ErrUnavailable)
		}
		return false, err
	}
	if err := refund(ctx, tx, session.Refund); err != nil {
		return false, err
	}
	// A session begins once, so its id does for the event too.
	event := newEvent{id: session.ID, userID: session.UserID, kind: kind, sessionID: &session.ID, client: clientOf(session), now: session.CreatedAt}
	if err := record(ctx, tx, event); err != nil {
		return false, err
	}
	if session.Replaces != nil {
		if err := endOne(ctx, tx, *session.Replaces, auth.SignedOut, event); err != nil {
			return false, err
		}
	}
	if session.MostSessions > 0 {
		var crowdedOut []uuid.UUID
		err := tx.all(ctx, &crowdedOut, `
			SELECT id FROM sessions
			WHERE user_id = ? AND id <> ? AND revoked_at IS NULL AND idle_expires_at > ? AND expires_at > ?
			ORDER BY last_used_at DESC, id DESC LIMIT 1000 OFFSET ?`,
			session.UserID, session.ID, session.CreatedAt, session.CreatedAt, session.MostSessions-1)
		if err != nil {
			return false, err
		}
		for _, id := range crowdedOut {
			if err := endOne(ctx, tx, id, auth.Revoked, event); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// endOne revokes a session, if it is live, because another one began.
func endOne(ctx context.Context, tx queries, id uuid.UUID, reason auth.EndReason, begun newEvent) error {
	ended := begun
	ended.kind, ended.sessionID, ended.reason = auth.SessionWasEnded, &id, reason
	var err error
	if ended.id, err = uuid.NewV7(); err != nil {
		return err
	}
	err = tx.get(ctx, &ended.userID, `
		UPDATE sessions SET revoked_at = ?, revoke_reason = ?, revocation_id = ?
		WHERE id = ? AND revoked_at IS NULL AND idle_expires_at > ? AND expires_at > ? RETURNING user_id`,
		ended.now, reason, ended.id, id, ended.now, ended.now)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return record(ctx, tx, ended)
}

func clientOf(session *auth.NewSession) auth.Client {
	var client auth.Client
	if session.UserAgent != nil {
		client.UserAgent = *session.UserAgent
	}
	if session.IP != nil {
		client.IP = *session.IP
	}
	return client
}

// Session implements auth.SessionStore.
func (s *Store) Session(ctx context.Context, id uuid.UUID) (*auth.SessionState, error) {
	row, err := s.sessionReads.answer(ctx, id)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, auth.ErrNotFound
	}
	return row.state(), nil
}

// readSessions returns the rows of sessions, nil where there is none.
func (s *Store) readSessions(ctx context.Context, ids []uuid.UUID) ([]*stateRow, error) {
	args := arguments(ids, func(id uuid.UUID) []any { return []any{id} })
	var rows []stateRow
	err := s.do(ctx, func(ctx context.Context) error {
		rows = make([]stateRow, 0, len(ids))
		return s.reader().all(ctx, &rows, sessionsRead[len(args)], args...)
	})
	if err != nil {
		return nil, err
	}
	byID := make(map[uuid.UUID]*stateRow, len(rows))
	for i := range rows {
		byID[rows[i].ID] = &rows[i]
	}
	found := make([]*stateRow, len(ids))
	for i, id := range ids {
		found[i] = byID[id]
	}
	return found, nil
}

// Sessions implements auth.SessionStore.
func (s *Store) Sessions(ctx context.Context, userID uuid.UUID, now time.Time, limit int) ([]auth.Session, error) {
	var rows []sessionRow
	err := s.do(ctx, func(ctx context.Context) error {
		rows = nil
		return s.reader().all(ctx, &rows, `
			SELECT `+sessionColumns+` FROM sessions
			WHERE user_id = ? AND revoked_at IS NULL AND idle_expires_at > ? AND expires_at > ? AND `+ofLiveUser+`
			ORDER BY last_used_at DESC, id DESC LIMIT ?`, userID, now, now, limit)
	})
	if err != nil {
		return nil, err
	}
	sessions := make([]auth.Session, len(rows))
	for i := range rows {
		sessions[i] = rows[i].session()
	}
	return sessions, nil
}

// EndOtherSessions implements auth.SessionStore.
func (s *Store) EndOtherSessions(ctx context.Context, end auth.OthersEnd) (ended int, err error) {
	err = s.transact(ctx, func(ctx context.Context, tx queries) error {
		ended, err = endSessions(ctx, tx, end)
		if err != nil || ended == 0 {
			return err
		}
		return record(ctx, tx, newEvent{
			id: end.Mark, userID: end.UserID, kind: auth.SessionsWereEnded, sessionID: &end.Except,
			reason: end.Reason, ended: &ended, client: end.Client, now: end.Now,
		})
	})
	return ended, err
}

// endSessions revokes the live sessions of a user, but the one that is excepted, and returns how many those
// were, or had been when its mark was left.
func endSessions(ctx context.Context, on queries, end auth.OthersEnd) (int, error) {
	return on.exec(ctx, `
		UPDATE sessions SET revoked_at = ?, revoke_reason = ?, revocation_id = ?
		WHERE user_id = ? AND id <> ? AND (revocation_id = ? OR revoked_at IS NULL AND idle_expires_at > ? AND expires_at > ?)`,
		end.Now, end.Reason, end.Mark, end.UserID, end.Except, end.Mark, end.Now, end.Now)
}
