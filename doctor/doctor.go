// Package doctor looks at what a server stands on: what production refuses to start with, and what else an operator
// wants to know at 3 a.m. It changes nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"latchkey/auth"
	"latchkey/config"
	"latchkey/db"
)

// Level says how bad a Finding is.
type Level string

// The levels.
const (
	Good Level = "ok"
	Warn Level = "warn" // nothing is lost yet, or production would refuse it
	Bad  Level = "bad"  // a server does not start, or is not ready, or in production must not start
)

// Finding is one thing that was looked at.
type Finding struct {
	Level Level
	About string // a variable, or a part
	Says  string
	Do    string // what to do about it; empty where there is nothing
}

// condition is what a database must be like to be relied on.
var condition = []struct {
	fails  func(db.Condition) bool
	says   string
	remedy string
}{
	{func(c db.Condition) bool { return c.Replica }, "takes no writes, as a read replica does not", "name the primary, or all hosts with target_session_attrs=read-write; or reset default_transaction_read_only"},
	{func(c db.Condition) bool { return c.NoFsync }, "has fsync off: a crash of its machine loses what was acknowledged, and may spoil the rest", "set fsync = on in postgresql.conf and reload PostgreSQL"},
	{func(c db.Condition) bool { return c.NoSynchronousCommit }, "has synchronous_commit off: a crash loses rotations and revokes that were acknowledged", "set synchronous_commit = on, for the server, the database and the user"},
}

// Guard returns an error with one line for each reason not to run in production on a database. Errors: of the database.
func Guard(ctx context.Context, store *db.Store) error {
	found, err := store.Condition(ctx)
	if err != nil {
		return fmt.Errorf("look at the database: %w", err)
	}
	var problems []error
	for _, rule := range condition {
		if rule.fails(found) {
			problems = append(problems, fmt.Errorf("DATABASE_URL: the database %s; %s", rule.says, rule.remedy))
		}
	}
	return errors.Join(problems...)
}

// Examine looks at everything, as far as one thing does not need another that is bad.
func Examine(ctx context.Context, getenv func(string) string, now func() time.Time) []Finding {
	e := &examination{now: now}
	cfg := e.settings(getenv)
	if cfg.DatabaseURL == "" {
		return e.findings
	}
	if cfg.DatabaseTimeout == 0 { // it was wrong
		cfg.DatabaseTimeout = 5 * time.Second
	}
	if path, isSQLite := strings.CutPrefix(cfg.DatabaseURL.Reveal(), "sqlite:"); isSQLite {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Stat(filepath.Dir(path)); err != nil {
				e.add(Bad, "database", "the folder that it is to be in is not there", "make it, or mend DATABASE_URL")
				return e.findings
			}
			e.add(Warn, "database", "there is none yet", "a server makes one when it first starts")
			return e.findings
		}
	}
	store, err := db.Connect(ctx, db.Options{
		URL: cfg.DatabaseURL.Reveal(), Timeout: cfg.DatabaseTimeout, Log: slog.New(slog.DiscardHandler), Prepare: db.Prepare(cfg.DatabasePrepared),
	})
	if err != nil {
		e.add(Bad, "database", err.Error(), "see that it runs, and that DATABASE_URL names it and says how to reach it")
		return e.findings
	}
	defer func() { _ = store.Close() }()
	e.database(ctx, cfg, store)
	e.prepares(ctx, cfg, store)
	e.clock(ctx, store)
	if e.migrations(ctx, cfg, store) {
		e.keys(ctx, cfg, store)
	}
	return e.findings
}

type examination struct {
	now      func() time.Time
	findings []Finding
}

func (e *examination) add(level Level, about, says, do string) {
	e.findings = append(e.findings, Finding{level, about, says, do})
}

// settings looks at the environment, in development also at what production would say to it.
func (e *examination) settings(getenv func(string) string) config.Config {
	cfg, err := config.Load(getenv)
	wrong := e.addLines(Bad, "", err)
	if cfg.ExtraClaims != nil {
		if _, err := auth.ParseExtraClaims(cfg.ExtraClaims); err != nil {
			e.add(Bad, "CLAIMS_FILE", err.Error(), "mend the file")
			wrong++
		}
	}
	if wrong == 0 {
		e.add(Good, "settings", fmt.Sprintf("as %s needs them", cfg.Mode), "")
	}
	if cfg.Mode == config.Development && wrong == 0 {
		_, err := config.Load(func(name string) string {
			if name == "MODE" {
				return string(config.Production)
			}
			return getenv(name)
		})
		e.addLines(Warn, "in production ", err)
	}
	return cfg
}

// addLines adds a finding for each line of an error of config.Load, and returns how many those are.
func (e *examination) addLines(level Level, prefix string, err error) int {
	if err == nil {
		return 0
	}
	lines := strings.Split(err.Error(), "\n")
	for _, line := range lines {
		name, problem, _ := strings.Cut(line, ": ")
		got, takes, _ := strings.Cut(problem, ", takes ")
		e.add(level, name, prefix+got, "it takes "+takes)
	}
	return len(lines)
}

func (e *examination) database(ctx context.Context, cfg config.Config, store *db.Store) {
	began := time.Now()
	found, err := store.Condition(ctx)
	if err != nil {
		e.add(Bad, "database", err.Error(), "see its log")
		return
	}
	e.add(Good, "database", fmt.Sprintf("%s answers in %s", found.Product, time.Since(began).Round(100*time.Microsecond)), "")
	level := Warn
	if cfg.Mode == config.Production {
		level = Bad
	}
	for _, rule := range condition {
		if rule.fails(found) {
			e.add(level, "database", rule.says, rule.remedy)
		}
	}
}

// prepares says what DATABASE_PREPARED=auto has come to.
func (e *examination) prepares(ctx context.Context, cfg config.Config, store *db.Store) {
	if cfg.DatabasePrepared != string(db.PrepareAuto) || strings.HasPrefix(cfg.DatabaseURL.Reveal(), "sqlite:") {
		return
	}
	prepares, err := store.Prepares(ctx)
	switch {
	case err != nil:
		e.add(Bad, "database", err.Error(), "see its log")
	case prepares:
		e.add(Good, "database", "statements are prepared: no pooler stands between", "")
	default:
		e.add(Good, "database", "statements are not prepared: a pooler may stand between", "")
	}
}

// worthKnowing is how far clocks may differ without a word.
const worthKnowing = time.Second

func (e *examination) clock(ctx context.Context, store *db.Store) {
	skew, err := store.ClockSkew(ctx, e.now)
	if err != nil {
		e.add(Bad, "clock", err.Error(), "see the database's log")
		return
	}
	says := fmt.Sprintf("the database's differs from this machine's by %s", skew.Round(time.Millisecond))
	const remedy = "have both synchronised (timedatectl, chronyc tracking)"
	switch {
	case skew.Abs() > auth.MaxClockSkew:
		e.add(Bad, "clock", says+": servers say that they are not ready", remedy)
	case skew.Abs() > worthKnowing:
		e.add(Warn, "clock", says, remedy)
	default:
		e.add(Good, "clock", says, "")
	}
}

// migrations reports whether the schema is that of this version.
func (e *examination) migrations(ctx context.Context, cfg config.Config, store *db.Store) bool {
	pending, all, err := store.PendingMigrations(ctx)
	switch {
	case err != nil:
		e.add(Bad, "migrations", err.Error(), "see the database's log")
	case pending > 0 && !cfg.Migrate:
		e.add(Bad, "migrations", fmt.Sprintf("%d of %d are still to come, and MIGRATE is off: no server starts", pending, all), "run `latchkey migrate`")
	case pending > 0:
		e.add(Warn, "migrations", fmt.Sprintf("%d of %d are still to come", pending, all), "run `latchkey migrate`, or start a server")
	default:
		e.add(Good, "migrations", "the schema is up to date", "")
	}
	return err == nil && pending == 0
}

// untended is how many times KEY_ROTATION a key may be old.
const untended = 1.5

func (e *examination) keys(ctx context.Context, cfg config.Config, store *db.Store) {
	secret, previous, err := cfg.ExistingSecrets()
	if errors.Is(err, fs.ErrNotExist) {
		e.add(Warn, "keys", "there is no secret yet", "a server makes one when it first starts")
		return
	}
	if err != nil {
		e.add(Bad, "SECRET", err.Error(), "")
		return
	}
	keys, err := auth.InspectKeys(ctx, store, secret, previous, e.now(), cfg.AccessTokenTTL)
	switch {
	case errors.Is(err, auth.ErrWrongSecret):
		e.add(Bad, "SECRET", err.Error(), "set the SECRET that they were sealed with, or as SECRET_PREVIOUS while it is being changed")
		return
	case err != nil:
		e.add(Bad, "keys", err.Error(), "")
		return
	case len(keys) == 0:
		e.add(Warn, "keys", "there are none yet", "a server makes them when it first starts")
	}
	for _, key := range keys {
		if key.State != auth.CurrentKey {
			continue
		}
		age := e.now().Sub(key.ActiveAt)
		says := fmt.Sprintf("the %s key is %s old", key.Kind, days(age))
		if limit := time.Duration(float64(cfg.KeyRotation) * untended); cfg.KeyRotation > 0 && e.now().Sub(key.CreatedAt) > limit {
			e.add(Warn, "keys", says+", and KEY_ROTATION is "+days(cfg.KeyRotation), "see that a server runs, and its log for `keys not tended`")
			continue
		}
		e.add(Good, "keys", says, "")
	}
}

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
