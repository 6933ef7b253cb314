package web

import (
	"context"
	"io"
	"net/http"
	"time"
)

// healthz says that the process lives. It does not ask the database: restarting a server does not bring
// one back.
func (e *Edge) healthz(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") }

// readyz says whether to send requests here: not while the database is away, nor while shutting down.
func (e *Edge) readyz(w http.ResponseWriter, r *http.Request) {
	if e.stopping.Load() {
		writeText(w, http.StatusServiceUnavailable, "shutting down\n")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- e.ping(ctx) }() // which takes as long as a database operation may
	select {
	case err := <-answered:
		if err == nil {
			writeText(w, http.StatusOK, "ready\n")
			return
		}
	case <-ctx.Done():
	}
	writeText(w, http.StatusServiceUnavailable, "the database does not answer\n")
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
