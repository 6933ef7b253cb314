package web_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
	"latchkey/graph"
	"latchkey/telemetry"
	"latchkey/web"
)

// BenchmarkEdge is what a request costs from its header to its answer, without a network: on a real service and SQLite.
//
//	go test ./web -run '^$' -bench Edge -benchmem -count 10 | benchstat -
func BenchmarkEdge(b *testing.B) {
	const userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	log := slog.New(telemetry.LogHandler(slog.NewJSONHandler(io.Discard, nil))) // as in production, with a line per request
	service, store := authtest.NewService(b, authtest.Options{URL: dbtest.SQLite(b), Log: log})
	metrics := web.NewMetrics()
	edge, err := web.New(web.Options{
		Executor:   graph.NewExecutor(service, log, graph.Options{Metrics: metrics}),
		PublicKeys: service.PublicKeys, ClockSkew: inStep(store), Log: log, Metrics: metrics,
		PublicURL: publicURL, AllowedOrigins: []string{allowedOrigin},
	})
	if err != nil {
		b.Fatal(err)
	}
	tokens, err := service.SignUp(b.Context(), auth.SignUpRequest{Email: email, Password: password}, auth.Client{})
	if err != nil {
		b.Fatal(err)
	}
	for range 9 { // for a longer answer
		if _, err := service.Login(b.Context(), auth.LoginRequest{Email: email, Password: password}, auth.Client{UserAgent: userAgent}); err != nil {
			b.Fatal(err)
		}
	}
	text := func(query string, variables map[string]any) []byte {
		body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
		if err != nil {
			b.Fatal(err)
		}
		return body
	}
	request := func(accessToken string) *http.Request {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/graphql", nil)
		if err != nil {
			b.Fatal(err)
		}
		r.RemoteAddr = "192.0.2.1:4711"
		r.Header = http.Header{
			"Accept":          {"application/graphql-response+json, application/json"},
			"Accept-Encoding": {"gzip, deflate, br"}, "Accept-Language": {"en"},
			"Content-Type": {"application/json"},
			"Origin":       {allowedOrigin}, "Sec-Fetch-Site": {"same-site"},
			"User-Agent": {userAgent},
		}
		if accessToken != "" {
			r.Header.Set("Authorization", "Bearer "+accessToken)
		}
		return r
	}
	const (
		me       = `query Me { me { id email name role createdAt } }`
		sessions = `query Sessions { me { sessions { id createdAt lastUsedAt expiresAt deviceName userAgent ip current } } }`
	)
	run := func(name string, r *http.Request, body []byte, want string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			answer := &answerBuffer{header: http.Header{}}
			for b.Loop() {
				answer.reset()
				r.Body = io.NopCloser(bytes.NewReader(body))
				edge.ServeHTTP(answer, r)
			}
			if !bytes.Contains(answer.body.Bytes(), []byte(want)) {
				b.Fatalf("got %s", answer.body.String())
			}
		})
	}
	signedIn := tokens.AccessToken.Reveal()
	run("me", request(signedIn), text(me, nil), email)
	run("sessions", request(signedIn), text(sessions, nil), "Firefox")
	run("unauthenticated", request(""), text(me, nil), "UNAUTHENTICATED")
	run("refreshToken", request(""), // the same again and again: a retry, which reads and makes tokens and writes nothing
		text(refreshMutation, map[string]any{"input": map[string]any{"refreshToken": tokens.RefreshToken.Reveal()}}), "AuthSuccess")
	health := request("")
	health.Method, health.URL.Path = http.MethodGet, "/healthz"
	run("healthz", health, nil, "ok")
}

// answerBuffer is a client that reads its answer and is used again.
type answerBuffer struct {
	header http.Header
	body   bytes.Buffer
}

func (a *answerBuffer) reset() {
	clear(a.header)
	a.body.Reset()
}

func (a *answerBuffer) Header() http.Header         { return a.header }
func (a *answerBuffer) Write(p []byte) (int, error) { return a.body.Write(p) }
func (a *answerBuffer) WriteHeader(int)             {}
