package db_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"latchkey/db/dbtest"
)

// pgBouncer is a private PgBouncer before a database, until the test ends.
type pgBouncer struct {
	url    string // of the database through it
	socket string // the same by its Unix socket
}

// startPgBouncer starts a PgBouncer with further settings.
func startPgBouncer(t *testing.T, databaseURL string, settings ...string) pgBouncer {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("PgBouncer is not installed")
		}
		t.Skip("PgBouncer is not installed here: run `make test`, or install it (Debian and Ubuntu: apt-get install pgbouncer)")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	check(t, listener.Close())
	to, err := url.Parse(databaseURL)
	check(t, err)
	folder := openFolder(t)
	file := filepath.Join(folder, "pgbouncer.ini")
	// auth_type=any logs in to the server as whom the settings name, and takes no name from the client.
	check(t, os.WriteFile(file, fmt.Appendf(nil,
		"[databases]\n* = host=%s port=%s user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir = %s\n"+
			"auth_type = any\nserver_login_retry = 1\nlogfile = %[5]s/log\n%[6]s\n",
		to.Hostname(), to.Port(), to.User.Username(), port, folder, strings.Join(settings, "\n")), 0o644))
	cmd := exec.Command(program, "-q", file)
	if account := owner(t); account != nil { // it refuses to run as root
		check(t, os.Chown(folder, int(account.Uid), int(account.Gid)))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: account}
	}
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			check(t, conn.Close())
			break
		}
		if time.Since(began) > 10*time.Second {
			log, _ := os.ReadFile(filepath.Join(folder, "log"))
			t.Fatalf("PgBouncer does not answer: %v\n%s", err, log)
		}
	}
	to.Host = address
	return pgBouncer{url: to.String(), socket: bySocket(t, databaseURL, folder, strconv.Itoa(port))}
}

// bySocket returns the URL of a database by a Unix socket.
func bySocket(t *testing.T, databaseURL, folder, port string) string {
	t.Helper()
	to, err := url.Parse(databaseURL)
	check(t, err)
	to.Host, to.RawQuery = "", url.Values{"host": {folder}, "port": {port}}.Encode()
	return to.String()
}

// owner returns as whom servers run that refuse root, if we are root.
func owner(t *testing.T) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	check(t, err)
	uid, err := strconv.Atoi(account.Uid)
	check(t, err)
	gid, err := strconv.Atoi(account.Gid)
	check(t, err)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

// openFolder returns a folder with a short name that other users may look into.
func openFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "latchkey-test-")
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	check(t, os.Chmod(folder, 0o755))
	return folder
}

// certificate returns files with a certificate that nobody signed, and its key, for servers.
func certificate(t *testing.T) (certificateFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	check(t, err)
	folder := openFolder(t)
	certificateFile, keyFile = filepath.Join(folder, "server.crt"), filepath.Join(folder, "server.key")
	check(t, os.WriteFile(certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o644))
	check(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	if account := owner(t); account != nil {
		check(t, os.Chown(keyFile, int(account.Uid), int(account.Gid)))
	}
	return certificateFile, keyFile
}

// startWithTLS starts a PostgreSQL that takes TLS, and returns its URL without.
func startWithTLS(t *testing.T) string {
	t.Helper()
	server := dbtest.PostgresServer(t)
	certificateFile, keyFile := certificate(t)
	pool := dbtest.Open(t, server.URL())
	for _, statement := range []string{
		"ALTER SYSTEM SET ssl_cert_file = '" + certificateFile + "'", "ALTER SYSTEM SET ssl_key_file = '" + keyFile + "'",
		"ALTER SYSTEM SET ssl = on",
	} {
		_, err := pool.Exec(statement)
		check(t, err)
	}
	server.Stop(t, "fast")
	server.Start(t)
	return server.URL()
}

// withTLS returns the URL of a database with TLS.
func withTLS(databaseURL string) string {
	return strings.Replace(databaseURL, "sslmode=disable", "sslmode=require", 1)
}

// relay passes bytes on to a database, as a balancer does, and returns the URL through it.
func relay(t *testing.T, databaseURL string) string {
	t.Helper()
	to, err := url.Parse(databaseURL)
	check(t, err)
	target := to.Host
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_, _ = to.Close(), from.Close()
			}
			go pass(server, client)
			go pass(client, server)
		}
	}()
	to.Host = listener.Addr().String()
	return to.String()
}
