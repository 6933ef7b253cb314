package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// maxConnections is how many connections are open at once; more wait to be taken. Each that idles costs some
// 10 KiB, and a socket of the process's limit (ulimit -n).
const maxConnections = 10_000

// Stopping says how a server stops.
type Stopping struct {
	Delay   time.Duration // for which requests are still taken while /readyz says that they should go elsewhere
	Timeout time.Duration // after which requests are cut off
}

// Serve answers on a listener until ctx ends. Then /readyz says so; after a delay no new connection is taken, and the
// requests that are being answered are finished; an error says that some were not.
func (e *Edge) Serve(ctx context.Context, listener net.Listener, stopping Stopping) error {
	server := &http.Server{
		Handler:           e,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      45 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(e.log.Handler(), slog.LevelDebug), // what scanners do to any open port
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(netutil.LimitListener(listener, maxConnections)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	e.stopping.Store(true)
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-time.After(stopping.Delay):
	}
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopping.Timeout)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		return errors.Join(fmt.Errorf("requests were cut off after %s: %w", stopping.Timeout, err), server.Close())
	}
	return nil
}
