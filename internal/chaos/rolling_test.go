//go:build linux

package chaos_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/db/dbtest"
	"latchkey/internal/history"
	"latchkey/internal/leaks"
	"latchkey/verify"
)

const serviceKey = "a-key-for-services-of-the-tests-9fQ2xL7v"

// haproxySettings spread requests over servers that say that they are ready, as docs/operations.md has it.
const haproxySettings = `
global
	maxconn 1000
defaults
	mode http
	timeout connect 2s
	timeout client 30s
	timeout server 30s
	option redispatch
frontend latchkey
	bind %s
	default_backend servers
backend servers
	balance roundrobin
	option httpchk GET /readyz
	default-server check inter 100ms fall 1 rise 1
%s`

// startHAProxy returns the URL at which HAProxy hands requests to servers, until the test ends.
func startHAProxy(t *testing.T, servers []*server) string {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		if _, err = os.Stat("/usr/sbin/haproxy"); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("haproxy is not installed")
			}
			t.Skip("haproxy is not installed: apt-get install haproxy")
		}
		program = "/usr/sbin/haproxy"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	var backends strings.Builder
	for i, server := range servers {
		fmt.Fprintf(&backends, "\tserver s%d %s\n", i, strings.TrimPrefix(server.url, "http://"))
	}
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, fmt.Appendf(nil, haproxySettings, address, backends.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-f", file, "-db")
	ended, err := startAndLock(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	return "http://" + address
}

// operate runs a command of the program on a database.
func operate(t *testing.T, program, databaseURL string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "DATABASE_URL="+databaseURL, "SECRET="+secret)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, output)
	}
	return string(output)
}

func second[T any](_ T, err error) error { return err }

// kidOf returns the id of the key that an access token says to be signed with.
func kidOf(t *testing.T, access string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.SplitN(access, ".", 2)[0])
	var header struct{ Kid string }
	if err = errors.Join(err, json.Unmarshal(raw, &header)); err != nil {
		t.Fatal(err)
	}
	return header.Kid
}

// Clients go on at full speed while, three times over, both kinds of key are rotated and every server is restarted.
func TestRotationsOfKeysAndRollingRestartsCostNobodyARequest(t *testing.T) {
	const rounds, clients = 3, 12
	url := dbtest.PostgresServer(t).URL()
	program := build(t)
	var servers []*server
	for range 3 {
		servers = append(servers, startServer(t, program, func(int) []string {
			return []string{"DATABASE_URL=" + url, "SECRET=" + secret, "PUBLIC_URL=http://latchkey.test", "SHUTDOWN_DELAY=500ms", "LOGIN_IP_LIMIT=off", "LOGIN_LIMIT=off", "SERVICE_KEYS=" + serviceKey}
		}))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, server := range servers {
		if err := server.awaitReady(ctx); err != nil {
			t.Fatal(err)
		}
	}
	proxy := &server{url: startHAProxy(t, servers)}
	if err := proxy.awaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	load := newClient([]*server{proxy}, history.NewRecorder())
	operate(t, program, url, "user", "list") // the program's commands work beside servers

	var requests, failed atomic.Int64
	count := func(o history.Operation, _ tokens, sent bool) bool {
		requests.Add(1)
		if sent && o.Outcome == history.OK {
			return true
		}
		if failed.Add(1) < 5 {
			t.Errorf("%s (sent: %v)", o, sent)
		}
		return false
	}
	var mu sync.Mutex
	used := map[string]bool{} // signing keys
	var held []tokens
	stop, stopped := context.WithCancel(ctx)
	var people sync.WaitGroup
	for i := range clients {
		people.Go(func() {
			email := fmt.Sprintf("user%d@example.com", i)
			o, mine, sent := load.do(ctx, history.Operation{Kind: history.Login},
				`mutation($email: String!, $password: String!) { result: signUp(input: {email: $email, password: $password})`+selection,
				map[string]any{"email": email, "password": password}, "")
			for turn := 0; count(o, mine, sent) && stop.Err() == nil; turn++ {
				mu.Lock()
				used[kidOf(t, mine.access)] = true
				mu.Unlock()
				for range 3 {
					asked, sent := load.me(ctx, history.Operation{}, mine.access)
					count(asked, tokens{}, sent)
				}
				if turn%50 == 49 {
					o, mine, sent = load.login(ctx, history.Operation{}, email)
					continue
				}
				o, mine, sent = load.refresh(ctx, history.Operation{}, mine.refresh)
				time.Sleep(5 * time.Millisecond)
			}
			mu.Lock()
			defer mu.Unlock()
			held = append(held, mine)
		})
	}
	verifier, err := verify.New(verify.Options{Issuer: "http://latchkey.test", Audience: "http://latchkey.test", URL: proxy.url, ServiceKey: serviceKey, Log: leaks.Log()})
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() { defer close(over); verifier.Run(ctx) }()
	defer func() { cancel(); <-over }()
	ended, slowest := 0, time.Duration(0)
	people.Go(func() { // somebody who signs out, and what a service elsewhere makes of the token
		time.Sleep(time.Second) // until there is such a user
		for stop.Err() == nil {
			o, mine, sent := load.login(ctx, history.Operation{}, "user0@example.com")
			if !count(o, mine, sent) {
				return
			}
			if _, err := verifier.Verify(ctx, mine.access); err != nil {
				t.Errorf("a new token: %v", err)
			}
			asked, sent := load.revokeByAccessToken(ctx, history.Operation{}, mine.access)
			count(asked, tokens{}, sent)
			revoked := time.Now()
			for !errors.Is(second(verifier.Verify(ctx, mine.access)), verify.ErrEnded) && time.Since(revoked) < 10*time.Second {
				time.Sleep(5 * time.Millisecond)
			}
			ended, slowest = ended+1, max(slowest, time.Since(revoked))
		}
	})
	for range rounds {
		operate(t, program, url, "keys", "rotate", "--now")
		time.Sleep(2500 * time.Millisecond) // until they are used
		for _, server := range servers {
			if err := server.restart(ctx); err != nil {
				t.Error(err)
			}
			time.Sleep(300 * time.Millisecond) // until HAProxy has heard
		}
	}
	stopped()
	people.Wait()
	t.Logf("%d requests, %d failed, %d signing keys in use one after the other; %d revokes reached a service, the slowest after %s",
		requests.Load(), failed.Load(), len(used), ended, slowest)
	if ended < 10 || slowest >= time.Second {
		t.Errorf("%d revokes reached a service, the slowest after %s", ended, slowest)
	}
	if failed.Load() > 0 || len(held) != clients {
		t.Errorf("%d of %d requests failed", failed.Load(), requests.Load())
	}
	if requests.Load() < 1000 {
		t.Errorf("%d requests only: there was no load", requests.Load())
	}
	if len(used) != 1+rounds {
		t.Errorf("tokens of %d signing keys, want %d", len(used), 1+rounds)
	}
	keys := operate(t, program, url, "keys", "list")
	for _, kind := range []string{"signing", "refresh"} {
		states := []string{}
		for line := range strings.Lines(keys) {
			if words := strings.Fields(line); words[0] == kind {
				states = append(states, words[1])
			}
		}
		if !slices.Equal(states, []string{"previous", "previous", "previous", "current"}) {
			t.Errorf("%s keys are %v:\n%s", kind, states, keys)
		}
	}
}
