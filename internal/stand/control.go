package stand

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// errNoSuch is for what the control does not have.
var errNoSuch = errors.New("there is no such thing to do")

// control returns what programs drive the stand by. A POST is answered, with 204, once the thing is done.
//
//	GET  /                    {"url": …, "origins": […]}
//	POST /server/stop         by SIGTERM
//	POST /server/kill         by SIGKILL
//	POST /server/start        it is ready when this is answered
//	POST /server/restart      stop, where it runs, and start
//	POST /database/stop       ?mode=fast or immediate, as pg_ctl has them; of Options.Postgres only
//	POST /database/start
//	POST /answers/cut         the server answers, and nobody gets it: the connection is closed without a byte
//	POST /answers/delay       ?for=500ms
//	POST /answers/refuse      ?status=503, and &retryAfter=1, and &readable=yes for pages of other origins; the server is not asked
//	POST /answers/clear       forget what is still to be done to answers
//	GET  /requests            the operations since the start or the last clear, oldest first: see seen
//	POST /requests/clear
//
// The first three of /answers take &operation=NAME, without which they mean any, and &times=2, without which they mean the
// next one. Preflights are never among them.
func (s *Stand) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, map[string]any{"url": s.URL, "origins": append([]string{}, s.Origins...)})
	})
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) {
		s.proxy.mu.Lock()
		defer s.proxy.mu.Unlock()
		writeJSON(w, append([]*seen{}, s.proxy.seen...))
	})
	post := func(path string, do func(*http.Request) error) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			err := do(r)
			switch {
			case errors.Is(err, errNoSuch):
				http.Error(w, err.Error(), http.StatusBadRequest)
			case err != nil:
				http.Error(w, err.Error(), http.StatusInternalServerError)
			default:
				w.WriteHeader(http.StatusNoContent)
			}
		})
	}
	post("/requests/clear", func(*http.Request) error {
		s.proxy.mu.Lock()
		defer s.proxy.mu.Unlock()
		s.proxy.seen = nil
		return nil
	})
	post("/answers/clear", func(*http.Request) error {
		s.proxy.mu.Lock()
		defer s.proxy.mu.Unlock()
		s.proxy.faults = nil
		return nil
	})
	post("/answers/{kind}", func(r *http.Request) error {
		fault, err := parseFault(r)
		if err != nil {
			return err
		}
		s.proxy.mu.Lock()
		defer s.proxy.mu.Unlock()
		s.proxy.faults = append(s.proxy.faults, fault)
		return nil
	})
	post("/server/{what}", func(r *http.Request) error {
		s.one.Lock()
		defer s.one.Unlock()
		return s.operateServer(r.PathValue("what"))
	})
	post("/database/{what}", func(r *http.Request) error {
		s.one.Lock()
		defer s.one.Unlock()
		return s.operateDatabase(r.PathValue("what"), r.FormValue("mode"))
	})
	return mux
}

func parseFault(r *http.Request) (*fault, error) {
	f := &fault{
		kind: r.PathValue("kind"), operation: r.FormValue("operation"), times: 1,
		retryAfter: r.FormValue("retryAfter"), readable: r.FormValue("readable") == "yes",
	}
	var err error
	if times := r.FormValue("times"); times != "" {
		if f.times, err = strconv.Atoi(times); err != nil || f.times < 1 {
			return nil, fmt.Errorf("%w: times=%s", errNoSuch, times)
		}
	}
	switch f.kind {
	case "cut":
	case "delay":
		f.wait, err = time.ParseDuration(r.FormValue("for"))
	case "refuse":
		f.status, err = strconv.Atoi(r.FormValue("status"))
		if err == nil && (f.status < 400 || f.status > 599) {
			err = fmt.Errorf("status=%d is no refusal", f.status)
		}
	default:
		err = errors.New(f.kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoSuch, err)
	}
	return f, nil
}

// operateServer starts and ends the server. It does not end with the request that asked for it.
func (s *Stand) operateServer(what string) error {
	switch what {
	case "start":
		return s.server.start(context.Background())
	case "stop":
		return s.server.stop(syscall.SIGTERM)
	case "kill":
		return s.server.stop(syscall.SIGKILL)
	case "restart":
		if err := s.server.stop(syscall.SIGTERM); err != nil && !errors.Is(err, errNotRunning) {
			return err
		}
		return s.server.start(context.Background())
	}
	return fmt.Errorf("%w: %s", errNoSuch, what)
}

func (s *Stand) operateDatabase(what, mode string) error {
	if s.postgres == nil {
		return fmt.Errorf("%w: this stand's database is not its own to stop", errNoSuch)
	}
	switch {
	case what == "start":
		return s.attempt(func(t testing.TB) { s.postgres.Start(t) })
	case what == "stop" && (mode == "fast" || mode == "immediate"):
		return s.attempt(func(t testing.TB) { s.postgres.Stop(t, mode) })
	}
	return fmt.Errorf("%w: %s, mode %q", errNoSuch, what, mode)
}

// attempt does what may fail a test, and returns why it would have: only the goroutine of a test may fail it, and this one
// is that of a request.
func (s *Stand) attempt(do func(testing.TB)) error {
	attempted := &attempt{TB: s.t}
	over := make(chan struct{})
	go func() {
		defer close(over)
		do(attempted)
	}()
	<-over
	return attempted.err
}

type attempt struct {
	testing.TB
	err error
}

// Fatal overrides that of the test.
func (a *attempt) Fatal(args ...any) {
	a.err = errors.New(fmt.Sprint(args...))
	runtime.Goexit()
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
