package web_test

import (
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"latchkey/db/dbtest"
)

// TestTwoThousandSlowConnectionsLeaveOthersAlone opens connections that send a header, a body, or take an
// answer, ever so slowly, and compares what others see with what they saw before.
func TestTwoThousandSlowConnectionsLeaveOthersAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 20 s")
	}
	const connections = 2000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < 3*connections {
		t.Skipf("needs %d open files, and may have %d: ulimit -n", 3*connections, limit.Cur)
	}
	s := newServer(t, dbtest.SQLite(t))
	address, _ := serve(t, s, time.Second)
	s.URL = "http://" + address
	victim := s.signUp(t)

	before := s.latencies(t, victim, 500)
	memoryBefore := heap()
	var slow sync.WaitGroup
	stop := make(chan struct{})
	cut := make(chan struct{}, connections)
	for i := range connections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		slow.Go(func() {
			defer func() { _ = conn.Close() }()
			head := []string{
				"POST /graphql HTTP/1.1\r\nHost: x\r\nX-A: ",                                                           // and the header does not end
				"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n", // nor the body
				"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",                                                             // nothing is read, and nothing more is asked
			}[i%3]
			if _, err := io.WriteString(conn, head); err != nil {
				return
			}
			ticks := time.NewTicker(time.Second + time.Duration(rand.IntN(1000))*time.Millisecond)
			defer ticks.Stop()
			for {
				select {
				case <-stop:
					return
				case <-ticks.C:
				}
				if i%3 == 2 {
					continue
				}
				if _, err := conn.Write([]byte("a")); err != nil {
					cut <- struct{}{}
					return
				}
			}
		})
	}
	during := s.latencies(t, victim, 500)
	memory := heap() - memoryBefore
	// Two in three send on and on, and are cut off all the same: after 5 s without a header, 15 s without a body.
	for range connections / 3 * 2 {
		<-cut
	}
	close(stop)
	slow.Wait()
	t.Logf("99th percentile: %s before, %s during; %d MiB for %d connections", percentile(before), percentile(during), memory>>20, connections)
	if was, is := percentile(before), percentile(during); is > 2*was+20*time.Millisecond {
		t.Errorf("99th percentile: %s before, %s during", was, is)
	}
	if memory > 256<<20 {
		t.Errorf("%d MiB for %d connections", memory>>20, connections)
	}
}

// latencies asks me, one after another.
func (s *server) latencies(t *testing.T, tokens result, n int) []time.Duration {
	t.Helper()
	took := make([]time.Duration, n)
	for i := range took {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/graphql", strings.NewReader(`{"query":"{ me { id } }"}`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		bearer(request, tokens.AccessToken)
		start := time.Now()
		a := s.do(t, request)
		took[i] = time.Since(start)
		want(t, "code", a.code(), "")
	}
	return took
}

// percentile returns the 99th.
func percentile(took []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[len(sorted)*99/100]
}

func heap() int64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapInuse + stats.StackInuse)
}
