//go:build linux

package chaos_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/internal/history"
)

// A mutant is a server, or a database, that breaks one rule. A checker that has never found anything
// proves nothing: each must be found, by the scenario that is named, within a minute.
type mutant struct {
	rule     string // which it breaks
	patches  []patch
	setting  string // of the database, where that is the mutant
	scenario string
	database string
	breaks   history.Invariant
	soak     bool // what it breaks is broken by a quicker one, too
}

var mutants = []mutant{
	{
		rule:     "the statement asks for the presented token's hash",
		patches:  []patch{{"db/session_changes.go", "AND refresh_hash = :hash\n", "AND (refresh_hash = :hash OR 1 = 1)\n"}},
		scenario: "a rotation lost by the database", database: postgres, breaks: history.OneAtATime,
	}, {
		rule:     "the statement asks for the presented token at all",
		patches:  []patch{{"db/session_changes.go", "refresh_generation = :generation AND refresh_hash = :hash\n", "(refresh_generation = :generation OR refresh_hash = :hash OR 1 = 1)\n"}},
		scenario: "none", database: sqlite, breaks: history.OneSuccessor,
	}, {
		rule: "a retry is answered with the same token",
		patches: []patch{{"auth/rotation.go",
			"case ok && s.withinGrace(state, now):\n\t\treturn successor, state, nil\n",
			`case ok && s.withinGrace(state, now):
		seed := newRefreshSeed()
		another := s.keys.known.Load().currentRefreshKey(now).successor(successor, seed)
		state, err := s.store.Rotate(ctx, Rotation{
			SessionID: state.ID, Generation: successor.generation, Hash: successor.hash(),
			NextHash: another.hash(), Seed: seed, RefreshKeyID: another.key.id.String(),
			Now: now, IdleExpiresAt: now.Add(s.settings.SessionIdleTTL),
		})
		if errors.Is(err, ErrNotFound) {
			return refreshToken{}, nil, errMovedOn
		}
		return another, state, err
`}},
		scenario: "none", database: postgres, breaks: history.OneSuccessor, soak: true,
	}, {
		rule: "a retry is not answered once the session is revoked",
		patches: []patch{{"auth/rotation.go", "state.endReason(now); ended {\n\t\treturn refreshToken{}",
			"state.endReason(now); ended && state.Generation != token.generation+1 {\n\t\treturn refreshToken{}"}},
		scenario: "none", database: postgres, breaks: history.FinalRevoke, soak: true,
	}, {
		rule: "a session's state is not cached",
		patches: []patch{
			{"auth/authenticate.go", "import (\n", "import (\n\t\"sync\"\n\t\"time\"\n\t\"github.com/google/uuid\"\n"},
			{"auth/authenticate.go", "s.store.Session(ctx, token.sessionID)", "cachedSession(ctx, s.store, token.sessionID)"},
			{"auth/authenticate.go", "// Has reports", `var cache sync.Map

type cached struct {
	state SessionState
	until time.Time
}

func cachedSession(ctx context.Context, store Store, id uuid.UUID) (*SessionState, error) {
	if found, ok := cache.Load(id); ok && time.Now().Before(found.(cached).until) {
		state := found.(cached).state
		return &state, nil
	}
	state, err := store.Session(ctx, id)
	if err == nil {
		cache.Store(id, cached{*state, time.Now().Add(time.Second)})
	}
	return state, err
}

// Has reports`},
		},
		scenario: "none", database: postgres, breaks: history.FinalRevoke,
	}, {
		rule: "the end of a session commits whatever becomes of the request that found reuse",
		patches: []patch{
			{"db/changes.go", "\t\treturn record(ctx, on, c.event(change, row))\n", "\t\t_ = record(ctx, on, c.event(change, row))\n\t\treturn errRefused\n"},
			{"db/changes.go", "\t})))\n\tif err != nil {\n", "\t})))\n\tif err != nil && !errors.Is(err, errRefused) {\n"},
			{"db/changes.go", "// changes make", "var errRefused = errors.New(\"the request is refused\")\n\n// changes make"},
		},
		scenario: "a patient thief", database: sqlite, breaks: history.OneAtATime, soak: true,
	}, {
		rule: "a rotation that is run again knows its own effect",
		patches: []patch{{"auth/rotation.go", "\tif equal(state.RefreshHash, next.hash()) {\n\t\treturn next, state, nil",
			"\tif false {\n\t\treturn next, state, nil"}},
		scenario: "answers lost, strict rotation", database: postgres, breaks: history.NobodyLost,
	}, {
		rule:     "a revoke that is run again knows its own effect",
		patches:  []patch{{"db/session_changes.go", "OR revocation_id = :mark)", "OR revocation_id = :mark AND 1 = 0)"}},
		scenario: "answers lost, strict rotation", database: postgres, breaks: history.OneAtATime, soak: true,
	}, {
		rule: "a database that is away is no reason to refuse a token",
		patches: []patch{{"auth/rotation.go", "if !errors.Is(err, ErrNotFound) {\n\t\t\treturn refreshToken{}, nil, err",
			"if !errors.Is(err, ErrNotFound) {\n\t\t\treturn refreshToken{}, nil, ErrInvalidRefreshToken"}},
		scenario: "database killed", database: postgres, breaks: history.NobodyLost, soak: true,
	}, {
		rule:     "the use of a successor is heeded",
		patches:  []patch{{"auth/rotation.go", "return s.ConfirmedGeneration <= token.generation &&", "return true &&"}},
		scenario: "a patient thief", database: postgres, breaks: history.ThiefNoticed,
	}, {
		rule:     "what is acknowledged has been written",
		setting:  "synchronous_commit = 'off'",
		scenario: "database killed", database: postgres, breaks: history.NobodyLost, soak: true,
	},
}

func TestTheCheckerFindsEveryMutantWithinAMinute(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes; `make test` does it for some, `make soak` for all")
	}
	for _, m := range mutants {
		if m.soak && !*soakFlag {
			patched(t, m.patches...)
			continue
		}
		t.Run(strings.ReplaceAll(m.rule, " ", "_"), func(t *testing.T) {
			t.Parallel()
			at := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == m.scenario })
			s := scenarios[at]
			s.patches, s.setting = append(slices.Clone(s.patches), m.patches...), m.setting
			s.name = "mutant: not " + m.rule
			shown := s.play(t, m.database, *seedFlag)
			if shown.took > time.Minute {
				t.Errorf("it took %s", shown.took)
			}
			for _, violation := range shown.violations {
				if violation.Invariant == m.breaks {
					t.Logf("found in %s: %s", shown.took.Round(time.Second), violation)
					return
				}
			}
			t.Errorf("not found, with seed %d: %d violations of another kind", *seedFlag, len(shown.violations))
		})
	}
}
