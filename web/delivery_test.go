package web_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"latchkey/db/dbtest"
	"latchkey/graph"
	"latchkey/web"
)

const (
	accessCookie  = "__Host-latchkey-access"
	refreshCookie = "__Host-latchkey-refresh"
	deviceCookie  = "__Host-latchkey-device"
)

// browser sends and keeps cookies as one does on a page of the server's own. It keeps them by itself, since
// http.CookieJar sends none that are Secure to a test's http server.
type browser struct {
	*server
	cookies map[string]string
}

func newBrowser(s *server) *browser { return &browser{server: s, cookies: map[string]string{}} }

func (b *browser) ask(t *testing.T, query string, variables map[string]any, accessToken string) *answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	request := b.request(t, string(body))
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	if accessToken != "" {
		request.Header.Set("Authorization", "Bearer "+accessToken)
	}
	for name, value := range b.cookies {
		request.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	a := b.do(t, request)
	for _, cookie := range a.allCookies(t) {
		if cookie.MaxAge < 0 {
			delete(b.cookies, cookie.Name)
		} else {
			b.cookies[cookie.Name] = cookie.Value
		}
	}
	return a
}

func (b *browser) mutate(t *testing.T, mutation string, input map[string]any) (result, *answer) {
	t.Helper()
	a := b.ask(t, mutation, map[string]any{"input": input}, "")
	var r result
	if err := json.Unmarshal(a.Data["result"], &r); err != nil {
		t.Fatalf("%v: %s", err, a.Body)
	}
	return r, a
}

func (b *browser) login(t *testing.T, delivery string) (result, *answer) {
	t.Helper()
	return b.mutate(t, loginMutation, map[string]any{"email": email, "password": password, "delivery": delivery})
}

// cookies returns those that the answer sets for a session.
func (a *answer) cookies(t *testing.T) []*http.Cookie {
	t.Helper()
	return slices.DeleteFunc(a.allCookies(t), func(cookie *http.Cookie) bool { return cookie.Name == deviceCookie })
}

// allCookies returns those that the answer sets, of which each must be as safe as can be.
func (a *answer) allCookies(t *testing.T) []*http.Cookie {
	t.Helper()
	cookies := (&http.Response{Header: a.Header}).Cookies()
	for _, cookie := range cookies {
		want(t, "HttpOnly", cookie.HttpOnly, true)
		want(t, "SameSite", cookie.SameSite, http.SameSiteStrictMode)
		want(t, "Path", cookie.Path, "/")
		want(t, "Domain", cookie.Domain, "")
		want(t, "Secure", cookie.Secure, strings.HasPrefix(cookie.Name, "__Host-"))
		want(t, "fits into a browser", len(cookie.Name)+len(cookie.Value) < 4096, true)
	}
	return cookies
}

func TestEachDeliveryIsKeptByEveryRefreshAndNoTokenGoesTwoWays(t *testing.T) {
	for delivery, test := range map[string]struct {
		cookies     string
		inBody      [2]bool // the access token, the refresh token
		needsInput  bool
		needsBearer bool
	}{
		"BODY":           {cookies: "", inBody: [2]bool{true, true}, needsInput: true, needsBearer: true},
		"REFRESH_COOKIE": {cookies: refreshCookie, inBody: [2]bool{true, false}, needsBearer: true},
		"COOKIES":        {cookies: accessCookie + " " + refreshCookie, inBody: [2]bool{false, false}},
	} {
		t.Run(delivery, func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				s.signUp(t)
				b := newBrowser(s)
				r, a := b.login(t, delivery)
				for generation := range 3 {
					want(t, "type", r.Typename, "AuthSuccess")
					want(t, "access token in the body", r.AccessToken != "", test.inBody[0])
					want(t, "refresh token in the body", r.RefreshToken != "", test.inBody[1])
					want(t, "cookies", len(a.cookies(t)), len(strings.Fields(test.cookies)))
					for name := range strings.FieldsSeq(test.cookies) {
						want(t, "cookie", b.cookies[name] != "", true)
						want(t, "in the body too", strings.Contains(a.Body, b.cookies[name]), false)
					}
					for _, cookie := range a.cookies(t) {
						want(t, "Max-Age", time.Duration(cookie.MaxAge)*time.Second, 7*24*time.Hour)
					}
					bearer := ""
					if test.needsBearer {
						bearer = r.AccessToken
						want(t, "without the header", b.ask(t, `{ me { id } }`, nil, "").code(), "UNAUTHENTICATED")
					}
					want(t, "me", b.ask(t, `{ me { id } }`, nil, bearer).code(), "")
					if generation == 2 {
						break
					}
					s.clock.Advance(time.Minute)
					var input map[string]any
					if test.needsInput {
						input = map[string]any{"refreshToken": r.RefreshToken}
					}
					r, a = b.mutate(t, refreshMutation, input)
				}
				s.clock.Advance(6 * time.Minute)
				want(t, "an old access token", b.ask(t, `{ me { id } }`, nil, r.AccessToken).Errors[0].Extensions.Reason, "TOKEN_EXPIRED")
				if !test.needsInput { // a reloaded page has the cookie only, and can sign out
					out := b.ask(t, `mutation { revokeSession { revoked } }`, nil, "")
					want(t, "signed out", string(out.Data["revokeSession"]), `{"revoked":true}`)
					want(t, "cookies afterwards, but for the device's", len(b.cookies) == 1 && b.cookies[deviceCookie] != "", true)
				}
			})
		})
	}
}

func TestMaxAgeNeverPassesTheEndOfTheSession(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	s.signUp(t)
	b := newBrowser(s)
	b.login(t, "COOKIES")
	for range 5 {
		s.clock.Advance(5 * 24 * time.Hour)
		b.mutate(t, refreshMutation, nil)
	}
	s.clock.Advance(2 * 24 * time.Hour)
	r, a := b.mutate(t, refreshMutation, nil) // on day 27 of 30
	want(t, "type", r.Typename, "AuthSuccess")
	for _, cookie := range a.cookies(t) {
		want(t, "Max-Age", time.Duration(cookie.MaxAge)*time.Second, 3*24*time.Hour)
	}
}

func TestARetriedRefreshSetsTheCookieAgain(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		b := newBrowser(s)
		b.login(t, "COOKIES")
		before := b.cookies[refreshCookie]
		b.mutate(t, refreshMutation, nil)
		after := b.cookies[refreshCookie]
		b.cookies[refreshCookie] = before // the answer was lost
		b.mutate(t, refreshMutation, nil)
		want(t, "the same successor", b.cookies[refreshCookie], after)
	})
}

func TestAFailureTouchesNoCookie(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		for name, token := range map[string]string{"of another session, over": "", "nonsense": "lkr1.x", "an access token": "access"} {
			b := newBrowser(s)
			b.login(t, "COOKIES")
			switch token {
			case "":
				token = s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "").RefreshToken
				s.ask(t, `mutation ($t: String) { revokeSession(input: {refreshToken: $t}) { revoked } }`, map[string]any{"t": token}, "")
			case "access":
				token = b.cookies[accessCookie]
			}
			for what, input := range map[string]map[string]any{"as input": {"refreshToken": token}, "as cookie": nil} {
				kept := b.cookies[refreshCookie]
				if input == nil {
					b.cookies[refreshCookie] = token
				}
				r, a := b.mutate(t, refreshMutation, input)
				want(t, name+" "+what, r.Typename, "AuthFailure")
				want(t, name+" "+what+": cookies", len(a.cookies(t)), 0)
				b.cookies[refreshCookie] = kept
			}
			r, a := b.mutate(t, loginMutation, map[string]any{"email": email, "password": "wrong", "delivery": "COOKIES"})
			want(t, "login", r.Code, "INVALID_CREDENTIALS")
			want(t, "cookies of a failed login", len(a.cookies(t)), 0)
			r, _ = b.mutate(t, refreshMutation, nil)
			want(t, name+": the session goes on", r.Typename, "AuthSuccess")
		}
	})
}

func TestEndingAnotherSessionLeavesTheCookiesAlone(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		other := s.signUp(t)
		b := newBrowser(s)
		b.login(t, "COOKIES")
		for _, input := range []string{`{sessionId: "` + other.Session.ID + `"}`, `{refreshToken: "` + other.RefreshToken + `"}`} {
			a := b.ask(t, `mutation { revokeSession(input: `+input+`) { sessionId } }`, nil, "")
			want(t, "errors", len(a.Errors), 0)
			want(t, "cookies", len(a.cookies(t)), 0)
		}
		want(t, "me", b.ask(t, `{ me { id } }`, nil, "").code(), "")
		replayed := map[string]string{accessCookie: b.cookies[accessCookie], refreshCookie: b.cookies[refreshCookie]}
		b.ask(t, `mutation { revokeSession { revoked } }`, nil, "")
		want(t, "cookies after sign-out, but for the device's", len(b.cookies) == 1 && b.cookies[deviceCookie] != "", true)
		b.cookies = replayed // a back button, a copied Set-Cookie
		want(t, "replayed", b.ask(t, `{ me { id } }`, nil, "").Errors[0].Extensions.Reason, "SESSION_ENDED")
		r, _ := b.mutate(t, refreshMutation, nil)
		want(t, "replayed", r.EndReason, "SIGNED_OUT")
	})
}

func TestASignInReplacesTheCookiesOfTheOneBefore(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		s.mutate(t, signUpMutation, map[string]any{"email": "b@example.com", "password": password}, "")
		b := newBrowser(s)
		b.login(t, "COOKIES")
		r, _ := b.mutate(t, loginMutation, map[string]any{"email": "b@example.com", "password": password, "delivery": "REFRESH_COOKIE"})
		_, stays := b.cookies[accessCookie]
		want(t, "the first one's access cookie", stays, false)
		want(t, "without a header", b.ask(t, `{ me { id } }`, nil, "").code(), "UNAUTHENTICATED")
		want(t, "with it", string(b.ask(t, `{ me { email } }`, nil, r.AccessToken).Data["me"]), `{"email":"b@example.com"}`)
	})
}

func TestAnAuthorizationHeaderIsNotMergedWithTheCookie(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		b := newBrowser(s)
		b.login(t, "COOKIES")
		for header, reason := range map[string]string{"Bearer nonsense": "TOKEN_INVALID", "Bearer ": "TOKEN_INVALID", "Basic YTpi": "TOKEN_MISSING"} {
			request := s.request(t, `{"query":"{ me { id } }"}`)
			request.Header.Set("Sec-Fetch-Site", "same-origin")
			request.Header.Set("Authorization", header)
			request.AddCookie(&http.Cookie{Name: accessCookie, Value: b.cookies[accessCookie]})
			a := s.do(t, request)
			want(t, header, a.Errors[0].Extensions.Reason, reason)
			want(t, "WWW-Authenticate", a.Header.Get("WWW-Authenticate") != "", reason == "TOKEN_INVALID")
		}
	})
}

func TestARequestForOneSessionIsNotThatOfAnother(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		mine := s.signUp(t)
		b := newBrowser(s)
		theirs, _ := b.login(t, "COOKIES")
		for _, c := range []struct{ cookie, bearer, session, reason string }{
			{cookie: b.cookies[accessCookie], session: theirs.Session.ID},
			{cookie: b.cookies[accessCookie], session: mine.Session.ID, reason: "TOKEN_INVALID"},
			{cookie: b.cookies[accessCookie], session: "no session at all", reason: "TOKEN_INVALID"},
			{bearer: mine.AccessToken, session: mine.Session.ID},
			{bearer: mine.AccessToken, session: theirs.Session.ID, reason: "TOKEN_INVALID"},
		} {
			for _, operation := range []string{"{ me { id } }", "mutation { revokeOtherSessions { revokedCount } }"} {
				if c.reason == "" && strings.HasPrefix(operation, "mutation") {
					continue // it would end the other one
				}
				request := s.request(t, `{"query":"`+operation+`"}`)
				request.Header.Set("Sec-Fetch-Site", "same-origin")
				request.Header.Set("Latchkey-Session", c.session)
				if c.bearer != "" {
					request.Header.Set("Authorization", "Bearer "+c.bearer)
				} else {
					request.AddCookie(&http.Cookie{Name: accessCookie, Value: c.cookie})
				}
				reason := ""
				if a := s.do(t, request); len(a.Errors) > 0 {
					reason = a.Errors[0].Extensions.Reason
				}
				want(t, operation+" for "+c.session, reason, c.reason)
			}
		}
		want(t, "nobody was signed out", len(s.ask(t, "{ me { id } }", nil, mine.AccessToken).Errors), 0)
	})
}

func TestCookiesOfTheDevelopmentSwitchHaveAnotherName(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	s.signUp(t)
	edge, err := web.New(web.Options{Executor: s.executor, ClockSkew: nil, Log: s.logger, Metrics: s.metrics, InsecureCookies: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Config.Handler = edge
	b := newBrowser(s)
	_, a := b.login(t, "COOKIES")
	for _, cookie := range a.cookies(t) {
		want(t, "prefix", strings.HasPrefix(cookie.Name, "latchkey-"), true)
	}
	want(t, "me", b.ask(t, `{ me { id } }`, nil, "").code(), "")
}

var _ graph.Metrics = (*web.Metrics)(nil)

func TestASignInEndsTheSessionOfTheCookieAndTakesItBack(t *testing.T) {
	for _, delivery := range []string{"BODY", "REFRESH_COOKIE", "COOKIES"} {
		t.Run(delivery, func(t *testing.T) {
			each(t, func(t *testing.T, s *server) {
				s.signUp(t)
				b := newBrowser(s)
				b.login(t, "COOKIES")
				before := b.cookies[refreshCookie]
				r, _ := b.login(t, delivery)
				want(t, "the earlier session", s.refresh(t, before).EndReason, "SIGNED_OUT")
				want(t, "an access cookie", b.cookies[accessCookie] != "", delivery == "COOKIES")
				want(t, "a refresh cookie", b.cookies[refreshCookie] != "", delivery != "BODY")
				want(t, "the session", b.ask(t, `{ me { id } }`, nil, r.AccessToken).code(), "")
				refused, _ := b.mutate(t, loginMutation, map[string]any{"email": email, "password": wrongPassword})
				want(t, "a wrong password", refused.Code, "INVALID_CREDENTIALS")
				want(t, "the session", b.ask(t, `{ me { id } }`, nil, r.AccessToken).code(), "")
			})
		})
	}
}
