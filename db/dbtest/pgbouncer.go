package dbtest

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PgBouncer is a pooler before a database of its own, which Command starts.
type PgBouncer struct {
	URL    string // of the database through it
	Folder string // of its Unix socket
	Port   string

	program string
	account *syscall.Credential
}

// NewPgBouncer returns a pooler with settings, one a line, besides the address and who may come.
func NewPgBouncer(t testing.TB, databaseURL string, settings ...string) *PgBouncer {
	t.Helper()
	p, err := newPgBouncer(t, databaseURL, settings)
	if errors.Is(err, errNoPgBouncer) && os.Getenv("CI") == "" {
		t.Skip("PgBouncer is not installed here: run `make test`, or install it (Debian and Ubuntu: apt-get install pgbouncer)")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var errNoPgBouncer = errors.New("no pgbouncer found")

func newPgBouncer(t testing.TB, databaseURL string, settings []string) (*PgBouncer, error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // which is not in everybody's path
	}
	if _, err := os.Stat(program); err != nil {
		return nil, errNoPgBouncer
	}
	to, err := url.Parse(databaseURL)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	_ = listener.Close()
	folder, err := os.MkdirTemp("/tmp", "latchkey-pgbouncer-") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	account, err := Credential()
	if err != nil {
		return nil, err
	}
	if account != nil {
		if err := os.Chown(folder, int(account.Uid), int(account.Gid)); err != nil {
			return nil, err
		}
	}
	// auth_type=any logs in to the server as whom the settings name, and takes no name from the client.
	text := fmt.Sprintf("[databases]\n* = host=%s port=%s user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %s\nunix_socket_dir = %s\n"+
		"auth_type = any\nserver_login_retry = 1\nlogfile = %[5]s/log\n%[6]s\n",
		to.Hostname(), to.Port(), to.User.Username(), port, folder, strings.Join(settings, "\n"))
	to.Host = "127.0.0.1:" + port
	p := &PgBouncer{URL: to.String(), Folder: folder, Port: port, program: program, account: account}
	return p, errors.Join(os.WriteFile(p.settings(), []byte(text), 0o644), os.Chmod(folder, 0o755))
}

func (p *PgBouncer) settings() string { return filepath.Join(p.Folder, "pgbouncer.ini") }

// Command returns what starts the pooler, each time anew.
func (p *PgBouncer) Command() *exec.Cmd {
	cmd := exec.Command(p.program, "-q", p.settings())
	if p.account != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.account}
	}
	return cmd
}

// Await returns once the pooler listens.
func (p *PgBouncer) Await(t testing.TB) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", "127.0.0.1:"+p.Port)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Since(began) > 10*time.Second {
			log, _ := os.ReadFile(filepath.Join(p.Folder, "log"))
			t.Fatalf("PgBouncer does not answer: %v\n%s", err, log)
		}
	}
}
