package stand

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// Node runs a program of Node.js in a folder, logs what it prints, and fails the test where it fails. It finds in its
// environment
//
//   - LATCHKEY_CONTROL, the URL of the stand's control
//   - VITE_LATCHKEY_URL, the URL of the server's GraphQL, for pages that are built with it
//   - CHROMIUM, the path of a browser, if there is one: a test that needs it calls Chromium first
//   - SCREENSHOTS, a folder for what the browser shows: that of this process's environment, or the test's own
//
// Without Node.js or its packages the test is skipped, as with NodeCommand.
func (s *Stand) Node(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := NodeCommand(t, dir, args...)
	cmd.Env = append(os.Environ(), "LATCHKEY_CONTROL="+s.Control, "VITE_LATCHKEY_URL="+s.URL+"/graphql", "SCREENSHOTS="+Screenshots(t))
	if path, ok := findChromium(); ok {
		cmd.Env = append(cmd.Env, "CHROMIUM="+path)
	}
	cmd.Env = append(cmd.Env, s.nodeEnv...)
	cmd.WaitDelay = 10 * time.Second // a browser that it left behind has its output open
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("node %v: %v\n%s", args, err, output)
	}
	t.Logf("node %v\n%s", args, output)
}

// NodeCommand returns a command that runs a program of Node.js in a folder. With -short, and without Node.js or the packages of
// package-lock.json, the test is skipped; for want of them it fails on CI: scripts/node.sh installs them.
func NodeCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	if testing.Short() {
		t.Skip("runs other people's programs, which -short leaves out")
	}
	_, err := exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(Root(), "node_modules", ".package-lock.json")); err != nil || missing != nil {
		unavailable(t, errors.Join(err, missing))
	}
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Dir = dir
	return cmd
}

// Chromium returns the path of a browser of that family. Without one the test is skipped, on CI it fails.
func Chromium(t testing.TB) string {
	t.Helper()
	path, ok := findChromium()
	if !ok {
		unavailable(t, errors.New("there is no Chromium"))
	}
	return path
}

func findChromium() (path string, ok bool) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return path, true
	}
	// The first, which Debian has, is the one that scripts/node.sh installs there.
	for _, name := range []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, true
		}
	}
	return "", false
}

// unavailable skips a test, or fails it on CI.
func unavailable(t testing.TB, err error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("%v; scripts/node.sh installs it", err)
	}
	t.Skipf("%v: run make test, which installs it", err)
}

// Screenshots returns the folder for what a browser shows: SCREENSHOTS, or one of the test's own.
func Screenshots(t *testing.T) string {
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
