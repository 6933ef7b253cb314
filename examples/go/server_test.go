package main_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"

	"github.com/Khan/genqlient/graphql"

	"latchkey/examples/go/session"
)

// The built programs. These tests are about what a client sees of a real server.
var latchkey, cli string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "latchkey-example-")
	if err != nil {
		panic(err)
	}
	latchkey, cli = filepath.Join(folder, "latchkey"), filepath.Join(folder, "latchkey-cli")
	build(latchkey, filepath.Join("..", ".."))
	build(cli, ".")
	code := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(code)
}

func build(program, folder string) {
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = folder
	if output, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s", output)
		os.Exit(1)
	}
}

// each runs a test on SQLite and, where LATCHKEY_TEST_POSTGRES is the URL of an empty database, on PostgreSQL.
func each(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, "sqlite:"+filepath.Join(t.TempDir(), "latchkey.db"))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		databaseURL := os.Getenv("LATCHKEY_TEST_POSTGRES")
		if databaseURL == "" {
			t.Skip("LATCHKEY_TEST_POSTGRES is not set")
		}
		test(t, databaseURL)
	})
}

var listening = regexp.MustCompile(`msg=listening url=(\S+)`)

// start starts a server, and returns its GraphQL endpoint.
func start(t *testing.T, databaseURL string) (endpoint string) {
	t.Helper()
	endpoint, _ = startWith(t, databaseURL, "5m")
	return endpoint
}

// startWith starts a server whose access tokens live for as long as lifetime says. It runs until stop or the test's end.
func startWith(t *testing.T, databaseURL, lifetime string) (endpoint string, stop func()) {
	t.Helper()
	cmd := exec.Command(latchkey)
	cmd.Env = []string{"DATABASE_URL=" + databaseURL, "LISTEN=127.0.0.1:0", "PUBLIC_URL=http://localhost:8080", "ACCESS_TOKEN_TTL=" + lifetime}
	if os.Getenv("LATCHKEY_TEST_POSTGRES") == databaseURL {
		cmd.Env = append(cmd.Env, "SECRET=a secret of the test's own, long enough")
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addresses := make(chan string, 1)
	ended := make(chan struct{})
	var log bytes.Buffer
	go func() {
		defer close(ended)
		defer close(addresses)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			if found := listening.FindStringSubmatch(lines.Text()); found != nil {
				addresses <- found[1]
			}
		}
	}()
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		<-ended // before its folder is removed
		_ = cmd.Wait()
	})
	t.Cleanup(stop)
	address, ok := <-addresses
	if !ok {
		t.Fatalf("did not start: %s", log.String())
	}
	return address + "/graphql", stop
}

// proxy stands before a server. It sees which refresh tokens are presented, and does to requests what networks do.
type proxy struct {
	endpoint string
	server   *httputil.ReverseProxy

	mu        sync.Mutex
	presented []string
	faults    []fault // of the next refreshes, each of one
	down      fault   // of all requests, while it is not nil
}

// fault answers a request, or does not. server answers it as the server does.
type fault func(w http.ResponseWriter, r *http.Request, server http.Handler)

func newProxy(t *testing.T, endpoint string) *proxy {
	t.Helper()
	p := &proxy{server: &httputil.ReverseProxy{}}
	p.to(t, endpoint)
	listener := httptest.NewServer(p)
	t.Cleanup(listener.Close)
	p.endpoint = listener.URL + "/graphql"
	return p
}

// to makes it stand before another server. Nobody may be asking it.
func (p *proxy) to(t *testing.T, endpoint string) {
	t.Helper()
	server, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	server.Path = ""
	p.server.Rewrite = func(r *httputil.ProxyRequest) { r.SetURL(server) }
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var request struct {
		OperationName string
		Variables     struct{ RefreshToken string }
	}
	_ = json.Unmarshal(body, &request)
	if fault := p.next(request.OperationName == "Refresh", request.Variables.RefreshToken); fault != nil {
		fault(w, r, p.server)
		return
	}
	p.server.ServeHTTP(w, r)
}

func (p *proxy) next(refresh bool, token string) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if refresh {
		p.presented = append(p.presented, token)
		if len(p.faults) > 0 {
			next := p.faults[0]
			p.faults = p.faults[1:]
			return next
		}
	}
	return p.down
}

// fail gives the next refreshes a fault each.
func (p *proxy) fail(faults ...fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults
}

// always gives all requests a fault, until it is nil.
func (p *proxy) always(down fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

// refreshes returns the tokens of the refreshes that there were.
func (p *proxy) refreshes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.presented)
}

// answers is a server, or what stands before it, that says something else.
func answers(status int, body string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut is a connection that breaks when the server has done its work, after a part of its answer.
func cut(part int) fault {
	return func(w http.ResponseWriter, r *http.Request, server http.Handler) {
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, r)
		if part > 0 {
			w.Header().Set("Content-Length", fmt.Sprint(answer.Body.Len()))
			_, _ = w.Write(answer.Body.Bytes()[:part])
			_ = http.NewResponseController(w).Flush()
		}
		panic(http.ErrAbortHandler)
	}
}

const password = "correct horse battery staple"

func newEmail() string { return "ada-" + rand.Text() + "@example.com" }

// signUp returns the session of a new account.
func signUp(t *testing.T, endpoint string, store session.Store) *session.Session {
	t.Helper()
	s, err := session.SignUp(t.Context(), session.Settings{Endpoint: endpoint, Store: store}, newEmail(), password, "terminal")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain is a client that sends an access token, and does nothing else.
func plain(endpoint, accessToken string) graphql.Client {
	return graphql.NewClient(endpoint, doer(func(r *http.Request) (*http.Response, error) {
		r.Header.Set("Authorization", "Bearer "+accessToken)
		return http.DefaultClient.Do(r)
	}))
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}
