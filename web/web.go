// Package web is the HTTP edge: it reads requests strictly, hands operations to package graph, and
// answers in the shapes of GraphQL over HTTP. It never repeats what was sent.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql/executor"
)

// Edge is the server's http.Handler.
type Edge struct {
	executor *executor.Executor
	ping     func(context.Context) error
	log      *slog.Logger
	stopping atomic.Bool
	handler  http.Handler
}

// New returns the handler of all paths. ping says whether the database answers, for /readyz.
func New(executor *executor.Executor, ping func(context.Context) error, log *slog.Logger) *Edge {
	e := &Edge{executor: executor, ping: ping, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("/graphql", e.graphql)
	mux.HandleFunc("GET /healthz", e.healthz)
	mux.HandleFunc("GET /readyz", e.readyz)
	e.handler = e.identify(e.logAccess(e.recoverPanic(mux)))
	return e
}

// ServeHTTP implements http.Handler.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store") // RFC 6749 §5.1
	header.Set("X-Content-Type-Options", "nosniff")
	e.handler.ServeHTTP(w, r)
}
