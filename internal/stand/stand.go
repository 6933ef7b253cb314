// Package stand gives tests a server as people run it, a built process on a database of its own, behind a proxy that fails
// when it is told to. Programs of Node.js drive all of it over HTTP (Control): they stop the server, take its database
// away and lose its answers, while a page in a browser goes on. It is for tests only.
package stand

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"latchkey/db/dbtest"
)

// program is the server that Main built for all stands of a test binary.
var program string

// Main builds the server, runs a package's tests, and exits as dbtest.Main does. TestMain calls it.
func Main(m *testing.M) {
	folder, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	dbtest.Main(m, func() { _ = os.RemoveAll(folder) })
}

func build() (folder string, err error) {
	folder, err = os.MkdirTemp("", "latchkey-stand-")
	if err != nil {
		return "", err
	}
	program = filepath.Join(folder, "latchkey")
	cmd := exec.Command("go", "build", "-o", program, "server.go")
	cmd.Dir = Root()
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("build the server: %w: %s", err, output), os.RemoveAll(folder))
	}
	return folder, nil
}

// lookAtSources looks at every source of the module. go test remembers the outcome of tests until something changes that
// they looked at, and these depend on what other programs read: the server's sources, pages, tests in JavaScript.
var lookAtSources = sync.OnceValue(func() error {
	return filepath.WalkDir(Root(), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == ".git") {
			return filepath.SkipDir
		}
		return err
	})
})

// Root returns the module's folder, where node_modules is.
var Root = sync.OnceValue(func() string {
	module, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		panic(fmt.Errorf("go env GOMOD: %w", err))
	}
	return filepath.Dir(strings.TrimSpace(string(module)))
})

// Options are what a stand is made of. One of DatabaseURL and Postgres must be there.
type Options struct {
	DatabaseURL string
	Postgres    *dbtest.Server // a server of the test's own, which the stand may stop and start
	Origins     int            // how many origins there are for pages, all in ALLOWED_ORIGINS
	Env         []string       // for the server, each NAME=value
	NodeEnv     []string       // for programs of Node.js
}

// Stand is a running server and what is around it.
type Stand struct {
	URL     string   // of the proxy, the same for as long as the stand lives: http://localhost:PORT
	Control string   // URL of the control
	Origins []string // of pages: http://localhost:PORT

	server   *server
	proxy    *proxy
	postgres *dbtest.Server
	nodeEnv  []string
	t        testing.TB
	one      sync.Mutex // held while the control changes the server or the database

	mu      sync.Mutex
	folders map[int]string // which pages are served on an origin
}

// Start starts a stand, until the test ends. The server has LOG_LEVEL=debug, and all that it says is searched for secrets
// (package leaks).
func Start(t testing.TB, options Options) *Stand {
	t.Helper()
	if program == "" {
		t.Fatal("the server is not built: TestMain must call stand.Main")
	}
	if err := lookAtSources(); err != nil && !errors.Is(err, fs.ErrNotExist) { // somebody may be removing a file just now
		t.Fatal(err)
	}
	s := &Stand{t: t, postgres: options.Postgres, nodeEnv: options.NodeEnv, folders: map[int]string{}}
	databaseURL := options.DatabaseURL
	if databaseURL == "" && s.postgres != nil {
		databaseURL = s.postgres.URL()
	}
	address := freeAddress(t)
	s.proxy = newProxy("http://" + address)
	front := httptest.NewUnstartedServer(s.proxy)
	// Each request has a connection of its own. A browser that loses one which it used before sends the request again
	// without a word to the page, a POST too, and a lost answer would be none.
	front.Config.SetKeepAlivesEnabled(false)
	front.Start()
	s.URL = byName(front)
	var pages []*httptest.Server
	for i := range options.Origins {
		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.servePage(w, r, i) }))
		pages = append(pages, page)
		s.Origins = append(s.Origins, byName(page))
	}
	environment := []string{
		"DATABASE_URL=" + databaseURL, "LISTEN=" + address, "PUBLIC_URL=" + s.URL, "LOG_LEVEL=debug",
		"ALLOWED_ORIGINS=" + strings.Join(s.Origins, ","),
	}
	if !strings.HasPrefix(databaseURL, "sqlite:") {
		environment = append(environment, "SECRET=a secret of the test's own, long enough")
	}
	s.server = &server{address: address, environment: append(environment, options.Env...)}
	control := httptest.NewServer(s.control())
	s.Control = control.URL
	t.Cleanup(func() {
		control.Close()
		for _, listening := range append(pages, front) {
			listening.CloseClientConnections()
			listening.Close()
		}
		s.one.Lock()
		defer s.one.Unlock()
		s.server.end()
		if t.Failed() {
			t.Logf("the end of the server's log:\n%s", s.server.log.tail())
		}
	})
	if err := s.server.start(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// Serve serves the files of a folder on one of the origins, in place of what was served there before. A path that has no
// file is answered with index.html, as pages want that have many paths and one file.
func (s *Stand) Serve(origin int, folder string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.folders[origin] = folder
}

func (s *Stand) servePage(w http.ResponseWriter, r *http.Request, origin int) {
	s.mu.Lock()
	folder, ok := s.folders[origin]
	s.mu.Unlock()
	if !ok {
		http.Error(w, "no pages are served here yet", http.StatusNotFound)
		return
	}
	w.Header().Set("Cache-Control", "no-store") // the next folder may have other files
	files := os.DirFS(folder)
	if name := strings.TrimPrefix(r.URL.Path, "/"); name != "" {
		if file, err := files.Open(name); err == nil {
			_ = file.Close()
			http.ServeFileFS(w, r, files, name)
			return
		}
	}
	http.ServeFileFS(w, r, files, "/") // its index.html
}

// byName returns a server's URL by the name localhost: Chromium takes __Host- cookies from there, not from 127.0.0.1.
func byName(server *httptest.Server) string {
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// freeAddress returns an address on which nothing listens, so that a server can be started there again and again.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
