package dbtest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// ErrMissing says that PostgreSQL's programs are not installed.
var ErrMissing = errors.New("no initdb found")

func isMissing(err error) bool { return errors.Is(err, ErrMissing) }

// Server is a private, throw-away PostgreSQL server on this machine.
type Server struct {
	binaries string // folder
	folder   string
	port     int
	process  *exec.Cmd
	leash    io.WriteCloser // the server ends when it is closed, as the kernel does if this process dies
}

// PostgresServer returns a server for one test, which may kill it. It is durable, as one in use is.
// TEST_DATABASE_URL does not help here: its server is somebody else's to kill.
func PostgresServer(t testing.TB) *Server {
	t.Helper()
	server, err := Start()
	if err != nil {
		missing(t, err)
	}
	t.Cleanup(server.Close)
	return server
}

// URL returns the URL of the server's first database.
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://latchkey@127.0.0.1:%d/postgres?sslmode=disable", s.port)
}

// Kill ends all of the server's processes by SIGKILL: none can say or write anything.
func (s *Server) Kill(t testing.TB) {
	t.Helper()
	if err := s.signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.letGo()
}

// Stop ends the server in one of the ways of pg_ctl: "fast" or "immediate".
func (s *Server) Stop(t testing.TB, mode string) {
	t.Helper()
	if err := s.stop(mode); err != nil {
		t.Fatal(err)
	}
}

// Pause stops all of the server's processes where they are, until Continue.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	if err := s.signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// Continue ends Pause.
func (s *Server) Continue(t testing.TB) {
	t.Helper()
	if err := s.signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// PID returns the process id of the postmaster, whose children are all other processes of the server.
func (s *Server) PID() (int, error) {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(line)
}

// LogFile returns the path of the server's log.
func (s *Server) LogFile() string { return filepath.Join(s.folder, "log") }

// Program returns the path of one of PostgreSQL's programs, such as pgbench, of the server's version.
func (s *Server) Program(name string) string { return filepath.Join(s.binaries, name) }

// signal sends a signal to the postmaster, then to its children.
func (s *Server) signal(signal syscall.Signal) error {
	postmaster, err := s.PID()
	if err != nil {
		return err
	}
	children, _ := exec.Command("pgrep", "-P", strconv.Itoa(postmaster)).Output() // fails where there are none
	if err := syscall.Kill(postmaster, signal); err != nil {
		return err
	}
	for child := range strings.FieldsSeq(string(children)) {
		if pid, err := strconv.Atoi(child); err == nil {
			_ = syscall.Kill(pid, signal) // it may have ended by itself
		}
	}
	return nil
}

// Start starts the server again, on the same port, and waits until it answers.
func (s *Server) Start(t testing.TB) {
	t.Helper()
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// Recover starts the server again as one that follows another, which it never hears from: it takes no writes.
func (s *Server) Recover(t testing.TB) {
	t.Helper()
	s.Stop(t, "fast")
	signal := filepath.Join(s.data(), "standby.signal")
	if err := os.WriteFile(signal, nil, 0o644); err != nil { // which PostgreSQL's user reads
		t.Fatal(err)
	}
	s.Start(t)
}

// onDisk is not TMPDIR, which can be too long for a socket's name.
const onDisk = "/tmp"

// inMemory returns a folder that is in memory, if the system has one with room enough, else onDisk. A database is 300
// files, and ext4 takes up to ten times as long to make them where as many were deleted within the last seconds: it looks
// for inodes that nobody had (recently_deleted in Linux's fs/ext4/ialloc.c).
func inMemory() string {
	const folder, room = "/dev/shm", 2 << 30
	var system syscall.Statfs_t
	if err := syscall.Statfs(folder, &system); err != nil || uint64(system.Bavail)*uint64(system.Bsize) < room {
		return onDisk
	}
	return folder
}

// startShared starts the server of all tests that do not kill it, in which each has a database of its own.
func startShared() (*Server, error) {
	return start(inMemory(), "fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_wal_size = 128MB")
}

// Start starts a private server for a program, with further settings such as "work_mem = 1MB". It is durable, as one in
// use is. It ends by Close, or with this process. Errors: ErrMissing.
func Start(settings ...string) (*Server, error) { return start(onDisk, settings...) }

func start(parent string, settings ...string) (*Server, error) {
	binaries, err := findBinaries()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(parent, "latchkey-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{binaries: binaries, folder: folder}
	if err := s.create(settings); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	if err := s.start(); err != nil {
		_ = os.RemoveAll(folder)
		return nil, err
	}
	return s, nil
}

// findBinaries returns the folder of initdb and postgres: on the PATH, or where packages put them.
func findBinaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		path, err = filepath.EvalSymlinks(path) // the others need not be linked beside it
		return filepath.Dir(path), err
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb",
		"/opt/homebrew/opt/postgresql*/bin/initdb", "/usr/local/opt/postgresql*/bin/initdb",
	} {
		found, _ := filepath.Glob(pattern)
		if len(found) > 0 {
			slices.Sort(found)
			return filepath.Dir(found[len(found)-1]), nil
		}
	}
	return "", ErrMissing
}

// command returns a command that runs as the user postgres where we are root: PostgreSQL refuses root.
func (s *Server) command(program string, args ...string) (*exec.Cmd, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = s.folder
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PGOPTIONS=")
	account, err := Credential()
	if err != nil || account == nil {
		return cmd, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	return cmd, os.Chown(s.folder, int(account.Uid), int(account.Gid))
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

func (s *Server) create(more []string) error {
	cmd, err := s.command(s.Program("initdb"), "--pgdata", s.data(), "--username=latchkey", "--auth=trust", "--encoding=UTF8", "--no-sync")
	if err != nil {
		return err
	}
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, output)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	settings := fmt.Sprintf("port = %d\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nmax_connections = 200\n", s.port, s.folder)
	for _, setting := range more {
		settings += setting + "\n"
	}
	file, err := os.OpenFile(filepath.Join(s.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(settings)
	return errors.Join(err, file.Close())
}

func (s *Server) start() error {
	// The shell waits for the end of its input, and then ends the server, and removes it if this process did not let it go.
	// Who interrupts this process, at a terminal, means it as little as the server.
	cmd, err := s.command("/bin/sh", "-c", `trap '' INT HUP TERM; "$@" </dev/null & read -r keep; kill -QUIT $! 2>/dev/null; wait; [ "$keep" ] || rm -rf "$0"`,
		s.folder, s.Program("postgres"), "-D", s.data())
	if err != nil {
		return err
	}
	if s.leash, err = cmd.StdinPipe(); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(s.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	s.process = cmd
	pool, err := sql.Open("postgres", s.URL())
	if err != nil {
		return err
	}
	defer func() { _ = pool.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for err = pool.PingContext(ctx); err != nil; err = pool.PingContext(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			written, _ := os.ReadFile(log.Name())
			return errors.Join(fmt.Errorf("postgres does not answer: %w: %s", err, tail(string(written))), s.stop("immediate"))
		}
	}
	return nil
}

func (s *Server) stop(mode string) error {
	cmd, err := s.command(s.Program("pg_ctl"), "stop", "-D", s.data(), "-m", mode, "-w")
	if err != nil {
		return err
	}
	output, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("pg_ctl stop: %w: %s", err, output)
	}
	s.letGo()
	return nil
}

// letGo awaits the end of what start started, and keeps the server's files.
func (s *Server) letGo() {
	_, _ = io.WriteString(s.leash, "keep\n")
	_ = s.leash.Close()
	_ = s.process.Wait() // its status is that of a killed process
}

// Close ends the server and removes all of it.
func (s *Server) Close() {
	if err := s.stop("immediate"); err != nil && s.process.ProcessState == nil {
		s.letGo()
	}
	_ = os.RemoveAll(s.folder)
}

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
