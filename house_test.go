package main_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Who may import whom. Tests may import anything.
var mayImport = map[string][]string{
	"latchkey":                       {"auth", "cli", "config", "db", "doctor", "graph", "internal/tuning", "telemetry", "web"},
	"latchkey/auth":                  {"internal/argon2", "internal/looks", "token"},
	"latchkey/auth/authtest":         {"auth", "db", "internal/leaks"}, // for tests only
	"latchkey/bench":                 {"auth", "bench/fill", "bench/flame", "bench/load", "db/dbtest", "graph/generated"},
	"latchkey/bench/fill":            {},
	"latchkey/bench/flame":           {},
	"latchkey/bench/load":            {},
	"latchkey/bench/scale":           {}, // tests only
	"latchkey/cli":                   {"auth", "config", "doctor"},
	"latchkey/clients":               {}, // tests only
	"latchkey/config":                {},
	"latchkey/db":                    {"auth", "telemetry"},
	"latchkey/db/dbtest":             {"internal/leaks"}, // for tests and bench only
	"latchkey/deploy":                {},                 // tests only
	"latchkey/doctor":                {"auth", "config", "db"},
	"latchkey/examples":              {}, // tests only
	"latchkey/graph":                 {"auth", "graph/generated", "graph/scalar", "telemetry"},
	"latchkey/graph/generated":       {"auth", "graph/scalar"},
	"latchkey/graph/scalar":          {"auth"},
	"latchkey/internal/argon2":       {},
	"latchkey/internal/chaos":        {}, // tests only
	"latchkey/internal/chaos/hooks":  {}, // for the servers that chaos builds
	"latchkey/internal/history":      {}, // for tests only
	"latchkey/internal/release":      {}, // for scripts/release.sh
	"latchkey/internal/release/bom":  {"internal/release"},
	"latchkey/internal/release/pack": {"internal/release"},
	"latchkey/internal/leaks":        {}, // for tests only
	"latchkey/internal/looks":        {},
	"latchkey/internal/stand":        {"db/dbtest", "internal/leaks"}, // for tests only
	"latchkey/internal/tuning":       {},
	"latchkey/token":                 {},
	"latchkey/verify":                {"internal/looks", "token"},
	"latchkey/telemetry":             {},
	"latchkey/web":                   {"auth", "graph", "internal/looks", "telemetry", "token"},
}

// What would bring SQL, HTTP or GraphQL into the domain.
var notInTheDomain = []string{"database/sql", "net/http", "github.com/jmoiron/sqlx", "github.com/lib/pq", "github.com/99designs/gqlgen", "github.com/vektah/gqlparser"}

func TestPackagesImportOnlyWhatTheHouseAllows(t *testing.T) {
	output, err := exec.Command("go", "list", "-f", `{{.ImportPath}}:{{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(output)) {
		name, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		allowed, known := mayImport[name]
		if !known {
			t.Errorf("%s has no place in the house yet: give it one here", name)
		}
		for _, imported := range strings.Fields(imports) {
			if ours, ok := strings.CutPrefix(imported, "latchkey/"); ok && !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s", name, imported)
			}
			if name == "latchkey/auth" && slices.ContainsFunc(notInTheDomain, func(path string) bool { return strings.HasPrefix(imported, path) }) {
				t.Errorf("%s imports %s", name, imported)
			}
		}
	}
}
