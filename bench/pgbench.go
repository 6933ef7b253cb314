package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"latchkey/bench/fill"
)

// pgbench keeps as many connections busy as a server has to its database at the most.
const pgbenchClients = 16

// rows are sessions of the filled database that pgbench uses: as many as people are signed in, spread over the table.
// Each client of pgbench owns a share of them.
type rows struct{ perClient, stride int }

func (b *bench) rows(count int) rows {
	perClient := max(count/pgbenchClients, 1)
	return rows{perClient, max(fill.SessionsPerUser*b.users/(perClient*pgbenchClients), 1)}
}

// setID returns what has :id be that of the session :n, as package fill computes it.
func setID() string { return `\set id ` + fill.Scrambled(":n") + "\n" }

// pgbenchRead reads any session as me does.
func (b *bench) pgbenchRead(of rows) (figures, error) {
	c, err := b.captured()
	if err != nil {
		return figures{}, err
	}
	text, values, err := script(c.me)
	if err != nil {
		return figures{}, err
	}
	head := fmt.Sprintf(`\set n 1 + random(0, %d) * %d`+"\n", of.perClient*pgbenchClients-1, of.stride)
	f, _, err := b.pgbench(head+setID()+text, values, "-T", b.seconds())
	return f, err
}

// pgbenchRotate rotates sessions as refreshToken does, each client its own in turn.
func (b *bench) pgbenchRotate(of rows) (figures, error) {
	c, err := b.captured()
	if err != nil {
		return figures{}, err
	}
	text, values, err := script(c.refresh)
	if err != nil {
		return figures{}, err
	}
	const filled = `id < '00000000-0000-0000-0001-000000000000'` // the series of package fill
	err = b.execute(`UPDATE sessions SET refresh_generation = 1, confirmed_generation = 0, refresh_hash = '`+fill.Hash+`' WHERE refresh_generation > 1 AND `+filled, `VACUUM sessions`, `CHECKPOINT`)
	if err != nil {
		return figures{}, err
	}
	head := fmt.Sprintf(`\set n 1 + (:client_id * %d + :turn %% %[1]d) * %d
\set generation 1 + :turn / %[1]d
\set turn :turn + 1
`, of.perClient, of.stride)
	values["turn"] = "0"
	f, transactions, err := b.pgbench(head+setID()+text, values, "-T", b.seconds())
	if err != nil {
		return f, err
	}
	var rotated int
	err = b.database.QueryRowContext(b.ctx, `SELECT COALESCE(SUM(refresh_generation - 1), 0) FROM sessions WHERE refresh_generation > 1 AND `+filled).Scan(&rotated)
	if err == nil && rotated != transactions {
		err = fmt.Errorf("pgbench: of %d rotations, %d passed the guard", transactions, rotated)
	}
	return f, err
}

// pgbenchRevoke ends sessions of one user as revokeSession does, each once.
func (b *bench) pgbenchRevoke() (figures, error) {
	c, err := b.captured()
	if err != nil {
		return figures{}, err
	}
	text, values, err := script(c.revoke)
	if err != nil {
		return figures{}, err
	}
	perClient := max(int(b.duration.Seconds()*2500)/pgbenchClients, 1)
	from, err := b.ownedSessions(perClient * pgbenchClients)
	if err != nil {
		return figures{}, err
	}
	head := fmt.Sprintf(`\set n %d + :turn * %d + :client_id
\set mark %[1]d + :turn * %[2]d + :client_id
\set turn :turn + 1
`, from, pgbenchClients)
	values["turn"] = "0"
	f, transactions, err := b.pgbench(head+setID()+text, values, "-t", strconv.Itoa(perClient))
	if err != nil {
		return f, err
	}
	var revoked int
	err = b.database.QueryRowContext(b.ctx, `SELECT COUNT(*) FROM sessions WHERE user_id = $1 AND revoked_at IS NOT NULL AND id IN (
		SELECT `+fill.SessionIDOf("n")+` FROM generate_series($2::bigint, $3) AS n)`,
		b.ownerID, from, from+perClient*pgbenchClients-1).Scan(&revoked)
	if err == nil && revoked != transactions {
		err = fmt.Errorf("pgbench: of %d revokes, %d ended a session", transactions, revoked)
	}
	return f, err
}

// pgbenchNothing asks PostgreSQL for nothing but an answer.
func (b *bench) pgbenchNothing() (figures, error) {
	f, _, err := b.pgbench("SELECT 1;\n", nil, "-T", b.seconds())
	return f, err
}

func (b *bench) seconds() string { return strconv.Itoa(max(int(b.duration.Seconds()), 1)) }

var (
	tps       = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)
	processed = regexp.MustCompile(`(?m)^number of transactions actually processed: (\d+)`)
	latency   = regexp.MustCompile(`(?m)^latency average = ([0-9.]+) ms`)
	broken    = regexp.MustCompile(`(?m)^number of failed transactions: [1-9]`)
)

// pgbench runs a script, prepared, and returns how often a second, and how often at all.
func (b *bench) pgbench(text string, values map[string]string, more ...string) (figures, int, error) {
	file := filepath.Join(b.folder, "script.sql")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return figures{}, 0, err
	}
	args := append([]string{"-n", "-M", "prepared", "-c", strconv.Itoa(pgbenchClients), "-j", "2", "-f", file}, more...)
	for name, value := range values {
		args = append(args, "-D", name+"="+value)
	}
	cmd := exec.CommandContext(b.ctx, b.postgres.Program("pgbench"), append(args, b.postgres.URL())...)
	before := b.processor()
	raw, err := cmd.CombinedOutput()
	used := b.processor().minus(before)
	output := string(raw)
	if err == nil && (broken.MatchString(output) || tps.FindStringSubmatch(output) == nil || processed.FindStringSubmatch(output) == nil) {
		err = errors.New("it did not do all")
	}
	if err != nil {
		return figures{}, 0, fmt.Errorf("pgbench: %w\n%s\n%s", err, output, text)
	}
	number := func(of *regexp.Regexp) float64 {
		match := of.FindStringSubmatch(output)
		if match == nil {
			return 0
		}
		value, _ := strconv.ParseFloat(match[1], 64)
		return value
	}
	count := number(processed)
	return figures{PerSecond: number(tps), Requests: int64(count), Mean: number(latency), Database: used.Database * 1000 / max(count, 1)}, int(count), nil
}
