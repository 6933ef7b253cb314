// Package check reads what is deployed with the parsers of those who will read it.
package check

import (
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	deploy = ".."
	root   = "../.."
)

// others are variables that deploy/ names and the server does not read itself.
var others = []string{
	"GOMEMLIMIT",             // Go's runtime does
	"CGO_ENABLED", "VERSION", // the build
	"PGPASSWORD", "POSTGRES_PASSWORD_FILE", "POSTGRES_INITDB_ARGS", // PostgreSQL
}

// settings are variables of the environment.
type settings map[string]string

func (s settings) over(other settings) settings {
	all := settings{}
	for _, from := range []settings{other, s} {
		for name, value := range from {
			all[name] = value
		}
	}
	return all
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fallbacks returns the server's variables with what they are in production where nothing is set.
func fallbacks(t *testing.T) settings {
	t.Helper()
	found := settings{}
	for _, row := range regexp.MustCompile(`\{name: "(\w+)",(?: fallback: "([^"]*)",)?`).FindAllStringSubmatch(readFile(t, root+"/config/load.go"), -1) {
		fallback := row[2]
		if _, production, ok := strings.Cut(fallback, "in production "); ok {
			fallback = strings.TrimSuffix(production, "]")
		}
		found[row[1]] = fallback
	}
	for _, row := range regexp.MustCompile(`\{name: "(\w+)".* secret: true`).FindAllStringSubmatch(readFile(t, root+"/config/load.go"), -1) {
		found[row[1]+"_FILE"] = "" // what is a secret may stand in a file
	}
	if found["SHUTDOWN_TIMEOUT"] == "" {
		t.Fatal("config/load.go does not look as it did: mend this test")
	}
	return found
}

// wantTimeToStop fails where a server is killed before it has had the time that it is given.
func wantTimeToStop(t *testing.T, given settings, grace time.Duration) {
	t.Helper()
	all := given.over(fallbacks(t))
	var needs time.Duration
	for _, name := range []string{"SHUTDOWN_DELAY", "SHUTDOWN_TIMEOUT"} {
		value, err := time.ParseDuration(all[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		needs += value
	}
	if grace <= needs {
		t.Errorf("a server that takes %v to stop is killed after %v", needs, grace)
	}
}

var readmeSetting = regexp.MustCompile(`\b([A-Z][A-Z_]*[A-Z])=(?:"[^"\n]*"|[^\s"]*)`)

// ways returns the environment of the server in each way to deploy it.
func ways(t *testing.T) map[string]settings {
	t.Helper()
	image := imageSettings(t)
	docker := settings{}
	for _, option := range regexp.MustCompile(`--env (\w+)=(\S+)`).FindAllStringSubmatch(readFile(t, deploy+"/README.md"), -1) {
		docker[option[1]] = option[2]
	}
	files := settings{}
	_, text, ok := strings.Cut(readFile(t, deploy+"/README.md"), "/etc/latchkey/latchkey.env <<'TEXT'\n")
	text, _, closed := strings.Cut(text, "\nTEXT\n")
	if !ok || !closed || len(docker) == 0 {
		t.Fatal("README.md does not look as it did: mend this test")
	}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		files[name] = value
	}
	return map[string]settings{
		"docker run": docker.over(image),
		"compose":    composeSettings(t).over(image),
		"kubernetes": kubernetesSettings(t).over(image),
		"systemd":    files.over(unitSettings(t)),
	}
}

func TestEverySettingIsOneThatTheServerHas(t *testing.T) {
	known := fallbacks(t)
	named := ways(t)
	named["README.md"] = settings{}
	for _, found := range readmeSetting.FindAllStringSubmatch(readFile(t, deploy+"/README.md"), -1) {
		named["README.md"][found[1]] = ""
	}
	for way, given := range named {
		for name := range given {
			if _, ok := known[name]; !ok && !slices.Contains(others, name) {
				t.Errorf("%s sets %s, which nothing reads", way, name)
			}
		}
	}
}

func TestTheServerTakesTheSettingsOfEachWay(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	program, err := filepath.Abs(filepath.Join(t.TempDir(), "load"))
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "deploy/check/testdata/load.go")
	build.Dir = root
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	url := regexp.MustCompile("`(postgres://[^`]+)`").FindStringSubmatch(readFile(t, deploy+"/README.md"))
	if url == nil {
		t.Fatal("README.md has no example of database-url")
	}
	contents := settings{"SECRET_FILE": rand.Text() + rand.Text(), "DATABASE_URL_FILE": url[1] + "\n"}
	for way, given := range ways(t) {
		if given["MODE"] != "production" {
			t.Errorf("%s: MODE is %q", way, given["MODE"])
		}
		load := exec.CommandContext(ctx, program)
		load.Env = []string{}
		for name, value := range given {
			if content, ok := contents[name]; ok { // what the operator puts there
				value = filepath.Join(t.TempDir(), name)
				if err := os.WriteFile(value, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			load.Env = append(load.Env, name+"="+value)
		}
		if output, err := load.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", way, err, output)
		}
	}
}
