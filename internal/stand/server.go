package stand

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"latchkey/internal/leaks"
)

// patience is how long a server may take to be ready, or to end.
const patience = 30 * time.Second

var errNotRunning = errors.New("the server is not running")

// server is a process that can be ended and started again, at the same address. The log may be read at any time, the rest
// by one goroutine at a time.
type server struct {
	address     string
	environment []string
	log         log

	cmd   *exec.Cmd     // nil while it is not to run
	ended chan struct{} // closed when the process is over
}

// start starts the process, and returns when it says that it is ready.
func (s *server) start(ctx context.Context) error {
	if s.cmd != nil {
		return errors.New("the server is running")
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), s.environment...)
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	s.cmd, s.ended = cmd, ended
	go func() {
		_ = cmd.Wait() // its status is that of a killed process, or the log says why it ended
		close(ended)
	}()
	if err := s.awaitReady(ctx); err != nil {
		s.end()
		return fmt.Errorf("%w:\n%s", err, s.log.tail())
	}
	return nil
}

func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", nil)
	if err != nil {
		return err
	}
	request.Close = true
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return errors.New("the server ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("the server does not get ready: %w", ctx.Err())
		}
	}
}

// stop sends a signal, and returns when the process is over.
func (s *server) stop(signal os.Signal) error {
	if s.cmd == nil {
		return errNotRunning
	}
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.cmd = nil
		return fmt.Errorf("the server ended by itself: %w", err)
	}
	select {
	case <-s.ended:
		s.cmd = nil
		return nil
	case <-time.After(patience):
		return fmt.Errorf("the server does not end by %v", signal)
	}
}

// end ends the process, if there is one.
func (s *server) end() {
	if s.cmd != nil {
		_ = s.stop(syscall.SIGKILL) // it may have ended by itself
	}
}

// log has what a server said, through all its starts, and searches each line for secrets.
type log struct {
	mu    sync.Mutex
	lines []string
	begun []byte // a line without its end
}

// Write implements io.Writer.
func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begun = append(l.begun, p...)
	for {
		line, rest, whole := bytes.Cut(l.begun, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		leaks.Scan("log", line)
		l.lines = append(l.lines, string(line))
		l.begun = rest
	}
}

// tail returns the last lines, each as far as it is of use: statements are long.
func (l *log) tail() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last strings.Builder
	for _, line := range l.lines[max(0, len(l.lines)-30):] {
		last.WriteString(line[:min(200, len(line))] + "\n")
	}
	return last.String()
}
