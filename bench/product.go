package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// startsWithin is how long a server may take to be ready, and to end.
const startsWithin = 30 * time.Second

// build builds the program of a source folder, with files laid over it that it does not have, by their names there.
func build(ctx context.Context, source, folder, name string, more map[string]string) (string, error) {
	source, err := filepath.Abs(source)
	if err != nil {
		return "", err
	}
	program := filepath.Join(folder, name)
	args := []string{"build", "-o", program}
	if len(more) > 0 {
		overlay := struct{ Replace map[string]string }{map[string]string{}}
		for file, text := range more {
			path := filepath.Join(folder, name+"-"+file)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return "", err
			}
			overlay.Replace[filepath.Join(source, file)] = path
		}
		raw, err := json.Marshal(overlay)
		if err != nil {
			return "", err
		}
		file := filepath.Join(folder, name+".json")
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			return "", err
		}
		args = append(args, "-overlay", file)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, ".")...)
	cmd.Dir = source
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the server: %w\n%s", err, output)
	}
	return program, nil
}

// server is a process of the product.
type server struct {
	address, metrics string        // host:port
	took             time.Duration // from exec until it was ready
	cmd              *exec.Cmd
	ended            chan struct{} // closed when the process is over
	log              string        // file
}

// freeAddress returns an address on this machine that nobody listens on.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// serverEnvironment is what suits a measurement: nobody is refused for trying too often, no token expires in it, and all
// servers take the tokens of each.
func serverEnvironment(databaseURL string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir(),
		"MODE=development", "DATABASE_URL=" + databaseURL, "SECRET=" + strings.Repeat("bench", 8),
		"PUBLIC_URL=http://localhost:8080", "LOGIN_LIMIT=off", "LOGIN_IP_LIMIT=off", "ACCESS_TOKEN_TTL=24h", "MAX_SESSIONS=1000",
	}
}

// startServer starts the product on a database, and returns when it says that it is ready. It ends with this process.
func startServer(ctx context.Context, program, folder, databaseURL string, env ...string) (*server, error) {
	s := &server{ended: make(chan struct{})}
	var err error
	if s.address, err = freeAddress(); err != nil {
		return nil, err
	}
	if s.metrics, err = freeAddress(); err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(folder, "server-*.log") // as an operator's is something else than a terminal
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	s.log = log.Name()
	s.cmd = exec.Command(program)
	s.cmd.Dir = folder
	s.cmd.Env = slices.Concat(serverEnvironment(databaseURL), []string{"LISTEN=" + s.address, "METRICS_LISTEN=" + s.metrics}, env)
	s.cmd.Stderr = log
	dieWithParent(s.cmd)
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // the log says why it ended, if it did so by itself
		close(s.ended)
	}()
	if err := s.awaitReady(ctx); err != nil {
		s.stop()
		text, _ := os.ReadFile(s.log)
		return nil, fmt.Errorf("start the server: %w\n%s", err, text)
	}
	s.took = time.Since(began)
	return s, nil
}

// awaitReady asks every millisecond.
func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startsWithin)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.address+"/readyz", nil)
	if err != nil {
		return err
	}
	request.Close = true
	tick := time.NewTicker(time.Millisecond)
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
			return errors.New("it ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("it does not get ready: %w", ctx.Err())
		}
	}
}

// stop ends the server as an operator does, or otherwise.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(startsWithin):
		_ = s.cmd.Process.Kill()
		<-s.ended
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }
