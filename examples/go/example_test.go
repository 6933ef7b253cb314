package main_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"latchkey/examples/go/session"
)

// command is a program with a settings folder and a server of its own.
type command struct {
	endpoint string
	folder   string
}

// run runs it, with the password on standard input, and returns all that it printed and its exit status.
func (c command) run(t *testing.T, args ...string) (printed string, status int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), cli, args...)
	cmd.Env = []string{"LATCHKEY_URL=" + c.endpoint, "HOME=" + c.folder, "XDG_CONFIG_HOME=" + c.folder}
	cmd.Stdin = strings.NewReader(password + "\n")
	output, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(output), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(output), 0
}

func (c command) want(t *testing.T, printed string, status int, args ...string) {
	t.Helper()
	got, exit := c.run(t, args...)
	want(t, strings.Join(args, " "), fmt.Sprintf("%s(%d)", got, exit), fmt.Sprintf("%s(%d)", printed, status))
}

// What differs from run to run.
var varying = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|20\d\d-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?`)

func TestTheReadmeShowsWhatIsPrinted(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(readme), "```console\n")
	shown, _, found := strings.Cut(shown, "```\n")
	want(t, "has a console", found, true)

	c := command{start(t, "sqlite:"+filepath.Join(t.TempDir(), "latchkey.db")), t.TempDir()}
	var printed strings.Builder
	for line := range strings.Lines(shown) {
		if args, typed := strings.CutPrefix(line, "$ latchkey-cli "); typed {
			output, _ := c.run(t, strings.Fields(args)...)
			printed.WriteString(line + output)
		}
	}
	want(t, "shown", varying.ReplaceAllString(shown, "…"), varying.ReplaceAllString(printed.String(), "…"))
}

func TestOneDeviceSignsAnotherOneOut(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		email := newEmail()
		laptop, desktop := command{p.endpoint, t.TempDir()}, command{p.endpoint, t.TempDir()}
		laptop.want(t, "opened an account for "+email+", and signed in\n", 0, "-device", "laptop", "signup", email)
		desktop.want(t, "signed in as "+email+"\n", 0, "-device", "desktop", "login", email)

		listed, status := desktop.run(t, "devices")
		want(t, "status", status, 0)
		id := regexp.MustCompile(`(\S+) +laptop `).FindStringSubmatch(listed)
		want(t, listed, len(id), 2)
		desktop.want(t, "signed that device out\n", 0, "revoke", id[1])
		laptop.want(t, "latchkey-cli: this device was signed out from another one. Sign in: latchkey-cli login EMAIL\n", 3, "whoami")
		laptop.want(t, "latchkey-cli: nobody is signed in. Sign in: latchkey-cli login EMAIL\n", 3, "whoami")
		desktop.want(t, "latchkey-cli: you have no live session with this ID: latchkey-cli devices lists them\n", 1, "revoke", id[1])
		_, status = desktop.run(t, "revoke", "laptop") // which is no ID
		want(t, "status", status, 1)

		p.always(answers(503, "no server"))
		for _, args := range [][]string{{"whoami"}, {"logout"}, {"login", email}} {
			desktop.want(t, "latchkey-cli: the server cannot be asked at present. Nothing is lost, try again later. (HTTP 503)\n", 4, args...)
		}
		p.always(answers(200, `{"data":{}}`))
		desktop.want(t, "latchkey-cli: this is not an answer of a Latchkey server\n", 1, "whoami")
		p.always(nil)
		listed, _ = desktop.run(t, "devices")
		id = regexp.MustCompile(`(\S+) +desktop .* this one`).FindStringSubmatch(listed)
		want(t, listed, len(id), 2)
		desktop.want(t, "signed out\n", 0, "revoke", id[1])
		desktop.want(t, "nobody was signed in\n", 0, "logout")
	})
}

func TestARefusalIsToldAndWrongUsageToo(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		c := command{start(t, databaseURL), t.TempDir()}
		email := newEmail()
		_, status := c.run(t, "login", email)
		want(t, "status of a login without an account", status, 1)
		c.want(t, "opened an account for "+email+", and signed in\n", 0, "signup", email)
		told, status := c.run(t, "signup", email)
		want(t, told, status == 1 && strings.HasSuffix(told, " If it is yours: latchkey-cli login EMAIL\n"), true)
		c.want(t, "latchkey-cli: wrong usage: no such command. All commands: latchkey-cli -help\n", 2, "signin")
		c.want(t, "latchkey-cli: wrong usage: flag provided but not defined: -x. All commands: latchkey-cli -help\n", 2, "-x")
		c.want(t, "latchkey-cli: wrong usage: the -url is no address such as https://auth.example.com/graphql. All commands: latchkey-cli -help\n", 2,
			"-url", "localhost", "whoami")
		_, status = c.run(t, "-url", "http://127.0.0.1:1/graphql", "login", email) // where nobody listens
		want(t, "status", status, 4)
		usage, status := c.run(t, "-help")
		want(t, "help", status == 0 && strings.Contains(usage, "revoke ID"), true)
	})
}

func TestTheNameOfADeviceCannotTurnTheListAround(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		c := command{start(t, databaseURL), t.TempDir()}
		email := newEmail()
		c.want(t, "opened an account for "+email+", and signed in\n", 0, "-device", "lap\u202etop", "signup", email)
		listed, _ := c.run(t, "devices")
		want(t, listed, strings.Contains(listed, " lap?top "), true)
	})
}

func TestTenProgramsAtOnceRefreshOnce(t *testing.T) {
	each(t, func(t *testing.T, databaseURL string) {
		p := newProxy(t, start(t, databaseURL))
		c := command{p.endpoint, t.TempDir()}
		email := newEmail()
		store := session.File{Path: filepath.Join(c.folder, "session.json")}
		c.want(t, "opened an account for "+email+", and signed in\n", 0, "-file", store.Path, "signup", email)
		reopen(t, session.Settings{Endpoint: p.endpoint, Store: store}, expired)
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				if printed, status := c.run(t, "-file", store.Path, "whoami"); status != 0 || !strings.HasPrefix(printed, email) {
					t.Errorf("%s (%d)", printed, status)
				}
			})
		}
		group.Wait()
		want(t, "refreshes", len(p.refreshes()), 1)
	})
}

func TestTheGeneratedCodeIsUpToDate(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	module := filepath.Join(root, "examples", "go")
	for _, folder := range []string{"api", "secret"} {
		if err := os.CopyFS(filepath.Join(module, folder), os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
	}
	for from, to := range map[string]string{
		filepath.Join("..", "..", "schema.graphqls"): filepath.Join(root, "schema.graphqls"),
		"go.mod": filepath.Join(module, "go.mod"),
		"go.sum": filepath.Join(module, "go.sum"),
	} {
		text, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "generate", "./...")
	cmd.Dir = module
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	committed, err := os.ReadFile(filepath.Join("api", "generated.go"))
	if err != nil {
		t.Fatal(err)
	}
	generated, err := os.ReadFile(filepath.Join(module, "api", "generated.go"))
	want(t, fmt.Sprintf("`go generate ./...` changes nothing (%v)", err), bytes.Equal(generated, committed), true)
}
