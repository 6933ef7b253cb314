package check

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const unitName = "latchkey.service"

// parsedUnit returns the last value of each key of the unit.
func parsedUnit(t *testing.T) settings {
	t.Helper()
	found := settings{}
	for line := range strings.Lines(readFile(t, filepath.Join(deploy, unitName))) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			found[key] = value
		}
	}
	return found
}

func unitSettings(t *testing.T) settings {
	t.Helper()
	given := settings{}
	for pair := range strings.FieldsSeq(parsedUnit(t)["Environment"]) {
		name, value, _ := strings.Cut(pair, "=")
		given[name] = value
	}
	return given
}

func TestTheUnitStopsAndRestartsAsTheServerNeeds(t *testing.T) {
	unit := parsedUnit(t)
	wanted := settings{
		"Type": "exec", "ExecStart": "/usr/local/bin/latchkey", "DynamicUser": "yes", "StateDirectory": "latchkey",
		"LoadCredential": "secret:/etc/latchkey/secret", "EnvironmentFile": "/etc/latchkey/latchkey.env",
		"KillSignal": "SIGTERM", "Restart": "on-failure", "LimitNOFILE": "16384", "ProtectSystem": "strict", "NoNewPrivileges": "yes",
		"CapabilityBoundingSet": "",
	}
	for key, want := range wanted {
		if got, ok := unit[key]; !ok || got != want {
			t.Errorf("%s=%s, want %s", key, got, want)
		}
	}
	if file := unitSettings(t)["SECRET_FILE"]; file != "%d/secret" {
		t.Errorf("the secret is read from %s", file)
	}
	seconds, err := strconv.Atoi(unit["TimeoutStopSec"])
	if err != nil {
		t.Fatal(err)
	}
	wantTimeToStop(t, ways(t)["systemd"], time.Duration(seconds)*time.Second)
}

// analyze runs systemd-analyze on a copy of the unit whose program is there, and returns what it says of it.
func analyze(t *testing.T, arguments ...string) (string, error) {
	t.Helper()
	program, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no systemd-analyze: install systemd")
		}
		t.Skip("no systemd-analyze here")
	}
	version, err := exec.CommandContext(t.Context(), program, "--version").Output()
	if err != nil {
		t.Fatal(err)
	}
	if number := regexp.MustCompile(`^systemd (\d+)`).FindSubmatch(version); number == nil || string(number[1]) < "251" {
		t.Skipf("too old, it knows no %%d: %s", version)
	}
	there, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(readFile(t, filepath.Join(deploy, unitName)), "ExecStart=/usr/local/bin/latchkey", "ExecStart="+there, 1)
	unit := filepath.Join(t.TempDir(), unitName)
	if err := os.WriteFile(unit, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), program, append(arguments, unit)...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(output), err
}

func TestSystemdUnderstandsTheUnit(t *testing.T) {
	output, err := analyze(t, "verify", "--man=no", "--recursive-errors=no")
	if err != nil || strings.Contains(output, unitName) {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestTheUnitExposesLittle(t *testing.T) {
	const most = 15 // tenths, of ten
	output, err := analyze(t, "security", "--offline=true", fmt.Sprintf("--threshold=%d", most))
	if err != nil || !strings.Contains(output, "Overall exposure level") {
		lines := slices.DeleteFunc(strings.Split(output, "\n"), func(line string) bool { return !strings.Contains(line, "✗") && !strings.Contains(line, "→") })
		t.Errorf("%v\n%s", err, strings.Join(lines, "\n"))
	}
}
