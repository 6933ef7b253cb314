package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"latchkey/db/dbtest"
)

const strongSecret = "9fQ2xL7vRt0bNwZ4kYc1mHd8sJp3gUe6aViOqX5T"

// inProduction is an environment in which production starts, with some of it changed: the last of a name counts.
func inProduction(databaseURL string, changes ...string) []string {
	return append([]string{
		"MODE=production", "SECRET=" + strongSecret, "PUBLIC_URL=https://auth.example.com", "DATABASE_URL=" + databaseURL,
		"LOG_FORMAT=text", "SHUTDOWN_DELAY=0s",
	}, changes...)
}

// refused runs a server that must not start, and returns the lines that say why.
func refused(t *testing.T, environment []string) []string {
	t.Helper()
	cmd := command(t, "")
	cmd.Env = append(cmd.Env, environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop() // where it does start
	if exit, ok := errors.AsType[*exec.ExitError](cmd.Wait()); !ok || exit.ExitCode() != 1 {
		t.Fatalf("got %v, want status 1: %s", cmd.ProcessState, stderr.String())
	}
	want(t, "secrets shown", strings.Contains(stderr.String(), "canary"), false)
	return strings.Split(strings.TrimSpace(stderr.String()), "\n")
}

func execute(t *testing.T, databaseURL, statement string) {
	t.Helper()
	if _, err := dbtest.Open(t, databaseURL).Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestEachLineOfTheGuardKeepsProductionFromStarting(t *testing.T) {
	server := dbtest.PostgresServer(t)
	url := server.URL()
	start(t, url, inProduction(url)...) // with nothing broken it does
	guessable := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(guessable, []byte(strings.Repeat("canary-", 6)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, broken := range []struct{ setting, line string }{
		{"SECRET=", "SECRET: got nothing, takes at least 32 bytes"},
		{"SECRET=" + strings.Repeat("canary-", 6), "SECRET: got a value of 42 bytes, which is not shown, takes at least 32 bytes"},
		{"SECRET=\nSECRET_FILE=" + guessable, "SECRET_FILE: got a value of 42 bytes, which is not shown"},
		{"PGHOST=db.example.com", "PGHOST: got a value, takes none in production"},
		{"PUBLIC_URL=http://auth.example.com", `PUBLIC_URL: got "http://auth.example.com", takes an http or https URL without user, query and fragment, in production https`},
		{"DATABASE_URL=postgres://ada:canary@db.example.com/x?sslmode=require", "in production with sslmode=verify-full or verify-ca unless on this machine"},
		{"ALLOWED_ORIGINS=*", `ALLOWED_ORIGINS: got "*"`},
	} {
		lines := refused(t, inProduction(url, strings.Split(broken.setting, "\n")...))
		want(t, broken.setting+": lines", len(lines), 1)
		want(t, lines[0], strings.HasPrefix(lines[0], "latchkey: ") && strings.Contains(lines[0], broken.line), true)
	}
	for _, broken := range []struct {
		name        string
		spoil, mend []string
		line        string
	}{
		{"fsync", []string{"ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"}, []string{"ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()"}, "has fsync off"},
		{"synchronous_commit", []string{"ALTER DATABASE postgres SET synchronous_commit = off"}, []string{"ALTER DATABASE postgres RESET synchronous_commit"}, "has synchronous_commit off"},
		{"read only", []string{"ALTER DATABASE postgres SET default_transaction_read_only = on"}, []string{"BEGIN READ WRITE; ALTER DATABASE postgres RESET default_transaction_read_only; COMMIT"}, "takes no writes"},
	} {
		for _, statement := range broken.spoil {
			execute(t, url, statement)
		}
		awaitSetting(t, url, broken.name)
		lines := refused(t, inProduction(url))
		want(t, broken.name+": lines", len(lines), 1)
		want(t, lines[0], strings.HasPrefix(lines[0], "latchkey: DATABASE_URL: the database "+broken.line), true)
		p := start(t, url, "SECRET="+strongSecret) // development does
		_ = p.cmd.Process.Kill()
		<-p.exited
		for _, statement := range broken.mend {
			execute(t, url, statement)
		}
	}
	server.Recover(t)
	lines := refused(t, inProduction(url))
	want(t, "lines", strings.Join(lines, "\n"), "latchkey: DATABASE_URL: the database takes no writes, as a read replica does not; name the primary, or all hosts with target_session_attrs=read-write; or reset default_transaction_read_only")
}

// awaitSetting waits until a configuration that was reloaded counts: it does so a moment later.
func awaitSetting(t *testing.T, url, name string) {
	t.Helper()
	for value := "on"; name == "fsync" && value != "off"; {
		if err := dbtest.Open(t, url).QueryRow(`SHOW fsync`).Scan(&value); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProductionSaysAtOnceAllThatIsUnsafe(t *testing.T) {
	url := dbtest.PostgresServer(t).URL()
	execute(t, url, "ALTER DATABASE postgres SET synchronous_commit = off")
	execute(t, url, "ALTER DATABASE postgres SET default_transaction_read_only = on")
	claims := filepath.Join(t.TempDir(), "claims.json")
	if err := os.WriteFile(claims, []byte(`[]`), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := refused(t, inProduction(url, "SECRET=", "PUBLIC_URL=http://a.example.com", "ALLOWED_ORIGINS=https://*.example.com", "CLAIMS_FILE="+claims, "DATABASE_TIMEOUT=5"))
	var names []string
	for _, line := range lines {
		names = append(names, strings.SplitN(strings.TrimPrefix(line, "latchkey: "), ":", 2)[0])
	}
	want(t, "lines", strings.Join(names, " "), "DATABASE_TIMEOUT SECRET PUBLIC_URL ALLOWED_ORIGINS CLAIMS_FILE DATABASE_URL DATABASE_URL")
}

// examine runs the doctor and returns what it says and whether something is bad.
func examine(t *testing.T, environment ...string) (string, bool) {
	t.Helper()
	cmd := command(t, "", "doctor")
	cmd.Env = append(cmd.Env, environment...)
	output, err := cmd.Output()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		t.Fatal(err)
	}
	return string(output), err != nil
}

func TestTheDoctorSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	server := dbtest.PostgresServer(t)
	url := server.URL()
	environment := inProduction(url)
	said, bad := examine(t, append(environment, "MIGRATE=off")...)
	want(t, "on an empty database, with MIGRATE=off: bad in "+said, bad && strings.Contains(said, "no server starts"), true)
	said, bad = examine(t, environment...)
	want(t, "on an empty database: bad", bad, false)
	want(t, said, strings.Contains(said, "run `latchkey migrate`"), true)
	p := start(t, url, environment...)
	said, bad = examine(t, environment...)
	want(t, "beside a server: bad", bad, false)
	for _, line := range []string{`ok +settings`, `ok +database +PostgreSQL \d+.* answers in`, `ok +clock`, `ok +migrations +the schema is up to date`, `ok +keys +the signing key is`, `ok +keys +the refresh key is`} {
		want(t, line+" in "+said, regexp.MustCompile(line).MatchString(said), true)
	}
	_ = p.cmd.Process.Kill()
	<-p.exited

	claims := filepath.Join(t.TempDir(), "claims.json")
	if err := os.WriteFile(claims, []byte(`{"SUB": "x"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, url, "ALTER DATABASE postgres SET synchronous_commit = off")
	execute(t, url, "UPDATE keys SET created_at = created_at - interval '50 days', active_at = active_at - interval '50 days' WHERE kind = 'signing'")
	for _, test := range []struct {
		setting, line string
		bad           bool
	}{
		{"", `bad +database +has synchronous_commit off`, true},
		{"MODE=development", `warn +database +has synchronous_commit off`, false},
		{"MODE=development", `warn +keys +the signing key is 50 days old, and KEY_ROTATION is 30 days`, false},
		{"SECRET=0" + strongSecret[1:], `bad +SECRET +the keys in the database were sealed with another secret`, true},
		{"LISTEN=nonsense", `bad +LISTEN +got "nonsense"`, true},
		{"CLAIMS_FILE=" + claims, `bad +CLAIMS_FILE +has the claim sub`, true},
		{"MODE=development\nPUBLIC_URL=", `warn +PUBLIC_URL +in production got nothing`, false},
		{"DATABASE_URL=postgres://ada:canary@127.0.0.1:1/x", `bad +database +open database: .*refused`, true},
	} {
		said, bad := examine(t, append(environment, strings.Split(test.setting, "\n")...)...)
		want(t, test.line+" in "+said, regexp.MustCompile(test.line).MatchString(said), true)
		want(t, test.setting+": bad in "+said, bad, test.bad)
		want(t, "secrets shown", strings.Contains(said, "canary") || strings.Contains(said, strongSecret), false)
	}
	folder := t.TempDir()
	said, bad = examine(t, "DATABASE_URL=sqlite:"+filepath.Join(folder, "none", "none"))
	want(t, "no such folder: bad in "+said, bad, true)
	said, _ = examine(t, "DATABASE_URL=sqlite:"+filepath.Join(folder, "none"))
	want(t, said, strings.Contains(said, "there is none yet"), true)
	files, err := os.ReadDir(folder)
	want(t, "made by the doctor", len(files), 0)
	want(t, "read", err, nil)
}

func TestWithMIGRATEOffOnlyTheCommandMigrates(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		lines := refused(t, []string{"DATABASE_URL=" + url, "SECRET=" + secret, "MIGRATE=off"})
		want(t, "refused", regexp.MustCompile("^latchkey: MIGRATE: it is off, and the database lacks [0-9]+ migrations: run `latchkey migrate` first$").MatchString(lines[0]), true)
		for range 2 {
			if output, err := command(t, url, "migrate").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
		}
		start(t, url, "MIGRATE=off").signUp(t)
	})
}

func TestTheVersionIsShown(t *testing.T) {
	stamped := filepath.Join(t.TempDir(), "latchkey")
	if output, err := exec.Command("go", "build", "-ldflags", "-X main.version=v1.2.3", "-o", stamped, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	output, err := exec.Command(stamped, "--version").Output()
	want(t, string(output), strings.HasPrefix(string(output), "latchkey v1.2.3 go1."), err == nil)
}

func TestHealthIsAskedByCommand(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	p := start(t, proxy.URL(), "DATABASE_TIMEOUT=500ms")
	health := func() (string, error) {
		cmd := command(t, proxy.URL(), "health")
		cmd.Env = append(cmd.Env, "LISTEN="+strings.TrimPrefix(p.url, "http://"))
		output, err := cmd.CombinedOutput()
		return string(output), err
	}
	if output, err := health(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	proxy.Refuse()
	output, err := health()
	want(t, output, output == "latchkey: not ready: the database does not answer\n", err != nil)
	_ = p.cmd.Process.Kill()
	<-p.exited
	output, err = health()
	want(t, output, strings.Contains(output, "connection refused"), err != nil)
}

func TestAServerThatStopsTakesRequestsForAWhile(t *testing.T) {
	p := start(t, dbtest.SQLite(t), "SHUTDOWN_DELAY=700ms")
	p.signUp(t)
	get := func(path string) (int, string, bool) {
		response, err := http.Get(p.url + path)
		if err != nil {
			return 0, err.Error(), false
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		return response.StatusCode, string(body), response.Close
	}
	if status, body, _ := get("/readyz"); status != http.StatusOK {
		t.Fatal(body)
	}
	told := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	for { // until it has heard
		status, body, _ := get("/readyz")
		if status == http.StatusServiceUnavailable {
			want(t, "not ready", body, "shutting down\n")
			break
		}
		want(t, body, status, http.StatusOK)
	}
	want(t, "at once", time.Since(told) < 500*time.Millisecond, true)
	status, _, last := get("/healthz")
	want(t, "still answers, for the last time on this connection", fmt.Sprint(status, last), "200 true")
	p.login(t, "ada@example.com", password)
	if err := <-p.exited; err != nil {
		t.Fatalf("%v: %s", err, p.output())
	}
	want(t, "after the delay", time.Since(told) >= 700*time.Millisecond, true)
}
