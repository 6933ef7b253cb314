package web_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"latchkey/db/dbtest"
)

const wrongPassword = "a wrong password, quite long"

// tryLogin sends a login with a wrong password, and with headers, and returns the code of the failure.
func (s *server) tryLogin(t *testing.T, email string, headers map[string][]string) string {
	t.Helper()
	request := s.request(t, withVariables(loginMutation, `{"input":{"email":"`+email+`","password":"`+wrongPassword+`"}}`))
	for name, values := range headers {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	a := s.do(t, request)
	if code := a.code(); code != "" {
		return code
	}
	_, rest, _ := strings.Cut(a.Body, `"code":"`)
	code, _, _ := strings.Cut(rest, `"`)
	return code
}

func TestTooManyAttemptsAreDataAndSayWhenToGoOn(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		for range 10 {
			want(t, "code", s.tryLogin(t, email, nil), "INVALID_CREDENTIALS")
		}
		refused := s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "")
		want(t, "code", refused.Code, "TOO_MANY_ATTEMPTS")
		want(t, "retryAt", refused.RetryAt, s.clock.Now().Add(90*time.Second).Format("2006-01-02T15:04:05.000Z"))
		s.clock.Advance(90 * time.Second)
		want(t, "type", s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "").Typename, "AuthSuccess")
	})
}

// A19, over HTTP and with as many connections as there are attempts.
func TestAttemptsAtOnceAreCountedBeforeTheyAreEvaluated(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		var evaluated atomic.Int32
		var group sync.WaitGroup
		for range 100 {
			group.Go(func() {
				switch code := s.tryLogin(t, email, nil); code {
				case "INVALID_CREDENTIALS":
					evaluated.Add(1)
				case "TOO_MANY_ATTEMPTS", "RATE_LIMITED":
				default:
					t.Errorf("got %s", code)
				}
			})
		}
		group.Wait()
		want(t, "evaluated", evaluated.Load(), 10)
	})
}

// A20: everybody here comes from 127.0.0.1, whatever they say.
func TestNoHeaderOfAStrangersMovesAnAttemptToAnotherAddress(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		spoofed := func(i int) map[string][]string {
			ip := fmt.Sprintf("203.0.113.%d", i)
			return map[string][]string{
				"X-Forwarded-For": {ip}, "Forwarded": {"for=" + ip}, "X-Real-IP": {ip}, "X-Client-IP": {ip},
				"CF-Connecting-IP": {ip}, "True-Client-IP": {ip},
			}
		}
		for i := range 100 {
			want(t, "code", s.tryLogin(t, fmt.Sprintf("user%d@example.com", i), spoofed(i)), "INVALID_CREDENTIALS")
		}
		want(t, "code", s.tryLogin(t, "another@example.com", spoofed(101)), "TOO_MANY_ATTEMPTS")
		want(t, "spoofed addresses in the log", strings.Contains(s.log.String(), "203.0.113."), false)
	})
}

func TestATrustedProxySaysWhereARequestComesFrom(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ffff::/48")}
	dbtest.Each(t, func(t *testing.T, url string) {
		s := startServer(t, url, &server{proxies: proxies})
		for name, test := range map[string]struct {
			forwarded []string
			want      string
		}{
			"nothing said":             {nil, "127.0.0.1"},
			"one hop":                  {[]string{"203.0.113.7"}, "203.0.113.7"},
			"hearsay to the left":      {[]string{"198.51.100.1, 203.0.113.7"}, "203.0.113.7"},
			"hearsay in another line":  {[]string{"198.51.100.1", "203.0.113.7"}, "203.0.113.7"},
			"two proxies":              {[]string{"198.51.100.1, 203.0.113.7, 10.1.2.3"}, "203.0.113.7"},
			"proxies only":             {[]string{"10.9.9.9, 10.1.2.3"}, "10.9.9.9"},
			"not an address":           {[]string{"203.0.113.7, unknown, 10.1.2.3"}, "10.1.2.3"},
			"with a port":              {[]string{"203.0.113.7:1234"}, "127.0.0.1"},
			"IPv4 in IPv6":             {[]string{"203.0.113.7, ::ffff:10.1.2.3"}, "203.0.113.7"},
			"IPv6, behind a proxy":     {[]string{"2001:db8:1::7, 2001:db8:ffff::1"}, "2001:db8:1::7"},
			"IPv6, with a zone":        {[]string{"fe80::1%eth0"}, "fe80::1"},
			"an empty element, and so": {[]string{"203.0.113.7, "}, "127.0.0.1"},
		} {
			s.log.Reset()
			s.tryLogin(t, fmt.Sprintf("user%d@example.com", len(name)), map[string][]string{"X-Forwarded-For": test.forwarded})
			if !strings.Contains(s.log.String(), `"ip":"`+test.want+`"`) {
				t.Errorf("%s: the log does not have %s: %s", name, test.want, s.log)
			}
		}
	})
}

func TestABrowserThatSignedInBeforeIsNotKeptOutByStrangers(t *testing.T) {
	for _, delivery := range []string{"BODY", "REFRESH_COOKIE", "COOKIES"} {
		t.Run(delivery, func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				s.signUp(t)
				b := newBrowser(s)
				_, a := b.login(t, delivery)
				var device *http.Cookie
				for _, cookie := range a.allCookies(t) {
					if cookie.Name == deviceCookie {
						device = cookie
					}
				}
				want(t, "Max-Age", time.Duration(device.MaxAge)*time.Second, 400*24*time.Hour)
				for range 10 {
					want(t, "code", s.tryLogin(t, email, nil), "INVALID_CREDENTIALS")
				}
				want(t, "a stranger", s.tryLogin(t, email, nil), "TOO_MANY_ATTEMPTS")
				r, a := b.login(t, delivery)
				want(t, "the browser", r.Typename, "AuthSuccess")
				want(t, "the cookie stays as it is", len(a.allCookies(t)) == len(a.cookies(t)), true)
				b.ask(t, `mutation { revokeSession(input: {sessionId: "`+r.Session.ID+`"}) { revoked } }`, nil, r.AccessToken)
				want(t, "and outlives the session", b.cookies[deviceCookie], device.Value)
			})
		})
	}
}

func TestTheAccountIsAConnectionAsRelayHasIt(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		tokens := s.signUp(t)
		for range 3 {
			s.clock.Advance(time.Second)
			s.tryLogin(t, email, map[string][]string{"User-Agent": {"stranger/1"}})
		}
		page := func(arguments string) (kinds []string, info struct {
			HasNextPage, HasPreviousPage bool
			StartCursor, EndCursor       string
		}) {
			t.Helper()
			a := s.ask(t, `{ me { sessionEvents`+arguments+` { edges { cursor node { id kind createdAt userAgent ip sessionId actorId reason endedCount } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }`, nil, tokens.AccessToken)
			var me struct {
				SessionEvents struct {
					Edges []struct {
						Cursor string
						Node   struct{ Kind, UserAgent, IP string }
					}
					PageInfo struct {
						HasNextPage, HasPreviousPage bool
						StartCursor, EndCursor       string
					}
				}
			}
			decode(t, a, "me", &me)
			for _, edge := range me.SessionEvents.Edges {
				kinds = append(kinds, edge.Node.Kind)
				want(t, "where", edge.Node.IP, "127.0.0.1")
			}
			if edges := me.SessionEvents.Edges; len(edges) > 0 {
				want(t, "start", me.SessionEvents.PageInfo.StartCursor, edges[0].Cursor)
				want(t, "end", me.SessionEvents.PageInfo.EndCursor, edges[len(edges)-1].Cursor)
			}
			return kinds, me.SessionEvents.PageInfo
		}
		kinds, info := page(`(first: 3)`)
		want(t, "kinds", fmt.Sprint(kinds), "[LOGIN_FAILED LOGIN_FAILED LOGIN_FAILED]")
		want(t, "before and behind", fmt.Sprint(info.HasPreviousPage, info.HasNextPage), "false true")
		kinds, info = page(`(first: 3, after: "` + info.EndCursor + `")`)
		want(t, "kinds", fmt.Sprint(kinds), "[SIGN_UP]")
		want(t, "before and behind", fmt.Sprint(info.HasPreviousPage, info.HasNextPage), "true false")
		kinds, info = page(`(after: "` + info.EndCursor + `")`)
		want(t, "kinds", fmt.Sprint(kinds), "[]")
		want(t, "no cursor", info.EndCursor, "")
		kinds, _ = page(``)
		want(t, "kinds", len(kinds), 4)
		for _, arguments := range []string{`(first: 0)`, `(first: 101)`, `(after: "x")`} {
			a := s.ask(t, `{ me { sessionEvents`+arguments+` { edges { cursor } } } }`, nil, tokens.AccessToken)
			want(t, arguments, a.code(), "BAD_USER_INPUT")
		}
	})
}
