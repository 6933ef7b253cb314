// Package web is the HTTP edge: it reads requests strictly, hands operations to package graph, and
// answers in the shapes of GraphQL over HTTP. It never repeats what was sent.
package web

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/go-jose/go-jose/v4"
	"go.opentelemetry.io/otel/trace"

	"latchkey/auth"
	"latchkey/internal/looks"
	"latchkey/telemetry"
	"latchkey/token"
)

// Options are what an Edge is made of. Executor, PublicKeys, ClockSkew, Log and Metrics must be set.
type Options struct {
	Executor   *executor.Executor
	PublicKeys func(context.Context) jose.JSONWebKeySet // what access tokens are verified by
	// ClockSkew says how far the database's clock is ahead, if it answers: for /readyz.
	ClockSkew func(context.Context) (time.Duration, error)
	Log       *slog.Logger
	Metrics   *Metrics
	Traces    trace.TracerProvider // nil: requests are not traced

	// TrustedProxies are the networks whose X-Forwarded-For says where a request comes from.
	TrustedProxies  []netip.Prefix
	PublicURL       string   // the URL that clients know; with https they are told to use no other
	AllowedOrigins  []string // of pages that may send operations, besides those of PublicURL
	InsecureCookies bool     // development only: cookies for browsers that take no __Host- over http

	// EndedSince tells services which sessions ended; ServiceKeys, of which each must be long and random, let them ask.
	// Without a key there is no such path.
	EndedSince  func(ctx context.Context, cursor string) (*token.Ended, error)
	ServiceKeys []auth.Secret

	Schema   []byte // served at /schema.graphql, unless it is nil
	Explorer bool   // whether / is a page to explore the schema with; it needs introspection
}

// Edge is the server's http.Handler.
type Edge struct {
	executor   *executor.Executor
	publicKeys func(context.Context) jose.JSONWebKeySet
	clockSkew  func(context.Context) (time.Duration, error)
	log        *slog.Logger
	metrics    *Metrics
	tracer     trace.Tracer
	origins    *origins
	cookies    cookies
	proxies    []netip.Prefix
	headers    http.Header // of every answer
	stopping   atomic.Bool
	probes     *looks.Looks
	skew       atomic.Int64 // the clock's, in nanoseconds, as probe found it
	handler    http.Handler
}

// New returns the handler of all paths. Its error says that an origin is malformed.
func New(options Options) (*Edge, error) {
	origins, err := newOrigins(options.PublicURL, options.AllowedOrigins)
	if err != nil {
		return nil, err
	}
	if options.Traces == nil {
		options.Traces = telemetry.NoTraces()
	}
	e := &Edge{
		tracer:   options.Traces.Tracer("latchkey"),
		executor: options.Executor, publicKeys: options.PublicKeys, clockSkew: options.ClockSkew, log: options.Log, metrics: options.Metrics,
		origins: origins, cookies: cookies{insecure: options.InsecureCookies}, proxies: options.TrustedProxies,
		headers: http.Header{
			"Cache-Control":                {"no-store"}, // RFC 6749 §5.1
			"X-Content-Type-Options":       {"nosniff"},
			"Content-Security-Policy":      {"default-src 'none'; frame-ancestors 'none'"},
			"Referrer-Policy":              {"no-referrer"},
			"Cross-Origin-Resource-Policy": {"same-origin"}, // of what is fetched without CORS
		},
	}
	if strings.HasPrefix(options.PublicURL, "https:") {
		e.headers.Set("Strict-Transport-Security", "max-age=31536000")
	}
	e.probes = looks.New(probeEvery, e.probe)
	mux := http.NewServeMux()
	mux.Handle("/graphql", origins.cors.Handler(http.HandlerFunc(e.graphql)))
	mux.HandleFunc("GET /healthz", e.healthz)
	mux.HandleFunc("GET /readyz", e.readyz)
	if err := e.handleWellKnown(mux, options.PublicURL); err != nil {
		return nil, err
	}
	if len(options.ServiceKeys) > 0 {
		mux.Handle("GET "+endedPath, endedHandler(options.EndedSince, options.ServiceKeys, options.Log))
	}
	if options.Schema != nil {
		mux.Handle("GET /schema.graphql", fileHandler(bytes.NewReader(options.Schema), "text/plain"))
	}
	if options.Explorer {
		if err := handleExplorer(mux); err != nil {
			return nil, err
		}
	}
	e.handler = e.identify(e.logAccess(mux))
	return e, nil
}

// ServeHTTP implements http.Handler.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	maps.Copy(header, e.headers) // the values are shared: a handler sets others, and changes none in place
	if e.stopping.Load() {
		header.Set("Connection", "close") // the next request on it would come when nobody listens
	}
	e.handler.ServeHTTP(w, r)
}
