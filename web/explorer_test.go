package web_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"latchkey/db/dbtest"
	"latchkey/internal/stand"
)

func TestAPersonUsesTheExplorerInARealBrowser(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		s := newExplorable(t, url)
		foreign := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, "<!doctype html><title>Foreign</title>")
		}))
		defer foreign.Close()
		byName := func(url string) string { return strings.Replace(url, "127.0.0.1", "localhost", 1) } // one site, two origins
		cmd := stand.NodeCommand(t, "conformance", "browser.mjs", stand.Chromium(t), byName(s.URL), byName(foreign.URL), stand.Screenshots(t))
		var stderr strings.Builder
		cmd.Stderr = &stderr
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			duration, err := time.ParseDuration(strings.TrimPrefix(lines.Text(), "advance "))
			if err != nil {
				t.Logf("%s", lines.Text())
				continue
			}
			s.clock.Advance(duration)
			_, _ = fmt.Fprintln(stdin)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, &stderr)
		}
	})
}

func (s *server) get(t *testing.T, path string, header ...string) *answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return s.do(t, request)
}

func TestTheExplorerLoadsOnlyWhatItNamesWithItsChecksum(t *testing.T) {
	s := newExplorable(t, dbtest.SQLite(t))
	page := s.get(t, "/")
	want(t, "status", page.Status, http.StatusOK)
	policy := page.Header.Get("Content-Security-Policy")
	want(t, "unsafe", strings.Contains(policy, "unsafe"), false)
	want(t, "nothing by default", strings.Contains(policy, "default-src 'none'"), true)
	want(t, "a nonce of its own each time", policy != s.get(t, "/").Header.Get("Content-Security-Policy"), true)
	want(t, "placeholders left", strings.Contains(page.Body, "NONCE") || strings.Contains(page.Body, "SRI-"), false)
	loads := regexp.MustCompile(`(?:src|href)="(/[^"]+)"[^>]*integrity="sha384-[^"]{64}"`).FindAllStringSubmatch(page.Body, -1)
	want(t, "files", len(loads), 6)
	for _, load := range loads {
		file := s.get(t, load[1])
		want(t, load[1], file.Status, http.StatusOK)
		want(t, load[1]+" again", s.get(t, load[1], "If-None-Match", file.Header.Get("ETag")).Status, http.StatusNotModified)
	}
	for _, path := range []string{"/explorer/", "/explorer/index.html", "/explorer/package.json", "/explorer/vendor/react.js", "/nothing"} {
		want(t, path, s.get(t, path).Status, http.StatusNotFound)
	}
}

func TestTheSchemaIsServedWithAnETag(t *testing.T) {
	s := newExplorable(t, dbtest.SQLite(t))
	schema := s.get(t, "/schema.graphql")
	want(t, "the schema", strings.Contains(schema.Body, "directive @requiresAccessToken"), true)
	want(t, "again", s.get(t, "/schema.graphql", "If-None-Match", schema.Header.Get("ETag")).Status, http.StatusNotModified)
}

func TestInProductionNothingIsShownOfTheSchema(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	for _, path := range []string{"/", "/explorer/explorer.js", "/schema.graphql", "/metrics", "/debug/pprof/", "/debug/vars"} {
		a := s.get(t, path, "Accept", "text/html")
		want(t, path, a.Status, http.StatusNotFound)
	}
	want(t, "HTML at /graphql", s.get(t, "/graphql", "Accept", "text/html").Status, http.StatusNotAcceptable)
}

func TestEveryAnswerTellsBrowsersToDoNothingWithIt(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	for _, path := range []string{"/graphql?query={__typename}", "/graphql", "/healthz", "/nothing"} {
		header := s.get(t, path).Header
		for name, value := range map[string]string{
			"Cache-Control":                "no-store",
			"Content-Security-Policy":      "default-src 'none'; frame-ancestors 'none'",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Referrer-Policy":              "no-referrer",
			"Strict-Transport-Security":    "max-age=31536000",
			"X-Content-Type-Options":       "nosniff",
		} {
			want(t, path+": "+name, header.Get(name), value)
		}
	}
}
