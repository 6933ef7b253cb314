package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"latchkey/db/dbtest"
	"latchkey/internal/leaks"
)

// program is the built server. These tests are about processes: what starts, what is printed, what a
// signal and a kill do.
var program string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "latchkey-program-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(folder, "latchkey")
	if output, err := exec.Command("go", "build", "-o", program, "server.go").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s", output)
		os.Exit(1)
	}
	dbtest.Main(m, func() { _ = os.RemoveAll(folder) })
}

const (
	secret   = "a secret of the test's own, long enough"
	password = "correct horse battery staple"
)

func command(t *testing.T, databaseURL string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+databaseURL, "LISTEN=127.0.0.1:0")
	if !strings.HasPrefix(databaseURL, "sqlite:") {
		cmd.Env = append(cmd.Env, "SECRET="+secret)
	}
	return cmd
}

// process is a running server.
type process struct {
	cmd *exec.Cmd
	url string

	mu     sync.Mutex
	log    bytes.Buffer
	exited chan error
}

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

func start(t *testing.T, databaseURL string, environment ...string) *process {
	t.Helper()
	p := &process{cmd: command(t, databaseURL), exited: make(chan error, 1)}
	p.cmd.Env = append(p.cmd.Env, environment...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	urls := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			leaks.Scan("log", lines.Bytes())
			p.mu.Lock()
			p.log.WriteString(lines.Text() + "\n")
			p.mu.Unlock()
			if found := listening.FindStringSubmatch(lines.Text()); found != nil {
				urls <- found[1]
			}
		}
		close(urls)
		p.exited <- p.cmd.Wait()
	}()
	var ok bool
	if p.url, ok = <-urls; !ok {
		t.Fatalf("did not start: %s", p.output())
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// ask sends an operation and returns the member of data that is named result.
func (p *process) ask(t *testing.T, query, accessToken string) map[string]any {
	t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/graphql", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+accessToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Data   struct{ Result map[string]any }
		Errors []any
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Errors) > 0 {
		t.Fatalf("%s: %v", query, answer.Errors)
	}
	return answer.Data.Result
}

const tokens = `{ ... on AuthSuccess { accessToken refreshToken } ... on AuthFailure { code endReason } }`

func (p *process) signUp(t *testing.T) map[string]any {
	t.Helper()
	return p.ask(t, `mutation { result: signUp(input: {email: "ada@example.com", password: "`+password+`"}) `+tokens+` }`, "")
}

func (p *process) login(t *testing.T, email, password string) map[string]any {
	t.Helper()
	return p.ask(t, `mutation { result: login(input: {email: "`+email+`", password: "`+password+`"}) `+tokens+` }`, "")
}

func (p *process) refresh(t *testing.T, token any) map[string]any {
	t.Helper()
	return p.ask(t, fmt.Sprintf(`mutation { result: refreshToken(input: {refreshToken: "%s"}) %s }`, token, tokens), "")
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

func TestASecondSignalEndsAServerThatIsStillFinishing(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	p := start(t, proxy.URL())
	proxy.Freeze()
	go func() { // an answer that does not come
		body := strings.NewReader(`{"query":"mutation { signUp(input: {email: \"ada@example.com\", password: \"` + password + `\"}) { __typename } }"}`)
		if response, err := http.Post(p.url+"/graphql", "application/json", body); err == nil {
			_ = response.Body.Close()
		}
	}()
	proxy.AwaitHeld()
	for _, ready := range []bool{true, false} {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		for ready { // until the first signal has been heard
			probe, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
			if ready = err == nil; ready {
				_ = probe.Close()
			}
		}
	}
	exit, ok := errors.AsType[*exec.ExitError](<-p.exited)
	want(t, "ended by the signal", ok && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGTERM, true)
}

func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		p := start(t, url)
		first := p.signUp(t)
		second := p.refresh(t, first["refreshToken"])
		_ = p.cmd.Process.Kill()
		<-p.exited

		p = start(t, url)
		again := p.refresh(t, first["refreshToken"])
		want(t, "same successor", again["refreshToken"], second["refreshToken"])
		want(t, "signed in", p.ask(t, `{ result: me { email } }`, second["accessToken"].(string))["email"], any("ada@example.com"))
		third := p.refresh(t, second["refreshToken"])
		want(t, "revoked", p.ask(t, `mutation { result: revokeSession { revoked } }`, third["accessToken"].(string))["revoked"], any(true))
		_ = p.cmd.Process.Kill()
		<-p.exited

		p = start(t, url)
		want(t, "still over", p.refresh(t, third["refreshToken"])["endReason"], any("SIGNED_OUT"))
	})
}

func TestAServerThatIsToldToStopWritesItsConfirmations(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		dbtest.Each(t, func(t *testing.T, url string) {
			p := start(t, url)
			first := p.signUp(t)
			second := p.refresh(t, first["refreshToken"])
			p.ask(t, `{ result: me { email } }`, second["accessToken"].(string))
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if err := <-p.exited; err != nil {
				t.Fatalf("%v: %s", err, p.output())
			}
			want(t, "stopped", strings.Contains(p.output(), "msg=stopped"), true)
			want(t, "confirmed generation", confirmedGeneration(t, url), 2)
		})
	}
}

func confirmedGeneration(t *testing.T, databaseURL string) (generation int) {
	t.Helper()
	if err := dbtest.Open(t, databaseURL).QueryRow(`SELECT confirmed_generation FROM sessions`).Scan(&generation); err != nil {
		t.Fatal(err)
	}
	return generation
}

func TestMetricsAreOnAListenerOfTheirOwn(t *testing.T) {
	p := start(t, dbtest.SQLite(t), "METRICS_LISTEN=127.0.0.1:0")
	p.refresh(t, "lkr1.x")
	metrics := regexp.MustCompile(`msg=metrics url=(\S+)`).FindStringSubmatch(p.output())[1]
	for url, counted := range map[string]bool{metrics: true, p.url + "/metrics": false} {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		want(t, url, strings.Contains(string(text), `latchkey_refusals_total{kind="INVALID_REFRESH_TOKEN"} 1`), counted && err == nil)
	}
}

func TestTheSchemaAndTheExplorerAreServedOnlyWithIntrospection(t *testing.T) {
	for environment, status := range map[string]int{"MODE=development": http.StatusOK, "INTROSPECTION=off": http.StatusNotFound} {
		p := start(t, dbtest.SQLite(t), environment)
		for _, path := range []string{"/schema.graphql", "/"} {
			response, err := http.Get(p.url + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			want(t, environment+" "+path, response.StatusCode, status)
		}
	}
}

func TestServersShareOneDatabase(t *testing.T) {
	url := dbtest.Postgres(t)
	one, two := start(t, url), start(t, url)
	first := one.signUp(t)
	second := two.refresh(t, first["refreshToken"])
	want(t, "same successor", one.refresh(t, first["refreshToken"])["refreshToken"], second["refreshToken"])
	want(t, "revoked", one.ask(t, `mutation { result: revokeSession { revoked } }`, first["accessToken"].(string))["revoked"], any(true))
	want(t, "over", two.refresh(t, second["refreshToken"])["code"], any("SESSION_ENDED"))
}

func TestOperatorsAddListAndDisableUsers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		operate := func(input string, args ...string) (string, error) {
			cmd := command(t, url, args...)
			cmd.Stdin = strings.NewReader(input)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			output, err := cmd.Output()
			if _, failed := errors.AsType[*exec.ExitError](err); failed {
				err = errors.New(stderr.String())
			}
			return string(output), err
		}
		p := start(t, url)
		signedIn := p.signUp(t)
		if output, err := operate(password+"\n", "user", "add", "Grace@example.com"); err != nil || !strings.HasPrefix(output, "added Grace@example.com, id ") {
			t.Fatalf("%s, %v", output, err)
		}
		for _, refused := range []struct {
			input, message string
			args           []string
		}{
			{"short\n", "at least 15 characters", []string{"user", "add", "b@example.com"}},
			{password + "\n", "has an account", []string{"user", "add", "grace@EXAMPLE.com"}},
			{password + "\n", "not an e-mail address", []string{"user", "add", "grace"}},
			{password + "\n" + password + "\n", "several lines", []string{"user", "add", "b@example.com"}},
			{"", "nobody has this address", []string{"user", "disable", "b@example.com"}},
			{"", "unknown command", []string{"user", "remove", "b@example.com"}},
			{"", "unknown command", []string{"user"}},
			{"", "a role is USER or ADMIN", []string{"user", "set-role", "grace@example.com", "admin"}},
		} {
			_, err := operate(refused.input, refused.args...)
			if err == nil || !strings.Contains(err.Error(), refused.message) || strings.Count(err.Error(), "\n") != 1 {
				t.Fatalf("%v: got %v, want %q in one line", refused.args, err, refused.message)
			}
			want(t, "password shown", strings.Contains(err.Error(), password), false)
		}
		output, err := operate("", "user", "disable", "ada@example.com")
		if err != nil {
			t.Fatal(err)
		}
		want(t, "disabled", output, "disabled ada@example.com, sessions ended: 1\n")
		want(t, "the running server knows", p.refresh(t, signedIn["refreshToken"])["endReason"], any("USER_DISABLED"))
		for _, step := range []struct{ output, input, args string }{
			{"enabled ada@example.com\n", "", "enable ada@example.com"},
			{"disabled ada@example.com, sessions ended: 0\n", "", "disable ada@example.com"},
			{"added root@example.com, id ", password + "\n", "add --admin root@example.com"},
			{"Grace@example.com is ADMIN\n", "", "set-role grace@example.com ADMIN"},
			{"Grace@example.com is USER\n", "", "set-role grace@example.com USER"},
		} {
			output, err := operate(step.input, append([]string{"user"}, strings.Fields(step.args)...)...)
			if err != nil || !strings.HasPrefix(output, step.output) {
				t.Fatalf("%s: got %q, %v", step.args, output, err)
			}
		}
		_, err = operate("", "user", "set-role", "root@example.com", "USER")
		want(t, "the last administrator", err.Error(), "latchkey: set role: no administrator would be left\n")
		output, err = operate("", "user", "list")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(output), "\n")
		want(t, "lines", len(lines), 4)
		want(t, "first", strings.Join(strings.Fields(lines[1])[:3], " "), "ada@example.com USER disabled")
		want(t, "second", strings.Join(strings.Fields(lines[2])[:3], " "), "Grace@example.com USER enabled")
		want(t, "third", strings.Join(strings.Fields(lines[3])[:3], " "), "root@example.com ADMIN enabled")
	})
}

func TestHelpNamesCommandsAndVariables(t *testing.T) {
	for _, flag := range []string{"--help", "-h", "help"} {
		output, err := command(t, "nonsense", flag).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"user add [--admin] EMAIL", "user list", "user set-role EMAIL ROLE", "user disable EMAIL", "user enable EMAIL", "user import FILE", "user export", "DATABASE_URL", "SECRET", "REFRESH_GRACE"} {
			want(t, name, strings.Contains(string(output), name), true)
		}
	}
}

func TestAWrongSettingIsOneLineAndStatusOne(t *testing.T) {
	sqlite := dbtest.SQLite(t)
	p := start(t, sqlite)
	p.signUp(t)
	for setting, line := range map[string]string{
		"MODE=staging":     `latchkey: MODE: got "staging", takes development or production`,
		"LISTEN=localhost": `latchkey: LISTEN: got "localhost", takes host:port, in development of this machine only, such as localhost:8080`,
		"LISTEN=" + strings.TrimPrefix(p.url, "http://"): `latchkey: LISTEN: listen tcp ` + strings.TrimPrefix(p.url, "http://") + `: bind: address already in use`,
		"SECRET=" + strings.Repeat("x", 32):              `latchkey: SECRET: open key ring: the keys in the database were sealed with another secret`,
	} {
		cmd := command(t, sqlite)
		cmd.Env = append(cmd.Env, setting)
		var stderr bytes.Buffer
		cmd.Stderr, cmd.Stdout = &stderr, io.Discard
		err := cmd.Run()
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok || exit.ExitCode() != 1 {
			t.Fatalf("%s: got %v, want status 1", setting, err)
		}
		want(t, setting, stderr.String(), line+"\n")
	}
}

// What changes from run to run. The README shows what was really printed on one.
var changing = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+\.[\w-]+|lkr1\.[\w-]{96}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

func TestTheCallsOfTheREADMEPrintWhatItShows(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	calls := regexp.MustCompile("(?s)```sh\n(.*?)```\n```json\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	want(t, "calls", len(calls), 6)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("curl is not installed, with which the README shows how to call the server")
	}
	p := start(t, dbtest.SQLite(t))
	var script, shown strings.Builder
	for _, call := range calls {
		script.WriteString(strings.ReplaceAll(call[1], "localhost:8080", strings.TrimPrefix(p.url, "http://")) + "\n")
		shown.WriteString(call[2])
	}
	printed, err := exec.CommandContext(t.Context(), "sh", "-c", script.String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	squeeze := func(text string) string {
		return changing.ReplaceAllString(strings.Join(strings.Fields(text), " "), "…")
	}
	want(t, "printed", squeeze(string(printed)), squeeze(shown.String()))
}
