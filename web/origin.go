package web

import (
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/rs/cors"
)

// origins decide which pages may send operations: those of this server and of the allowed origins.
type origins struct {
	protection *http.CrossOriginProtection
	cors       *cors.Cors
}

// preflightHeaders are headers that a page of another origin cannot send without asking first: a plain form,
// link or image has none of them. The named ones are what Apollo and others send for this purpose.
var preflightHeaders = []string{
	"Authorization", "Apollo-Require-Preflight", "X-Apollo-Operation-Name", "GraphQL-Require-Preflight", "X-Requested-With",
}

// sessionHeader names the session that a request is meant for: a page cannot see whose cookies are sent with it.
const sessionHeader = "Latchkey-Session"

// newOrigins takes the server's own URL, which proxies may hide from it, and origins in their exact spelling.
func newOrigins(publicURL string, allowed []string) (*origins, error) {
	protection := http.NewCrossOriginProtection()
	if parsed, err := url.Parse(publicURL); err == nil && parsed.Host != "" {
		if err := protection.AddTrustedOrigin(parsed.Scheme + "://" + parsed.Host); err != nil {
			return nil, fmt.Errorf("public URL: %w", err)
		}
	}
	for _, origin := range allowed {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("allowed origin: %w", err)
		}
	}
	options := cors.Options{
		AllowedOrigins: allowed,
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: append([]string{
			"Content-Type", sessionHeader, "X-Apollo-Operation-Id", "Apollographql-Client-Name", "Apollographql-Client-Version", "Traceparent",
		}, preflightHeaders...),
		// Date: a page refreshes ahead of accessTokenExpiresAt, which is by this server's clock.
		ExposedHeaders:   []string{"Date", "Retry-After", "WWW-Authenticate", "X-Request-Id", "Traceparent"},
		AllowCredentials: true,
		MaxAge:           int((10 * time.Minute).Seconds()),
	}
	if len(allowed) == 0 { // to rs/cors none means all
		options.AllowOriginFunc = func(string) bool { return false }
	}
	return &origins{protection: protection, cors: cors.New(options)}, nil
}

// allows reports whether a request may have come from a page that may send it, or from no page at all.
// http.CrossOriginProtection lets two kinds pass that it must not here: a GET, which is an operation too,
// and a request of a browser so old that it says nothing of where it comes from, but does send cookies.
func (o *origins) allows(r *http.Request, withCookies bool) bool {
	unsafe := *r
	unsafe.Method = http.MethodPost
	if o.protection.Check(&unsafe) != nil {
		return false
	}
	if !withCookies || r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" {
		return true
	}
	for _, name := range preflightHeaders {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}
