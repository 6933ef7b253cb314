package db

import (
	"bytes"
	"cmp"
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"latchkey/auth"
)

// rotation is the step of a session from one generation to the next.
var rotation = change{
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
	return s.rotations.make(ctx, r)
}

func newRotations(store *Store) *changes[auth.Rotation] {
	return newChanges(store, rotation, changesOf[auth.Rotation]{
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

// end is the revocation of a session, which is recorded.
var end = change{
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
	return s.ends.make(ctx, end)
}

// newEnds records an end by the same statement, or on SQLite by a second one.
func newEnds(store *Store) *changes[auth.SessionEnd] {
	return newChanges(store, end, changesOf[auth.SessionEnd]{
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

// confirmation is the proof that a client holds a generation.
var confirmation = change{
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
			_, err := s.writer().exec(ctx, s.confirmed[len(args)/len(confirmation.parameters)], args...)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// change is a statement that changes sessions: one, or several at once, each by parameters of its own.
type change struct {
	parameters []parameter // the first is the session's id
	// set and where are parts of the statement, in which :name stands for a parameter.
	set, where string
	returning  string
	// recorded writes the event of each session of changed, which are the rows returned, by the parameters in given, which
	// have new_ before their names. Empty: nothing does. SQLite cannot change two tables by one statement.
	recorded string
}

// parameter is one of a change.
type parameter struct {
	name string
	like string // the column of sessions whose type it has
}

var placeholder = regexp.MustCompile(`:[a-z_]+`)

// alone returns the statement that changes one session, and which parameter each of its placeholders is.
func (c *change) alone() (statement string, order []int) {
	if c.recorded != "" {
		for i := range c.parameters {
			order = append(order, i)
		}
		return c.together(1, ""), order
	}
	text := `UPDATE sessions SET ` + c.set + ` WHERE id = :` + c.parameters[0].name + ` AND ` + c.where + ` RETURNING ` + c.returning
	statement = placeholder.ReplaceAllStringFunc(text, func(name string) string {
		order = append(order, slices.IndexFunc(c.parameters, func(p parameter) bool { return ":"+p.name == name }))
		return "?"
	})
	return statement, order
}

// together returns the statement that changes several sessions, each by all parameters in their order. Where skipping is
// not empty it leaves those out whose rows somebody has locked: they would hold the others.
func (c *change) together(count int, skipping string) string {
	var names, likes []string
	for _, p := range c.parameters {
		names, likes = append(names, "new_"+p.name), append(likes, p.like)
	}
	named := func(text string) string {
		return placeholder.ReplaceAllStringFunc(text, func(name string) string { return "new_" + name[1:] })
	}
	// The first SELECT has no row. It gives the parameters their types.
	given := `WITH given (` + strings.Join(names, ", ") + `) AS (
			SELECT ` + strings.Join(likes, ", ") + ` FROM sessions WHERE 1 = 0` +
		strings.Repeat(` UNION ALL SELECT `+repeated("?", len(names)), count) + `)`
	free := ""
	if skipping != "" {
		given += `,
		free AS (SELECT id AS free_id FROM sessions WHERE id IN (SELECT new_session FROM given)` + skipping + `)`
		free = ` AND id IN (SELECT free_id FROM free)`
	}
	changed := `
		UPDATE sessions SET ` + named(c.set) + `
		FROM given WHERE id = new_session` + free + ` AND ` + named(c.where) + `
		RETURNING ` + c.returning
	if c.recorded == "" {
		return given + changed
	}
	return given + `,
		changed AS (` + changed + `),
		recorded AS (` + c.recorded + `)
		SELECT * FROM changed`
}

func (c *change) togetherBySize(skipping string) map[int]string {
	return bySize(func(size int) string { return c.together(size, skipping) })
}

// skipLocked has a statement leave out the rows that somebody has locked. SQLite has no such rows: there one changes
// anything at a time.
func (s *Store) skipLocked() string {
	if s.sqlite {
		return ""
	}
	return ` FOR NO KEY UPDATE SKIP LOCKED`
}

// changes make changes of one kind, those together that come at the same time.
type changes[Change any] struct {
	changesOf[Change]
	batches[Change, settled]
	store *Store

	aloneText  string
	aloneOrder []int          // which of the arguments each placeholder of aloneText is
	texts      map[int]string // of those together, by how many
}

// changesOf says how a kind of change is made.
type changesOf[Change any] struct {
	arguments func(Change) []any
	made      func(Change, *stateRow) bool     // whether a row is as the change leaves it
	event     func(Change, *stateRow) newEvent // to be recorded by a statement of its own, in the same transaction; nil: none
}

// settled is what came of a change. The zero value says that it is still to be made, alone.
type settled struct {
	row *stateRow
	err error
}

func newChanges[Change any](store *Store, statement change, of changesOf[Change]) *changes[Change] {
	if store.sqlite {
		statement.recorded = ""
	} else {
		of.event = nil
	}
	c := &changes[Change]{changesOf: of, store: store, texts: statement.togetherBySize(store.skipLocked())}
	c.aloneText, c.aloneOrder = statement.alone()
	c.ask = c.settle
	return c
}

// make makes a change, and returns the session as it then is. Errors: auth.ErrNotFound where its guard did not hold.
func (c *changes[Change]) make(ctx context.Context, change Change) (*auth.SessionState, error) {
	result, err := c.answer(ctx, change)
	if err == nil && result == (settled{}) {
		result = c.alone(ctx, change)
	}
	if err := cmp.Or(err, result.err); err != nil {
		return nil, err
	}
	return result.row.state(), nil
}

// settle makes one change, or tries to make several together. What that leaves is to be made alone: its guard did not
// hold, its row was locked, or all failed, for a reason that may be one's only.
func (c *changes[Change]) settle(ctx context.Context, several []Change) ([]settled, error) {
	if len(several) == 1 {
		return []settled{c.alone(ctx, several[0])}, nil
	}
	results, err := c.together(ctx, several)
	if err != nil {
		c.store.log.DebugContext(ctx, "changes are made one by one, having failed together", "count", len(several))
		return make([]settled, len(several)), nil
	}
	return results, nil
}

// alone makes a change, again where the database asks for it, and waits for its row.
func (c *changes[Change]) alone(ctx context.Context, change Change) settled {
	given := c.arguments(change)
	args := make([]any, len(c.aloneOrder))
	for i, at := range c.aloneOrder {
		args[i] = given[at]
	}
	row := &stateRow{}
	err := c.store.do(ctx, c.store.inTurn(given[0], c.within(func(ctx context.Context, on queries) error {
		*row = stateRow{}
		if err := on.get(ctx, row, c.aloneText, args...); err != nil {
			return err
		}
		if c.event == nil {
			return nil
		}
		return record(ctx, on, c.event(change, row))
	})))
	if err != nil {
		return settled{err: err}
	}
	return settled{row: row}
}

// together makes several changes, all or none but those whose rows are locked, once and within half of the store's
// timeout. A change that is made twice has one effect, so that after an error each may be made alone.
func (c *changes[Change]) together(ctx context.Context, several []Change) ([]settled, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.store.timeout/2)
	defer cancel()
	args := arguments(several, c.arguments)
	results := make([]settled, len(several))
	err := c.within(func(ctx context.Context, on queries) error {
		rows := make([]stateRow, 0, len(several))
		if err := on.all(ctx, &rows, c.texts[padded(len(several))], args...); err != nil {
			return err
		}
		var events []newEvent
		for i := range rows { // each is one change's doing, even of two that are alike
			at := slices.IndexFunc(several, func(change Change) bool { return c.made(change, &rows[i]) })
			if at < 0 {
				continue
			}
			results[at].row = &rows[i]
			if c.event != nil {
				events = append(events, c.event(several[at], &rows[i]))
			}
		}
		return record(ctx, on, events...)
	})(ctx)
	// A commit that was late is none: see Store.do.
	return results, cmp.Or(err, ctx.Err())
}

// within runs an operation on the database, in a transaction where there are two statements.
func (c *changes[Change]) within(operation func(ctx context.Context, on queries) error) func(context.Context) error {
	if c.event != nil {
		return c.store.inTransaction(operation)
	}
	return func(ctx context.Context) error { return operation(ctx, c.store.writer()) }
}
