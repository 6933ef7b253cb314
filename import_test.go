package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"latchkey/db/dbtest"
)

// transfer runs a command and returns what it printed.
func transfer(t *testing.T, url string, args ...string) (stdout, stderr string, failed bool) {
	t.Helper()
	cmd := command(t, url, append([]string{"user"}, args...)...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	runErr := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](runErr); runErr != nil && !exited {
		t.Fatal(runErr)
	}
	return out.String(), err.String(), runErr != nil
}

func writeLines(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "users.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const argon2idHash = "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$"

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestUsersAreImportedAndBadLinesNamedWithoutBeingRepeated(t *testing.T) {
	hash := hashOf(t, password)
	argon2id := argon2idHash + strings.Repeat("A", 43)
	path := writeLines(t,
		`{"email":"Ada@example.com","name":"Ada","passwordHash":"`+hash+`","role":"ADMIN","createdAt":"2020-02-03T04:05:06.789Z"}`,
		`{"email":"canary","passwordHash":"`+hash+`"}`,
		`{"email":"plain@example.com","passwordHash":"canary-canary-canary"}`,
		``,
		`{"email":"ADA@example.com","passwordHash":"`+hash+`"}`,
		`{"email":"grace@example.com","passwordHash":"`+argon2id+`","disabledAt":"2021-01-01T00:00:00Z"}`,
		`canary`,
		`{"email":"x@example.com","passwordHash":"`+hash+`","admin":true}`,
		`{"email":"x@example.com","passwordHash":"`+hash+`","role":"ROOT"}`,
		`{"email":"x@example.com","passwordHash":"`+hash+`","createdAt":"2999-01-01T00:00:00Z"}`,
		`{"email":"x@example.com","passwordHash":"`+strings.Replace(argon2id, "m=8192", "m=999999", 1)+`"}`,
		`{"email":"x@example.com","passwordHash":"`+strings.Replace(hash, "$04$", "$31$", 1)+`"}`,
		`{"email":"x@example.com","passwordHash":"`+hash+`","name":"`+strings.Repeat("canary", 20_000)+`"}`,
		`{"email":"x@example.com"}`,
		`{"email":"last@example.com","passwordHash":"`+strings.Replace(hash, "$2a$", "$2y$", 1)+`"}`,
	)
	dbtest.Each(t, func(t *testing.T, url string) {
		stdout, stderr, failed := transfer(t, url, "import", path)
		want(t, "failed", failed, true)
		want(t, "summary", stdout, "added: 3, had an account already: 0, bad lines: 11\n")
		want(t, "nothing repeated", strings.Contains(stderr, "canary"), false)
		var numbers []string
		for _, found := range regexp.MustCompile(`(?m)^line (\d+): `).FindAllStringSubmatch(stderr, -1) {
			numbers = append(numbers, found[1])
		}
		want(t, "bad lines", strings.Join(numbers, " "), "2 3 5 7 8 9 10 11 12 13 14")
		want(t, "the same address", strings.Contains(stderr, "line 5: has the address of line 1\n"), true)

		stdout, _, _ = transfer(t, url, "import", path)
		want(t, "once more", stdout, "added: 0, had an account already: 3, bad lines: 11\n")

		p := start(t, url)
		want(t, "signed in", p.login(t, "ada@example.com", password)["accessToken"] != nil, true)
		want(t, "signed in", p.login(t, "last@example.com", password)["accessToken"] != nil, true)
		want(t, "barred", p.login(t, "grace@example.com", password)["code"], any("INVALID_CREDENTIALS"))

		exported, _, failed := transfer(t, url, "export")
		want(t, "failed", failed, false)
		want(t, "without hashes", strings.Contains(exported, "$"), false)
		want(t, "first", strings.SplitN(exported, "\n", 2)[0], `{"email":"Ada@example.com","name":"Ada","role":"ADMIN","createdAt":"2020-02-03T04:05:06.789Z"}`)
		exported, _, _ = transfer(t, url, "export", "--with-hashes")
		another := dbtest.SQLite(t)
		stdout, _, failed = transfer(t, another, "import", writeLines(t, exported))
		want(t, "taken elsewhere", fmt.Sprint(failed, stdout), "falseadded: 3, had an account already: 0, bad lines: 0\n")
		again, _, _ := transfer(t, another, "export", "--with-hashes")
		want(t, "the same", again, exported)
	})
}

func TestAnImportThatIsKilledAndDoneAgainEndsWithExactlyThoseUsers(t *testing.T) {
	if testing.Short() {
		t.Skip("100,000 users on two databases; `make test` does it")
	}
	const count = 100_000
	path := filepath.Join(t.TempDir(), "users.jsonl")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(file)
	hash := hashOf(t, password)
	for i := range count {
		_, _ = fmt.Fprintf(out, `{"email":"User%06d@example.com","passwordHash":"%s","createdAt":"2020-01-01T00:00:00Z"}`+"\n", i, hash)
	}
	if err := errors.Join(out.Flush(), file.Close()); err != nil {
		t.Fatal(err)
	}
	dbtest.Each(t, func(t *testing.T, url string) {
		transfer(t, url, "list") // so that there is a database to look into
		database := dbtest.Open(t, url)
		users := func() (count int) {
			t.Helper()
			if err := database.QueryRow(`SELECT COUNT(*) FROM users`).Scan(&count); err != nil {
				t.Fatal(err)
			}
			return count
		}
		cmd := command(t, url, "user", "import", path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(time.Minute)
		for users() < count/10 && time.Now().Before(deadline) {
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // its status is that of a killed process
		killedAt := users()
		want(t, fmt.Sprintf("killed in the middle, at %d", killedAt), killedAt >= count/10 && killedAt < count, true)
		stdout, stderr, failed := transfer(t, url, "import", path)
		want(t, "failed", fmt.Sprint(failed, stderr), "false")
		var added, present int
		if _, err := fmt.Sscanf(stdout, "added: %d, had an account already: %d, bad lines: 0\n", &added, &present); err != nil {
			t.Fatalf("%v: %s", err, stdout)
		}
		want(t, "lines", added+present, count)
		want(t, "taken up where it was killed", present >= killedAt, true) // the database may have finished one more batch
		exported, _, _ := transfer(t, url, "export")
		lines := strings.Split(strings.TrimSpace(exported), "\n")
		want(t, "users", len(lines), count)
		for i, line := range lines {
			want(t, "user", line, fmt.Sprintf(`{"email":"User%06d@example.com","role":"USER","createdAt":"2020-01-01T00:00:00Z"}`, i))
		}
	})
}
