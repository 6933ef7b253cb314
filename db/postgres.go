package db

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

const poolSize = 16

// openPostgres returns a pool of connections that are never reused once their socket has failed, and on
// which nothing waits longer than its context allows. It does not connect yet. What the URL leaves open:
// binary_parameters=yes (one round trip instead of two for what is not prepared, and no server-side statement that
// PgBouncer could mix up), sslmode=require but for this machine itself, connect_timeout, and
// target_session_attrs=read-write where there are several hosts. Errors never contain the password.
func openPostgres(rawURL string, timeout time.Duration, prepare Prepare) (*sql.DB, error) {
	config, err := postgresConfig(rawURL, timeout)
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(connector{config, prepare, new(atomic.Int64)})
	pool.SetMaxOpenConns(poolSize)
	pool.SetMaxIdleConns(poolSize)
	pool.SetConnMaxLifetime(5 * time.Minute) // after a failover, connections spread over the hosts again
	return pool, nil
}

func postgresConfig(rawURL string, timeout time.Duration) (pq.Config, error) {
	parsed, err := url.Parse(rawURL)
	if err != nil || parsed.Opaque != "" { // lib/pq would quote the URL
		return pq.Config{}, errors.New("not a postgres:// URL")
	}
	config, err := pq.NewConfig(withSeveralHosts(*parsed).String())
	if err != nil {
		message := err.Error()
		password, _ := parsed.User.Password()
		for _, secret := range append(parsed.Query()["password"], password) {
			if secret != "" {
				message = strings.ReplaceAll(message, secret, "[redacted]")
			}
		}
		return pq.Config{}, errors.New(message)
	}
	given := parsed.Query()
	if !given.Has("sslmode") {
		config.SSLMode = pq.SSLModeRequire
		if isLocal(config.Host) && len(config.Multi) == 0 {
			config.SSLMode = pq.SSLModeDisable
		}
	}
	if !given.Has("binary_parameters") {
		config.BinaryParameters = true
	}
	if !given.Has("connect_timeout") {
		config.ConnectTimeout = timeout
	}
	if !given.Has("target_session_attrs") && len(config.Multi) > 0 {
		config.TargetSessionAttrs = pq.TargetSessionAttrsReadWrite
	}
	if !given.Has("fallback_application_name") {
		config.FallbackApplicationName = "latchkey"
	}
	return config, nil
}

// withSeveralHosts moves several hosts, as libpq's URLs have them (PostgreSQL's manual, "Connection URIs"),
// to where lib/pq looks for them: in the authority it finds one.
func withSeveralHosts(from url.URL) *url.URL {
	if !strings.Contains(from.Host, ",") {
		return &from
	}
	var hosts, ports []string
	for authority := range strings.SplitSeq(from.Host, ",") {
		host, port, err := net.SplitHostPort(authority)
		if err != nil {
			host, port = authority, "5432"
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	options := from.Query()
	options.Set("host", strings.Join(hosts, ","))
	options.Set("port", strings.Join(ports, ","))
	from.Host, from.RawQuery = "", options.Encode()
	return &from
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasPrefix(host, "/") || ip != nil && ip.IsLoopback()
}

// connector connects to PostgreSQL, giving each connection a socket that is watched.
type connector struct {
	config  pq.Config
	prepare Prepare
	eras    *atomic.Int64 // see statements
}

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	config := c.config.Clone()
	if deadline, ok := ctx.Deadline(); ok { // which lib/pq heeds while dialing, but not while it logs in
		hosts := time.Duration(1 + len(config.Multi)) // each has its share: the first may be silent
		config.ConnectTimeout = min(config.ConnectTimeout, time.Until(deadline)/hosts)
	}
	if config.ConnectTimeout <= 0 { // it would wait forever
		return nil, context.DeadlineExceeded
	}
	inner, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	dialer := &socketDialer{plain: config.SSLMode == pq.SSLModeDisable}
	inner.Dialer(dialer)
	connected, err := inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	full, ok := connected.(pqConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%T lacks an interface of database/sql/driver", connected), connected.Close())
	}
	conn := &watchedConn{pqConn: full, socket: dialer.last()}
	asking, answered := context.WithTimeout(ctx, config.ConnectTimeout)
	defer answered()
	conn.socket.obey(asking)
	if err := conn.prepareStatements(c.prepare, c.eras); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Driver implements driver.Connector.
func (connector) Driver() driver.Driver { return pq.Driver{} }
