package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"latchkey/bench/fill"
	"latchkey/bench/load"
)

// capture is what PostgreSQL says that the servers send it, while one person asks for one thing after the other: the very
// statements, in their order, with the arguments. So whatever pgbench repeats is never out of date.
type capture struct{ me, refresh, revoke []sentStatement }

// asked is how often each thing is asked for: what each of them sends belongs to it, what one sends does not.
const asked = 5

// sentStatement is a statement that every request sent.
type sentStatement struct {
	text string
	args [asked][]string // of each request; as SQL literals, "NULL" included
	ids  [asked]string   // of the sessions that the requests were about
}

// captured returns what is sent, and asks for it once.
func (b *bench) captured() (*capture, error) {
	if b.capture != nil {
		return b.capture, nil
	}
	b.report.doing("noting what the server sends to PostgreSQL")
	from, err := b.ownedSessions(asked)
	if err != nil {
		return nil, err
	}
	w := b.walker(0)
	defer w.Close()
	s := b.sessions[0]
	owned := func(i int) string { return fill.SessionID(from + i) }
	own, err := sessionOf(s.authorization)
	if err != nil {
		return nil, err
	}
	same := func(int) string { return own }
	if _, err := w.refresh(s); err != nil {
		return nil, err
	}
	if _, err := w.me(s); err != nil { // the first use of a token is written down, within a second
		return nil, err
	}
	time.Sleep(writtenDown)
	if err := b.execute(`ALTER SYSTEM SET log_statement = 'all'`, `SELECT pg_reload_conf()`, `SELECT pg_sleep(0.2)`); err != nil {
		return nil, err
	}
	c := &capture{}
	for _, one := range []struct {
		into *[]sentStatement
		id   func(int) string
		do   func(int) (string, error)
	}{
		{&c.me, same, func(int) (string, error) { return w.me(s) }},
		{&c.refresh, same, func(int) (string, error) { return w.refresh(s) }},
		{&c.revoke, owned, func(i int) (string, error) {
			_, err := w.post(revokeOperation.with(nil, owned(i)), b.owner.authorization, `"revoked":true`)
			return "", err
		}},
	} {
		if *one.into, err = b.captureOne(one.id, one.do); err != nil {
			return nil, fmt.Errorf("note what the server sends: %w", err)
		}
	}
	b.capture = c
	return c, b.execute(`ALTER SYSTEM RESET log_statement`, `SELECT pg_reload_conf()`)
}

// captureOne returns the statements that each of several requests sent.
func (b *bench) captureOne(id func(int) string, do func(int) (string, error)) ([]sentStatement, error) {
	var order []string
	sent := map[string]*sentStatement{}
	count := map[string]int{}
	for i := range asked {
		before, err := os.Stat(b.postgres.LogFile())
		if err != nil {
			return nil, err
		}
		if _, err := do(i); err != nil {
			return nil, err
		}
		time.Sleep(20 * time.Millisecond) // until it is in the log
		statements, err := readLog(b.postgres.LogFile(), before.Size())
		if err != nil {
			return nil, err
		}
		repeats := map[string]int{}
		for _, one := range statements {
			repeats[one.text]++
			key := fmt.Sprint(one.text, repeats[one.text]) // one that a request sends twice is two
			if sent[key] == nil {
				sent[key] = &sentStatement{text: one.text}
				order = append(order, key)
			}
			count[key]++
			sent[key].args[i], sent[key].ids[i] = one.args, id(i)
		}
	}
	var each []sentStatement
	for _, key := range order {
		if count[key] == asked {
			each = append(each, *sent[key])
		}
	}
	if len(each) == 0 {
		return nil, &load.Failure{Code: "NOTHING_CAPTURED", Detail: fmt.Sprint(len(order), " statements, none of them by every request")}
	}
	return each, nil
}

type loggedStatement struct {
	text string
	args []string
}

var (
	logged    = regexp.MustCompile(`^(\d+) LOG:  (?:statement|execute [^:]*): ((?s).*)$`)
	arguments = regexp.MustCompile(`(?i)^\d+ DETAIL:  parameters: ((?s).*)$`)
	argument  = regexp.MustCompile(`\$\d+ = ('(?:[^']|'')*'|NULL)`)
)

// readLog returns the statements in PostgreSQL's log from an offset on.
func readLog(name string, offset int64) ([]loggedStatement, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.NewSectionReader(file, offset, 1<<24))
	if err != nil {
		return nil, err
	}
	return parseLog(string(text)), nil
}

// parseLog returns the statements in a part of PostgreSQL's log whose lines begin with the id of a process. A line that
// begins with a tab goes on with the one before.
func parseLog(text string) []loggedStatement {
	var statements []loggedStatement
	for entry := range strings.SplitSeq(strings.ReplaceAll(text, "\n\t", "\x00"), "\n") {
		entry = strings.ReplaceAll(entry, "\x00", "\n")
		if match := logged.FindStringSubmatch(entry); match != nil {
			statements = append(statements, loggedStatement{text: strings.TrimSpace(match[2])})
		} else if match := arguments.FindStringSubmatch(entry); match != nil && len(statements) > 0 {
			last := &statements[len(statements)-1]
			for _, one := range argument.FindAllStringSubmatch(match[1], -1) {
				last.args = append(last.args, one[1])
			}
		}
	}
	return statements
}
