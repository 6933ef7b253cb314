package web

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"latchkey/auth"
	"latchkey/graph"
	"latchkey/telemetry"
)

// maxUserAgent is how many bytes of a User-Agent are kept.
const maxUserAgent = 512

// identify gives a request its id, which a client can quote and an operator find in the log. One that
// the client sends is ignored: it could be anything, and anybody's. The trace that a client names is taken over (W3C Trace
// Context), and the answer names the one that the request belongs to.
func (e *Edge) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := uuid.NewString()
		w.Header().Set("X-Request-Id", id)
		ctx := telemetry.WithRequestID(r.Context(), id)
		if parent := r.Header.Get("Traceparent"); parent != "" {
			ctx = telemetry.Propagation.Extract(ctx, propagation.MapCarrier{"traceparent": parent}) // tracestate can be anything
		}
		if isPolled(r) {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		ctx, span := e.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		if span.IsRecording() {
			span.SetAttributes(attribute.String("latchkey.request_id", id))
		}
		telemetry.Propagation.Inject(ctx, propagation.HeaderCarrier(w.Header()))
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// method returns that of a request, if it is one of HTTP's: a client can send any word.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "OTHER"
}

// isPolled reports whether programs ask for the path over and over: such requests would drown the others.
func isPolled(r *http.Request) bool {
	return r.URL.Path == "/healthz" || r.URL.Path == "/readyz" || r.URL.Path == endedPath
}

func requestID(r *http.Request) string { return telemetry.RequestID(r.Context()) }

// logAccess writes one line per request. No header, no query string and no path that is not one of ours is in it.
func (e *Edge) logAccess(next *http.ServeMux) http.Handler {
	recovered := e.recoverPanic(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		recorded := &recorder{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			level := slog.LevelInfo
			if isPolled(r) && recorded.status < http.StatusInternalServerError {
				level = slog.LevelDebug
			}
			route, path := r.Pattern, r.URL.Path // http.ServeMux notes the route
			if route == "" {                     // it can be anything, a token too
				path = "no such path"
			}
			e.log.LogAttrs(r.Context(), level, "request", slog.String("method", method(r)), slog.String("path", path),
				slog.Int("status", recorded.status), slog.Int("bytes", recorded.bytes),
				slog.Duration("duration", time.Since(start)), slog.String("ip", e.clientIP(r)))
			if span := trace.SpanFromContext(r.Context()); span.IsRecording() {
				span.SetName(cmp.Or(route, path))
				span.SetAttributes(attribute.Int("http.response.status_code", recorded.status))
			}
		}()
		recovered.ServeHTTP(recorded, r)
	})
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status, bytes int
	written       bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.written {
		r.status, r.written = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.written = true
	n, err := r.ResponseWriter.Write(p)
	r.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// recoverPanic is the last resort: gqlgen recovers from panics in resolvers before.
func (e *Edge) recoverPanic(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			value := recover()
			if value == nil {
				return
			}
			if err, ok := value.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(value)
			}
			graph.LogPanic(r.Context(), e.log, value)
			e.refuse(w, r, refusal{http.StatusInternalServerError, graph.InternalServerError,
				"Something went wrong here. The log says what, under this request id."})
		}()
		next.ServeHTTP(w, r)
	})
}

// errTwoCredentials says that a request has one credential twice: proxies and servers differ in which of them
// counts (RFC 6750 §2 has one).
var errTwoCredentials = errors.New("one credential, twice")

// bearerToken returns the bearer token of a request as it was sent, possibly empty, or nil where it has none
// (RFC 6750 §2.1), and whether there is an Authorization header at all.
func bearerToken(r *http.Request) (token *auth.Secret, given bool, err error) {
	headers := r.Header.Values("Authorization")
	if len(headers) == 0 {
		return nil, false, nil
	}
	if len(headers) > 1 {
		return nil, true, errTwoCredentials
	}
	scheme, credentials, _ := strings.Cut(headers[0], " ")
	if !strings.EqualFold(scheme, "Bearer") { // RFC 9110 §11.1
		return nil, true, nil
	}
	bearer := auth.Secret(strings.TrimLeft(credentials, " "))
	return &bearer, true, nil
}

func (e *Edge) clientOf(r *http.Request) auth.Client {
	return auth.Client{UserAgent: userAgent(r), IP: e.clientIP(r)}
}

// userAgent returns what a client calls itself, fit to be shown.
func userAgent(r *http.Request) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(r.UserAgent(), ""))
	for len(text) > maxUserAgent {
		_, size := utf8.DecodeLastRuneInString(text[:maxUserAgent+1])
		text = text[:maxUserAgent+1-size]
	}
	return strings.TrimSpace(text)
}

// clientIP returns the address that a request comes from: that at the other end of the connection or, as long as
// this is a trusted proxy, the one that it says to have the request from. Each proxy adds to the right of
// X-Forwarded-For, so what stands to the left of the first that is not trusted is hearsay.
func (e *Edge) clientIP(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	address := peer.Addr().Unmap().WithZone("")
	if len(e.proxies) > 0 {
		hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		for i := len(hops) - 1; i >= 0 && e.trusts(address); i-- {
			hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
			if err != nil {
				break
			}
			address = hop.Unmap().WithZone("")
		}
	}
	return address.String()
}

func (e *Edge) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(e.proxies, func(network netip.Prefix) bool { return network.Contains(address) })
}
