package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"latchkey/db/dbtest"
	"latchkey/internal/leaks"
)

func TestAPageOfAnotherOriginCanDoNothing(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		b := newBrowser(s)
		b.login(t, "COOKIES")
		for name, headers := range map[string][]string{
			"cross-site":                 {"Sec-Fetch-Site", "cross-site"},
			"same-site":                  {"Sec-Fetch-Site", "same-site"},
			"an evil origin":             {"Origin", "https://evil.example"},
			"null":                       {"Origin", "null"},
			"a longer host":              {"Origin", allowedOrigin + ".evil.example"},
			"a host in front":            {"Origin", "https://evil.app.example.com"},
			"another port":               {"Origin", allowedOrigin + ":8443"},
			"another scheme":             {"Origin", "http://app.example.com"},
			"nothing at all":             {},
			"cross-site with its origin": {"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"},
		} {
			t.Run(name, func(t *testing.T) {
				s.log.Reset()
				for _, operation := range []string{
					`mutation { login(input: {email: "ada@example.com", password: "correct horse battery staple", delivery: COOKIES}) { __typename } }`,
					`mutation { refreshToken { __typename } }`, `mutation { revokeSession { revoked } }`, `{ me { id } }`,
				} {
					body, err := json.Marshal(map[string]string{"query": operation})
					if err != nil {
						t.Fatal(err)
					}
					for _, method := range []string{http.MethodPost, http.MethodGet} {
						request := s.request(t, string(body))
						request.Method = method
						if method == http.MethodGet {
							request.Body, request.ContentLength = http.NoBody, 0
							request.URL.RawQuery = "query=" + url.QueryEscape(operation)
						}
						for i := 0; i < len(headers); i += 2 {
							request.Header.Set(headers[i], headers[i+1])
						}
						for cookie, value := range b.cookies {
							request.AddCookie(&http.Cookie{Name: cookie, Value: value})
						}
						a := s.do(t, request)
						want(t, "status", a.Status, http.StatusForbidden)
						want(t, "code", a.code(), "FORBIDDEN")
						want(t, "cookies", len(a.cookies(t)), 0)
						want(t, "Access-Control-Allow-Origin", a.Header.Get("Access-Control-Allow-Origin"), "")
					}
				}
				want(t, "statements", strings.Count(s.log.String(), `"msg":"statement"`), 0)
			})
		}
	})
}

func TestPagesOfTheServerAndOfAllowedOriginsAreLetIn(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		b := newBrowser(s)
		b.login(t, "COOKIES")
		for name, headers := range map[string][]string{
			"same origin":         {"Sec-Fetch-Site", "same-origin"},
			"typed by the user":   {"Sec-Fetch-Site", "none"},
			"the server's origin": {"Origin", s.URL},
			"its public one":      {"Origin", publicURL},
			"an allowed one":      {"Origin", allowedOrigin, "Sec-Fetch-Site", "same-site"},
			"no browser":          {"Apollo-Require-Preflight", "1"},
		} {
			request := s.request(t, `{"query":"{ me { email } }"}`)
			for i := 0; i < len(headers); i += 2 {
				request.Header.Set(headers[i], headers[i+1])
			}
			for cookie, value := range b.cookies {
				request.AddCookie(&http.Cookie{Name: cookie, Value: value})
			}
			a := s.do(t, request)
			want(t, name, string(a.Data["me"]), `{"email":"ada@example.com"}`)
			shared := map[bool]string{true: allowedOrigin}[name == "an allowed one"]
			want(t, name+": Access-Control-Allow-Origin", a.Header.Get("Access-Control-Allow-Origin"), shared)
			want(t, name+": the clock", strings.Contains(a.Header.Get("Access-Control-Expose-Headers"), "Date"), shared != "")
			want(t, name+": Vary", strings.Contains(strings.Join(a.Header.Values("Vary"), ","), "Origin"), true)
		}
	})
}

func TestOnlyAllowedOriginsPassAPreflight(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	for origin, allowed := range map[string]bool{
		allowedOrigin: true, "https://evil.example": false, "null": false, allowedOrigin + ".evil.example": false, "http://app.example.com": false,
	} {
		a := s.preflight(t, origin)
		got := a.Header.Get("Access-Control-Allow-Origin")
		want(t, origin, got, map[bool]string{true: origin}[allowed])
		want(t, origin+": with cookies", a.Header.Get("Access-Control-Allow-Credentials"), map[bool]string{true: "true"}[allowed])
		want(t, origin+": headers", strings.Contains(strings.ToLower(a.Header.Get("Access-Control-Allow-Headers")), "authorization"), allowed)
		want(t, origin+": wildcards", strings.Contains(got, "*"), false)
	}
}

func TestWhereNoOriginIsAllowedNonePassesAPreflight(t *testing.T) {
	s := newExplorable(t, dbtest.SQLite(t))
	for _, origin := range []string{allowedOrigin, "https://evil.example", "null"} {
		want(t, origin, s.preflight(t, origin).Header.Get("Access-Control-Allow-Origin"), "")
	}
}

// preflight asks what a page of an origin may send, as its browser does.
func (s *server) preflight(t *testing.T, origin string) *answer {
	t.Helper()
	request := s.request(t, "")
	request.Method = http.MethodOptions
	request.Header.Set("Origin", origin)
	request.Header.Set("Access-Control-Request-Method", "POST")
	request.Header.Set("Access-Control-Request-Headers", "apollographql-client-name,authorization,content-type,latchkey-session,x-apollo-operation-name")
	return s.do(t, request)
}

func TestRefusalsAreCountedByKind(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	tokens := s.signUp(t)
	s.mutate(t, loginMutation, map[string]any{"email": email, "password": "wrong"}, "")
	s.refresh(t, "lkr1.x")
	s.me(t, "nonsense")
	s.me(t, "")
	s.do(t, s.request(t, "{"))
	s.ask(t, `{`+strings.Repeat(" a: __typename", 400)+`}`, nil, "")
	foreign := s.request(t, `{"query":"{ __typename }"}`)
	foreign.Header.Set("Origin", "https://evil.example")
	s.do(t, foreign)
	s.refresh(t, s.refresh(t, tokens.RefreshToken).RefreshToken)
	s.clock.Advance(time.Minute)
	for range 2 {
		s.refresh(t, tokens.RefreshToken) // a thief's, or a victim's
	}
	text := s.scrape(t)
	for _, line := range []string{
		`latchkey_refusals_total{kind="INVALID_CREDENTIALS"} 1`, `latchkey_refusals_total{kind="INVALID_REFRESH_TOKEN"} 1`,
		`latchkey_refusals_total{kind="UNAUTHENTICATED:TOKEN_INVALID"} 1`,
		`latchkey_refusals_total{kind="BAD_REQUEST"} 1`, `latchkey_refusals_total{kind="OPERATION_TOO_LARGE"} 1`,
		`latchkey_refusals_total{kind="FORBIDDEN"} 1`, `latchkey_refusals_total{kind="REUSE_DETECTED"} 2`,
	} {
		want(t, line, strings.Contains(text, line), true)
	}
}

// scrape returns what Prometheus is told.
func (s *server) scrape(t testing.TB) string {
	t.Helper()
	answer := httptest.NewRecorder()
	s.metrics.Handler().ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/metrics", nil))
	want(t, "status", answer.Code, http.StatusOK)
	leaks.Scan("metrics", answer.Body.Bytes())
	return answer.Body.String()
}
