package web_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"latchkey/db/dbtest"
)

// node returns a command that runs a program of the folder conformance. Without Node.js or the packages the
// test is skipped, on CI it fails: scripts/node.sh installs them.
func node(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("runs other people's programs, which -short leaves out")
	}
	_, err := exec.LookPath("node")
	if _, missing := os.Stat("../node_modules/graphql-http"); err != nil || missing != nil {
		unavailable(t, errors.Join(err, missing))
	}
	cmd := exec.CommandContext(t.Context(), "node", append([]string{program}, args...)...)
	cmd.Dir = "conformance"
	return cmd
}

// unavailable skips a test, or fails it on CI.
func unavailable(t *testing.T, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%v; scripts/node.sh installs it", err)
	}
	t.Skipf("%v: run make test, which installs it", err)
}

func TestEveryAuditOfGraphQLOverHTTPPasses(t *testing.T) {
	s := newExplorable(t, dbtest.SQLite(t))
	output, err := node(t, "audit.mjs", s.URL+"/graphql").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	t.Logf("%s", output)
}

// chromium returns the path of a browser of that family.
func chromium(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	unavailable(t, errors.New("there is no Chromium"))
	return ""
}

// screenshots returns the folder for what the browser shows: SCREENSHOTS, or one of the test's own.
func screenshots(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return t.ArtifactDir()
	}
	absolute, err := filepath.Abs(folder)
	if err != nil {
		t.Fatal(err)
	}
	return absolute
}
