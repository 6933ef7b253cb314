//go:build linux

package chaos_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// patch changes one place of the server's source in one build of it. The old text must stand there once:
// where the source has moved on, the test fails and says so.
type patch struct{ file, old, new string }

const importHooks = "import (\n\t\"latchkey/internal/chaos/hooks\"\n"

// hooked are the points at which a server can be killed, and a clock that can be wrong.
var hooked = []patch{
	{"server.go", "import (\n", importHooks},
	{"server.go", "rules, time.Now, log)", "rules, hooks.Now, log)"},

	{"auth/rotation.go", "import (\n", importHooks},
	{"auth/rotation.go", "\t\tif err == nil {\n\t\t\treturn next, state, nil", "\t\tif err == nil {\n\t\t\thooks.Reach(\"refresh: before the answer\")\n\t\t\treturn next, state, nil"},
	{"auth/revoke.go", "import (\n", importHooks},
	{"auth/revoke.go", "\tstate, err := s.store.EndSession(ctx, end)\n", "\thooks.Reach(\"revoke: before the statement\")\n\tstate, err := s.store.EndSession(ctx, end)\n\thooks.Reach(\"revoke: before the answer\")\n"},
	{"auth/signin.go", "import (\n", importHooks},
	{"auth/signin.go", "\terr = s.store.CreateSession(", "\tdefer hooks.Reach(\"login: before the answer\")\n\terr = s.store.CreateSession("},
	{"db/changes.go", "import (\n", importHooks},
	{"db/changes.go", "\t\treturn record(ctx, on, c.event(change, row))\n", "\t\thooks.Reach(\"end: before the event\")\n\t\treturn record(ctx, on, c.event(change, row))\n"},
	{"db/changes.go", "\t\treturn record(ctx, on, events...)\n", "\t\tif len(events) > 0 {\n\t\t\thooks.Reach(\"end: before the event\")\n\t\t}\n\t\treturn record(ctx, on, events...)\n"},
	{"db/db.go", "import (\n", importHooks},
	{"db/db.go", "\t\treturn tx.Commit()\n", "\t\thooks.Reach(\"commit: before\")\n\t\tif err := tx.Commit(); err != nil {\n\t\t\treturn err\n\t\t}\n\t\thooks.Reach(\"commit: after\")\n\t\treturn nil\n"},
}

// killPoints are those of hooked that a server comes by. PostgreSQL records an end by the statement that makes it.
func (d *database) killPoints() []string {
	points := []string{
		"refresh: before the answer", "revoke: before the statement", "revoke: before the answer",
		"login: before the answer", "commit: before", "commit: after",
	}
	if d.name == sqlite {
		points = append(points, "end: before the event")
	}
	return points
}

var builds struct {
	mu     sync.Mutex
	folder string
	made   map[string]string // by patches
}

func sourceFolder() string {
	folder, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		panic(err)
	}
	return folder
}

// patched returns the texts of the files that patches change, by their paths.
func patched(t *testing.T, patches ...patch) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, p := range patches {
		path := filepath.Join(sourceFolder(), p.file)
		if texts[path] == "" {
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			texts[path] = string(raw)
		}
		if strings.Count(texts[path], p.old) != 1 {
			t.Fatalf("%s has no longer, just once, what a patch replaces: %q", p.file, p.old)
		}
		texts[path] = strings.Replace(texts[path], p.old, p.new, 1)
	}
	return texts
}

// build returns a server's program: the product's with patches. The source stays as it is, since the
// compiler lays the patched files over it.
func build(t *testing.T, patches ...patch) string {
	t.Helper()
	builds.mu.Lock()
	defer builds.mu.Unlock()
	key := fmt.Sprint(patches)
	if program := builds.made[key]; program != "" {
		return program
	}
	folder, err := os.MkdirTemp(builds.folder, "build-")
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for path, text := range patched(t, patches...) {
		overlay.Replace[path] = filepath.Join(folder, strings.ReplaceAll(strings.TrimPrefix(path, sourceFolder()), string(filepath.Separator), "_"))
		if err := os.WriteFile(overlay.Replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(overlayFile, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(folder, "latchkey")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlayFile, "-o", program, ".")
	cmd.Dir = sourceFolder()
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	if err := os.Chmod(builds.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	builds.made[key] = program
	return program
}
