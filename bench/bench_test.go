package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/bench/fill"
	"latchkey/db/dbtest"
)

func TestMain(m *testing.M) {
	if limit, ok := hidden(os.Args[1:]); ok {
		limit()
		return
	}
	os.Exit(m.Run())
}

func settingsOf(t *testing.T, args ...string) *settings {
	t.Helper()
	s, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAllOperationsAndLimitsAreMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and loads a server")
	}
	file := filepath.Join(t.TempDir(), "bench.json")
	s := settingsOf(t, "-users", "200", "-people", "64", "-connections", "4", "-duration", "300ms", "-warm-up", "100ms", "-runs", "1", "-starts", "1", "-env", "DATABASE_TIMEOUT=20s", "-json", file)
	var output bytes.Buffer
	b, err := newBench(t.Context(), s, &output)
	if errors.Is(err, dbtest.ErrMissing) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := planAll(b); err != nil {
		t.Fatal(err)
	}
	for _, number := range []int{1, 2, 4711, 2_000_000, fill.FirstExtra + 500_000} {
		var got string
		if err := b.database.QueryRow(`SELECT `+fill.SessionIDOf("$1::bigint"), number).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if got != fill.SessionID(number) {
			t.Errorf("session %d: PostgreSQL computes the id %s, package fill %s", number, got, fill.SessionID(number))
		}
	}
	if err := b.report.write(file); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var written report
	if err := json.Unmarshal(text, &written); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"me", "refresh", "revoke", "login", "mix", besideAlone, besideLoaded,
		limitHello, limitGQLGen, limitAnswer, limitRead, limitRotate, limitRevoke, limitArgon2,
	} {
		m := written.find(name)
		if m == nil || len(m.Runs) != 1 || m.Medians.PerSecond <= 0 || m.Medians.Requests == 0 {
			t.Errorf("%s was not measured: %+v", name, m)
		}
	}
	if me := written.find("me"); me != nil && (me.Statements <= 0 || me.Statements > 2) {
		t.Errorf("%v statements for me", me.Statements)
	}
	if len(written.Ratios) < 9 || len(written.Starts) != 2 || written.find("me").Medians.Resident == 0 {
		t.Errorf("%d ratios, %d starts", len(written.Ratios), len(written.Starts))
	}
	if !strings.Contains(output.String(), "me / "+limitGQLGen) {
		t.Error(output.String())
	}
}

const exampleLog = `101 LOG:  statement: BEGIN
101 LOG:  execute <unnamed>: 
	UPDATE sessions SET refresh_hash = $1, at = $2
		WHERE id = $3 AND refresh_generation = $4 AND revocation_id = $5 AND note = $6
101 DETAIL:  parameters: $1 = '\x0000000000000000000000000000000000000000000000000000000000000000', $2 = '2026-03-01 12:00:00+00', $3 = '00000000-0000-0000-0000-00000000000a', $4 = 'GEN', $5 = 'NEW', $6 = NULL
102 LOG:  checkpoint starting: immediate force wait
101 LOG:  execute pq_1: INSERT INTO events (id, words) VALUES ($1, $2)
101 DETAIL:  Parameters: $1 = 'NEW', $2 = 'it''s, $1 = ''x'''
101 LOG:  statement: COMMIT
`

func TestWhatPostgreSQLLogsBecomesAScript(t *testing.T) {
	var each []sentStatement
	for i := range asked {
		text := strings.ReplaceAll(exampleLog, "GEN", string(rune('3'+i)))
		text = strings.ReplaceAll(text, "NEW", "00000000-0000-7000-8000-00000000000"+string(rune('0'+i)))
		for number, one := range parseLog(text) {
			if i == 0 {
				each = append(each, sentStatement{text: one.text})
			}
			each[number].args[i], each[number].ids[i] = one.args, "00000000-0000-0000-0000-00000000000a"
		}
	}
	got, values, err := script(each)
	if err != nil {
		t.Fatal(err)
	}
	const want = `BEGIN;
UPDATE sessions SET refresh_hash = :hash, at = :value1
	WHERE id = lpad(:id::text, 32, '0')::uuid AND refresh_generation = :generation AND revocation_id = lpad(:mark::text, 32, '2')::uuid AND note = NULL;
INSERT INTO events (id, words) VALUES (lpad(:mark::text, 32, '2')::uuid, :value2);
COMMIT;
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if values["value1"] != "2026-03-01 12:00:00+00" || values["value2"] != "it's, $1 = 'x'" || values["hash"] != fill.Hash {
		t.Error(values)
	}
}

func TestAScriptThatNamesNoSessionIsRefused(t *testing.T) {
	if _, _, err := script([]sentStatement{{text: "SELECT 1"}}); err == nil {
		t.Error("it was not")
	}
}

func TestMediansAreOfEachFigure(t *testing.T) {
	got := medians([]figures{
		{PerSecond: 30, P99: 1, Kinds: map[string]figures{"me": {PerSecond: 3}}}, {PerSecond: 10, P99: 3, Kinds: map[string]figures{"me": {PerSecond: 1}}},
		{PerSecond: 20, P99: 2, Kinds: map[string]figures{"me": {PerSecond: 2}}},
	})
	if got.PerSecond != 20 || got.P99 != 2 || got.Kinds["me"].PerSecond != 2 {
		t.Error(got)
	}
	if even := medians([]figures{{PerSecond: 10}, {PerSecond: 20}}); even.PerSecond != 15 {
		t.Error(even.PerSecond)
	}
}

func TestMemoryIsJudgedByItsTrend(t *testing.T) {
	samples := func(minutes int, resident func(second int) int64) *bench {
		b := &bench{report: newReport(settingsOf(t), io.Discard)}
		for second := 0; second <= minutes*60; second += 5 {
			b.report.Memory = append(b.report.Memory, memorySample{After: float64(second), Resident: resident(second)})
		}
		return b
	}
	growing := func(second int) int64 { return 50<<20 + int64(second)*5000 }
	if got := slope(samples(60, growing).report.Memory, resident); got < 4999 || got > 5001 {
		t.Errorf("slope %v", got)
	}
	if samples(60, growing).judgeMemory() == nil {
		t.Error("a leak passed")
	}
	warming := func(second int) int64 { return 50<<20 + int64(min(second, 500))*100_000 }
	if err := samples(60, warming).judgeMemory(); err != nil {
		t.Error(err)
	}
	if err := samples(5, growing).judgeMemory(); err != nil {
		t.Error(err)
	}
}

func TestBarsAreAsLongAsTheirPart(t *testing.T) {
	for _, test := range []struct {
		part, whole float64
		want        string
	}{{1, 1, "████"}, {0.5, 1, "██  "}, {0, 1, "    "}, {1, 0, "    "}, {1, 1000, "▏   "}, {5, 1, "████"}, {0.3, 1, "█▎  "}} {
		if got := bar(test.part, test.whole, 4); got != test.want {
			t.Errorf("%v of %v: %q, want %q", test.part, test.whole, got, test.want)
		}
	}
}

func TestTheCommandLineIsChecked(t *testing.T) {
	for _, args := range [][]string{
		{"-plan", "x"}, {"-operations", "me,x"}, {"-operations", "beside", "-plan", "growth"}, {"-servers", "5"}, {"-plan", "servers", "-sweep", "1,8"},
		{"-plan", "growth", "-sweep", "2000,1000"}, {"-sweep", "a"}, {"-users", "1"}, {"-duration", "0"}, {"-runs", "0"}, {"-rate", "-1"}, {"-env", "x"}, {"x"}, {"-x"},
	} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	s := settingsOf(t, "-plan", "growth", "-sweep", "1000,2000")
	if s.users != 500 || s.people != 64 || !slices.Equal(s.operations, []string{"me", "refresh"}) {
		t.Errorf("%+v", s)
	}
	if s := settingsOf(t, "-plan", "mix", "-duration", "60m", "-rate", "500"); s.connections != 64 || s.duration != time.Hour || s.people != 1024 {
		t.Errorf("%+v", s)
	}
}
