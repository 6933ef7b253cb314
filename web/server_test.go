package web_test

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"latchkey/db/dbtest"
	"latchkey/web"
)

// serve runs a server on a listener of its own until stop is called.
func serve(t *testing.T, s *server, shutdownTimeout time.Duration) (address string, stop func()) {
	t.Helper()
	return listen(t, func(ctx context.Context, listener net.Listener) error {
		return s.edge.Serve(ctx, listener, web.Stopping{Timeout: shutdownTimeout})
	})
}

// listen runs what serves a listener until stop is called.
func listen(t *testing.T, serve func(context.Context, net.Listener) error) (address string, stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serve(ctx, listener) }()
	t.Cleanup(cancel)
	return listener.Addr().String(), func() {
		t.Helper()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}

func TestAServerThatStopsFinishesWhatItHasBegun(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	s := newServer(t, proxy.URL())
	tokens := s.signUp(t)
	address, stop := serve(t, s, 10*time.Second)

	proxy.Freeze()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	body := `{"query":"{ me { email } }"}`
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		tokens.AccessToken, len(body), body)
	if err != nil {
		t.Fatal(err)
	}
	proxy.AwaitHeld() // the request waits for the database
	stopped := make(chan struct{})
	go func() { defer close(stopped); stop() }()
	for { // until no new connection is taken
		probe, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = probe.Close()
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "ready", s.do(t, request).Body, "shutting down\n")
	proxy.Thaw()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	want(t, "status", response.StatusCode, http.StatusOK)
	<-stopped
}

func TestAServerDoesNotWaitForeverForARequestToFinish(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.edge.Serve(ctx, listener, web.Stopping{Timeout: 10 * time.Millisecond}) }()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// A body that does not come. 100 Continue says that the handler is reading it.
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	want(t, "continue", strings.Contains(line, "100"), err == nil)
	cancel()
	if err := <-served; err == nil || !strings.Contains(err.Error(), "cut off") {
		t.Fatalf("got %v, want the request cut off", err)
	}
}

func TestClocksThatDifferByMoreThanHalfAMinuteFailReadiness(t *testing.T) {
	s := newServer(t, dbtest.Postgres(t))
	for _, ahead := range []time.Duration{0, 29 * time.Second, -29 * time.Second, 31 * time.Second, -31 * time.Second} {
		edge, err := web.New(web.Options{Executor: s.executor, Log: s.logger, Metrics: s.metrics, ClockSkew: func(ctx context.Context) (time.Duration, error) {
			return s.store.ClockSkew(ctx, func() time.Time { return time.Now().Add(ahead) })
		}})
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		edge.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
		wanted := "200 ready\n"
		if ahead.Abs() > 30*time.Second {
			wanted = fmt.Sprintf("503 the database's clock differs by %s\n", -ahead)
		}
		want(t, ahead.String(), fmt.Sprintf("%d %s", answer.Code, answer.Body), wanted)
		shown := regexp.MustCompile(`(?m)^latchkey_database_clock_skew_seconds (-?[0-9.e-]+)$`).FindStringSubmatch(s.scrape(t))
		skew, err := strconv.ParseFloat(shown[1], 64)
		want(t, "metric", err == nil && math.Abs(skew+ahead.Seconds()) < 0.5, true)
	}
}
