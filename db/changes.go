package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"latchkey/auth"
)

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

// aloneText returns the statement that changes one session, and which parameter each of its placeholders is.
func (c *change) aloneText() (statement string, order []int) {
	if c.recorded != "" {
		for i := range c.parameters {
			order = append(order, i)
		}
		return c.togetherText(1, ""), order
	}
	text := `UPDATE sessions SET ` + c.set + ` WHERE id = :` + c.parameters[0].name + ` AND ` + c.where + ` RETURNING ` + c.returning
	statement = placeholder.ReplaceAllStringFunc(text, func(name string) string {
		order = append(order, slices.IndexFunc(c.parameters, func(p parameter) bool { return ":"+p.name == name }))
		return "?"
	})
	return statement, order
}

// togetherText returns the statement that changes several sessions, each by all parameters in their order. Where skipping is
// not empty it leaves those out whose rows somebody has locked: they would hold the others.
func (c *change) togetherText(count int, skipping string) string {
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

func (c *change) textsBySize(skipping string) map[int]string {
	return bySize(func(size int) string { return c.togetherText(size, skipping) })
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
	batches[Change, applied]
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

// applied is what came of a change. The zero value says that it is still to be made, alone.
type applied struct {
	row *stateRow
	err error
}

func newChanges[Change any](store *Store, statement change, of changesOf[Change]) *changes[Change] {
	if store.sqlite {
		statement.recorded = ""
	} else {
		of.event = nil
	}
	c := &changes[Change]{changesOf: of, store: store, texts: statement.textsBySize(store.skipLocked())}
	c.aloneText, c.aloneOrder = statement.aloneText()
	c.ask = c.applyAll
	return c
}

// apply makes a change, and returns the session as it then is. Errors: auth.ErrNotFound where its guard did not hold,
// auth.ErrUnavailable.
func (c *changes[Change]) apply(ctx context.Context, change Change) (*auth.SessionState, error) {
	result, err := c.answer(ctx, change)
	if err == nil && result == (applied{}) {
		result = c.alone(ctx, change, c.store.timeout-c.timeout())
	}
	if err := cmp.Or(err, result.err); err != nil {
		return nil, err
	}
	return result.row.state(), nil
}

// timeout is how long several may take together, which leaves time for one of them alone.
func (c *changes[Change]) timeout() time.Duration { return c.store.timeout / 2 }

// applyAll makes one change, or tries to make several together. What that leaves is to be made alone: its guard did not
// hold, its row was locked, or all failed, for a reason that may be one's only.
func (c *changes[Change]) applyAll(ctx context.Context, several []Change) ([]applied, error) {
	if len(several) == 1 {
		return []applied{c.alone(ctx, several[0], c.store.timeout)}, nil
	}
	results, err := c.together(ctx, several)
	if errors.Is(err, auth.ErrUnavailable) {
		return nil, err
	}
	if err != nil {
		c.store.log.DebugContext(ctx, "changes are made one by one, having failed together", "count", len(several))
		return make([]applied, len(several)), nil
	}
	return results, nil
}

// alone makes a change, again where the database asks for it, and waits for its row.
func (c *changes[Change]) alone(ctx context.Context, change Change, timeout time.Duration) applied {
	given := c.arguments(change)
	args := make([]any, len(c.aloneOrder))
	for i, at := range c.aloneOrder {
		args[i] = given[at]
	}
	row := &stateRow{}
	err := c.store.doWithin(ctx, timeout, c.store.inTurn(given[0], c.within(func(ctx context.Context, on queries) error {
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
		return applied{err: err}
	}
	return applied{row: row}
}

// together makes several changes, all or none but those whose rows are locked. A change that is made twice has one effect,
// so that after an error each may be made alone; but not where it was late, and is auth.ErrUnavailable. What is made alone
// then could find a change that was committed, would have nothing to commit, and acknowledge what a failover may lose: see
// Store.doWithin.
func (c *changes[Change]) together(ctx context.Context, several []Change) ([]applied, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout())
	defer cancel()
	args := arguments(several, c.arguments)
	results := make([]applied, len(several))
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
	if late := ctx.Err(); late != nil {
		return nil, fmt.Errorf("%w: %w", auth.ErrUnavailable, errors.Join(late, err))
	}
	return results, err
}

// within runs an operation on the database, in a transaction where there are two statements.
func (c *changes[Change]) within(operation func(ctx context.Context, on queries) error) func(context.Context) error {
	if c.event != nil {
		return c.store.inTransaction(operation)
	}
	return func(ctx context.Context) error { return operation(ctx, c.store.writer()) }
}
