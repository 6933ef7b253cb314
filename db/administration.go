package db

import (
	"context"
	"database/sql"
	"errors"

	"github.com/google/uuid"

	"latchkey/auth"
)

// administer runs a transaction on one user, if its actor may do that, and returns how many sessions it ended.
//
// It takes the rows of all administrators first, who are few: so of two who bar each other at once the second sees
// what the first did, and the last one stays.
func (s *Store) administer(ctx context.Context, act auth.AdminAct, operation func(ctx context.Context, tx queries, before *userRow) (int, error)) (ended int, err error) {
	err = s.transact(ctx, func(ctx context.Context, tx queries) error {
		if _, err := tx.exec(ctx, `UPDATE users SET role = role WHERE role = 'ADMIN'`); err != nil {
			return err
		}
		var done *int
		err := tx.get(ctx, &done, `SELECT ended_count FROM events WHERE id = ?`, act.Mark)
		if err == nil { // our own transaction was committed, and its answer was lost
			ended = 0
			if done != nil {
				ended = *done
			}
			return nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if act.ActorID != nil {
			var id uuid.UUID
			err := tx.get(ctx, &id, `SELECT id FROM users WHERE id = ? AND role = 'ADMIN' AND disabled_at IS NULL`, *act.ActorID)
			if errors.Is(err, sql.ErrNoRows) {
				return auth.ErrForbidden
			}
			if err != nil {
				return err
			}
		}
		var before userRow
		if err := tx.get(ctx, &before, `SELECT `+userColumns+` FROM users WHERE id = ?`, act.UserID); err != nil {
			return err
		}
		if ended, err = operation(ctx, tx, &before); err != nil {
			return err
		}
		if before.Role != auth.RoleAdmin || before.DisabledAt != nil {
			return nil
		}
		var left int
		err = tx.get(ctx, &left, `SELECT COUNT(*) FROM users WHERE role = 'ADMIN' AND disabled_at IS NULL`)
		if err == nil && left == 0 {
			return auth.ErrLastAdmin // and what was done is undone
		}
		return err
	})
	return ended, err
}

// eventOf is the event of an act.
func eventOf(act auth.AdminAct, kind auth.EventKind) newEvent {
	return newEvent{id: act.Mark, userID: act.UserID, kind: kind, actorID: act.ActorID, client: act.Client, now: act.Now}
}

// eventEnding is that of one that ended sessions.
func eventEnding(act auth.AdminAct, kind auth.EventKind, reason auth.EndReason, ended int) newEvent {
	event := eventOf(act, kind)
	event.reason, event.ended = reason, &ended
	return event
}

// SetRole implements auth.UserStore.
func (s *Store) SetRole(ctx context.Context, act auth.AdminAct, role auth.Role) error {
	_, err := s.administer(ctx, act, func(ctx context.Context, tx queries, before *userRow) (int, error) {
		if before.Role == role {
			return 0, nil
		}
		if _, err := tx.exec(ctx, `UPDATE users SET role = ? WHERE id = ?`, role, act.UserID); err != nil {
			return 0, err
		}
		kind := auth.AdminWasRevoked
		if role == auth.RoleAdmin {
			kind = auth.AdminWasGranted
		}
		return 0, record(ctx, tx, eventOf(act, kind))
	})
	return err
}

// DisableUser implements auth.UserStore.
func (s *Store) DisableUser(ctx context.Context, act auth.AdminAct) (int, error) {
	return s.administer(ctx, act, func(ctx context.Context, tx queries, before *userRow) (int, error) {
		disabled, err := tx.exec(ctx, `UPDATE users SET disabled_at = ? WHERE id = ? AND disabled_at IS NULL`, act.Now, act.UserID)
		if err != nil {
			return 0, err
		}
		ended, err := endSessions(ctx, tx, allSessions(act, auth.UserDisabled))
		if err != nil || disabled == 0 {
			return ended, err
		}
		return ended, record(ctx, tx, eventEnding(act, auth.UserWasDisabled, "", ended))
	})
}

// EnableUser implements auth.UserStore.
func (s *Store) EnableUser(ctx context.Context, act auth.AdminAct) error {
	_, err := s.administer(ctx, act, func(ctx context.Context, tx queries, before *userRow) (int, error) {
		if before.DisabledAt == nil {
			return 0, nil
		}
		// One that began while its user was being disabled is dead by its user alone: it must not come to life.
		if _, err := endSessions(ctx, tx, allSessions(act, auth.UserDisabled)); err != nil {
			return 0, err
		}
		if _, err := tx.exec(ctx, `UPDATE users SET disabled_at = NULL WHERE id = ?`, act.UserID); err != nil {
			return 0, err
		}
		return 0, record(ctx, tx, eventOf(act, auth.UserWasEnabled))
	})
	return err
}

// EndUserSessions implements auth.UserStore.
func (s *Store) EndUserSessions(ctx context.Context, act auth.AdminAct) (int, error) {
	return s.administer(ctx, act, func(ctx context.Context, tx queries, _ *userRow) (int, error) {
		ended, err := endSessions(ctx, tx, allSessions(act, auth.Admin))
		if err != nil || ended == 0 {
			return ended, err
		}
		return ended, record(ctx, tx, eventEnding(act, auth.SessionsWereEnded, auth.Admin, ended))
	})
}

func allSessions(act auth.AdminAct, reason auth.EndReason) auth.OthersEnd {
	return auth.OthersEnd{UserID: act.UserID, Reason: reason, Now: act.Now, Mark: act.Mark}
}
