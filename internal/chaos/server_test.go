//go:build linux

package chaos_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is a process that is started again whenever it ends, as a service manager would.
type server struct {
	url     string
	program string
	log     string // file
	env     func(start int) []string

	mu      sync.Mutex
	process *os.Process
	starts  int
	stopped bool
	over    chan struct{}
}

// startServer keeps a server running until the test ends. env is asked at each start for what the
// environment has then.
func startServer(t *testing.T, program string, env func(start int) []string) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	s := &server{
		url: "http://" + address, program: program, log: filepath.Join(t.TempDir(), "log"), over: make(chan struct{}),
		env: func(start int) []string { return append(env(start), "LISTEN="+address) },
	}
	go s.keep()
	t.Cleanup(s.stop)
	return s
}

func (s *server) keep() {
	defer close(s.over)
	runtime.LockOSThread() // Pdeathsig is about the thread that started the process
	for {
		cmd := exec.Command(s.program)
		s.mu.Lock()
		if s.stopped {
			s.mu.Unlock()
			return
		}
		cmd.Env = append(os.Environ(), s.env(s.starts)...)
		// A server must not outlive this test, however that ends.
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		log, err := os.OpenFile(s.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			cmd.Stderr = log
			err = cmd.Start()
		}
		s.starts++
		s.process = cmd.Process
		s.mu.Unlock()
		if err == nil {
			_ = cmd.Wait()
		}
		_ = log.Close()
		s.mu.Lock()
		s.process = nil
		s.mu.Unlock()
		time.Sleep(50 * time.Millisecond)
	}
}

// signal sends a signal to the process, if one is running.
func (s *server) signal(signal os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		_ = s.process.Signal(signal)
	}
}

func (s *server) kill() { s.signal(os.Kill) }

// restart ends the process as an operator does, and returns when another one is ready.
func (s *server) restart(ctx context.Context) error {
	s.mu.Lock()
	before := s.starts
	s.mu.Unlock()
	s.signal(syscall.SIGTERM)
	for ctx.Err() == nil {
		s.mu.Lock()
		again := s.starts > before
		s.mu.Unlock()
		if again {
			return s.awaitReady(ctx)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ctx.Err()
}

// awaitReady returns when the server says that it is ready.
func (s *server) awaitReady(ctx context.Context) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		if ctx.Err() != nil {
			text, _ := os.ReadFile(s.log)
			return fmt.Errorf("%s is not ready: %w\n%s", s.url, ctx.Err(), text[max(0, len(text)-2000):])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *server) stop() {
	s.mu.Lock()
	s.stopped = true
	if s.process != nil {
		_ = s.process.Kill()
	}
	s.mu.Unlock()
	<-s.over
}

// keep starts a process, and again whenever it ends, as a service manager does, until the test ends.
// PgBouncer 1.18 needs it: a cancelled query can end it.
func keep(t *testing.T, command func() *exec.Cmd) {
	t.Helper()
	var mu sync.Mutex
	var running *exec.Cmd
	stopped, starts := false, 0
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			cmd := command()
			mu.Lock()
			if stopped {
				mu.Unlock()
				return
			}
			ended, err := startAndLock(cmd)
			running = cmd
			starts++
			mu.Unlock()
			if err == nil {
				<-ended
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		mu.Lock()
		stopped = true
		if running != nil && running.Process != nil {
			_ = running.Process.Kill()
		}
		if starts > 1 {
			t.Logf("%s ended by itself, and was started again, %d times", running.Path, starts-1)
		}
		mu.Unlock()
		<-over
	})
}

// startAndLock starts a process that ends with this one, however this one ends. It is to be killed, and
// its end awaited by the channel.
func startAndLock(cmd *exec.Cmd) (over <-chan struct{}, err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig is about the thread that started the process
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	return ended, <-started
}
