package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"latchkey/auth"
)

// healthz says that the process lives. It does not ask the database: restarting a server does not bring
// one back.
func (e *Edge) healthz(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok\n") }

// readyz says whether to send requests here: not while the database is away, nor while its clock and this machine's differ
// so far that tokens and sessions would end too early or too late, nor while shutting down.
func (e *Edge) readyz(w http.ResponseWriter, r *http.Request) {
	problem := e.unready(r.Context())
	e.metrics.setReady(problem == "")
	if problem != "" {
		writeText(w, http.StatusServiceUnavailable, problem+"\n")
		return
	}
	writeText(w, http.StatusOK, "ready\n")
}

// unready returns why no requests are to be sent here, or nothing.
func (e *Edge) unready(ctx context.Context) string {
	if e.stopping.Load() {
		return "shutting down"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second) // who hangs up says nothing of the database
	defer cancel()
	if err := e.probes.Lately(ctx); err != nil {
		return "the database does not answer"
	}
	if skew := time.Duration(e.skew.Load()); skew.Abs() > auth.MaxClockSkew {
		return fmt.Sprintf("the database's clock differs by %s", skew.Round(time.Second))
	}
	return ""
}

// probeEvery is the least time between two questions to the database about its clock, whoever asks for /readyz.
const probeEvery = 250 * time.Millisecond

// probe asks the database about its clock.
func (e *Edge) probe(ctx context.Context) error {
	skew, err := e.clockSkew(ctx)
	if err != nil {
		return err
	}
	e.skew.Store(int64(skew))
	e.metrics.setClockSkew(skew)
	return nil
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
