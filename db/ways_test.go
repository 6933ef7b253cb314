package db_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"latchkey/db/dbtest"
)

// startPgBouncer starts a PgBouncer before a database, until the test ends.
func startPgBouncer(t *testing.T, databaseURL string, settings ...string) *dbtest.PgBouncer {
	t.Helper()
	pooler := dbtest.NewPgBouncer(t, databaseURL, settings...)
	cmd := pooler.Command()
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	pooler.Await(t)
	return pooler
}

// bySocket returns the URL of a database by a Unix socket.
func bySocket(t *testing.T, databaseURL, folder, port string) string {
	t.Helper()
	to, err := url.Parse(databaseURL)
	check(t, err)
	to.Host, to.RawQuery = "", url.Values{"host": {folder}, "port": {port}}.Encode()
	return to.String()
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
	folder, err := os.MkdirTemp("", "latchkey-test-") // unlike t.TempDir, others may be let in
	check(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	check(t, os.Chmod(folder, 0o755))
	certificateFile, keyFile = filepath.Join(folder, "server.crt"), filepath.Join(folder, "server.key")
	check(t, os.WriteFile(certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o644))
	check(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	account, err := dbtest.Credential()
	check(t, err)
	if account != nil {
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
