package web_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"latchkey/db/dbtest"
)

func TestAPersonSignsUpComesBackStaysAndLeaves(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		signedUp := s.mutate(t, signUpMutation, map[string]any{"email": email, "password": password, "name": "Ada", "deviceName": "laptop"}, "")
		want(t, "type", signedUp.Typename, "AuthSuccess")
		want(t, "created", signedUp.User.CreatedAt, "2026-03-01T12:00:00.000Z")
		want(t, "access token's end", signedUp.AccessTokenExpiresAt, "2026-03-01T12:05:00.000Z")
		want(t, "refresh token's end", signedUp.RefreshTokenExpiresAt, "2026-03-08T12:00:00.000Z")
		want(t, "current", signedUp.Session.Current, true)

		loggedIn := s.mutate(t, loginMutation, map[string]any{"email": "ADA@example.com", "password": password}, "")
		me := s.ask(t, `{ me { email name role sessions { deviceName current ip userAgent } } }`, nil, loggedIn.AccessToken)
		want(t, "me", string(me.Data["me"]), `{"email":"ada@example.com","name":"Ada","role":"USER","sessions":[`+
			`{"deviceName":null,"current":true,"ip":"127.0.0.1","userAgent":"Go-http-client/1.1"},`+
			`{"deviceName":"laptop","current":false,"ip":"127.0.0.1","userAgent":"Go-http-client/1.1"}]}`)
		want(t, "never stored by caches", me.Header.Get("Cache-Control"), "no-store")

		s.clock.Advance(6 * time.Minute)
		want(t, "expired", s.me(t, loggedIn.AccessToken).Errors[0].Extensions.Reason, "TOKEN_EXPIRED")
		refreshed := s.refresh(t, loggedIn.RefreshToken)
		want(t, "same session", refreshed.Session.ID, loggedIn.Session.ID)
		want(t, "me", s.me(t, refreshed.AccessToken).code(), "")

		revoked := s.ask(t, `mutation { revokeSession { sessionId revoked } }`, nil, refreshed.AccessToken)
		want(t, "revoked", string(revoked.Data["revokeSession"]), `{"sessionId":"`+loggedIn.Session.ID+`","revoked":true}`)
		want(t, "access token", s.me(t, refreshed.AccessToken).Errors[0].Extensions.Reason, "SESSION_ENDED")
		ended := s.refresh(t, refreshed.RefreshToken)
		want(t, "refresh token", ended.Code+" "+ended.EndReason, "SESSION_ENDED SIGNED_OUT")
		want(t, "the other session", s.refresh(t, signedUp.RefreshToken).Typename, "AuthSuccess")
	})
}

func TestExpectedOutcomesAreData(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		for code, r := range map[string]result{
			"EMAIL_TAKEN":           s.signUp(t),
			"WEAK_PASSWORD":         s.mutate(t, signUpMutation, map[string]any{"email": "b@example.com", "password": "short"}, ""),
			"INVALID_CREDENTIALS":   s.mutate(t, loginMutation, map[string]any{"email": email, "password": "wrong"}, ""),
			"INVALID_REFRESH_TOKEN": s.refresh(t, "lkr1.x"),
		} {
			want(t, "type", r.Typename, "AuthFailure")
			want(t, "code", r.Code, code)
			want(t, "has a message", len(r.Message) > 10, true)
		}
		for _, nothing := range []string{`mutation { result: refreshToken { ... on AuthFailure { code } } }`,
			`mutation { result: refreshToken(input: {}) { ... on AuthFailure { code } } }`,
			`mutation { result: refreshToken(input: {refreshToken: null}) { ... on AuthFailure { code } } }`} {
			want(t, "without a token", string(s.ask(t, nothing, nil, "").Data["result"]), `{"code":"INVALID_REFRESH_TOKEN"}`)
		}
	})
}

func TestAStaleAccessTokenStopsNeitherLoginNorRefresh(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		tokens := s.signUp(t)
		for _, stale := range []string{"x", tokens.RefreshToken, tokens.AccessToken} {
			s.clock.Advance(10 * time.Minute)
			want(t, "login", s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, stale).Typename, "AuthSuccess")
			tokens = s.mutate(t, refreshMutation, map[string]any{"refreshToken": tokens.RefreshToken}, stale)
			want(t, "refresh", tokens.Typename, "AuthSuccess")
		}
	})
}

func TestWhoIsNotSignedInLearnsWhyAndOnlyThat(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		tokens := s.signUp(t)
		for header, reason := range map[string]string{
			"": "TOKEN_MISSING", "Basic YTpi": "TOKEN_MISSING", tokens.AccessToken: "TOKEN_MISSING",
			"Bearer": "TOKEN_INVALID", "Bearer ": "TOKEN_INVALID", "bearer x": "TOKEN_INVALID", "Bearer " + tokens.RefreshToken: "TOKEN_INVALID",
			"Bearer " + tokens.AccessToken + " " + tokens.AccessToken: "TOKEN_INVALID", "Bearer " + tokens.AccessToken + "x": "TOKEN_INVALID",
		} {
			request := s.request(t, `{"query":"{ me { id } }"}`)
			if header != "" {
				request.Header.Set("Authorization", header)
			}
			a := s.do(t, request)
			want(t, "status", a.Status, http.StatusOK) // clients' refresh recipes read no other
			want(t, "code", a.code(), "UNAUTHENTICATED")
			want(t, "reason", a.Errors[0].Extensions.Reason, reason)
			want(t, "data", string(a.Data["me"]), "null")
			want(t, "request id", a.Errors[0].Extensions.RequestID, a.Header.Get("X-Request-Id"))
		}
		for _, scheme := range []string{"Bearer ", "bearer ", "BEARER  "} {
			request := s.request(t, `{"query":"{ me { id } }"}`)
			request.Header.Set("Authorization", scheme+tokens.AccessToken)
			want(t, scheme, s.do(t, request).code(), "")
		}
	})
}

func TestNoWayAroundTheDirective(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		s.log.Reset()
		for _, query := range []string{
			`{ me { id } }`, `{ x: me { id } }`, `{ __typename ...f } fragment f on Query { me { id } }`, `{ ... @include(if: true) { me { id } } }`,
			`query { a: me { id } b: me { email } }`,
		} {
			a := s.ask(t, query, nil, "")
			want(t, "code", a.code(), "UNAUTHENTICATED")
			want(t, "data", strings.Contains(a.Body, "example.com"), false)
		}
		want(t, "statements", strings.Count(s.log.String(), `"msg":"statement"`), 0)
	})
}

func TestMeIsOneQueryAndRefreshTokenOneStatement(t *testing.T) {
	count := func(t *testing.T, s *server, ask func()) int {
		t.Helper()
		s.log.Reset()
		ask()
		// The keys are read anew by sign-ins, by all of a quarter of a second together.
		return strings.Count(s.log.String(), `"msg":"statement"`) - strings.Count(s.log.String(), "FROM keys ORDER BY kind")
	}
	each(t, func(t *testing.T, s *server) {
		var tokens result
		// The address's budget, then the user, the session, the refund, the event and the limit of sessions.
		want(t, "sign-up", count(t, s, func() { tokens = s.signUp(t) }), 1+5)
		// The budgets of the address and of the account, the user, then the lock, the session, the refunds, the event and the limit of sessions.
		want(t, "login", count(t, s, func() {
			tokens = s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "")
		}), 2+1+6)
		want(t, "me", count(t, s, func() { s.me(t, tokens.AccessToken) }), 1)
		want(t, "me, ten times over", count(t, s, func() {
			s.ask(t, `{ a: me { id } b: me { id } c: me { id } d: me { id } e: me { id } f: me { id } g: me { id } h: me { id } i: me { id } j: me { id } }`, nil, tokens.AccessToken)
		}), 1)
		want(t, "refreshToken", count(t, s, func() { tokens = s.refresh(t, tokens.RefreshToken) }), 1)
		want(t, "refreshToken, forged", count(t, s, func() { s.refresh(t, tokens.RefreshToken[:len(tokens.RefreshToken)-4]+"AAAA") }), 0)
		ends := 1 // which records the end as well, where the database can change two tables at once
		if strings.HasPrefix(s.databaseURL, "sqlite:") {
			ends = 2
		}
		want(t, "revokeSession", count(t, s, func() {
			s.ask(t, `mutation { revokeSession { revoked } }`, nil, tokens.AccessToken)
		}), 1+ends)
		want(t, "revokeSession by refresh token", count(t, s, func() {
			s.ask(t, `mutation ($t: String) { revokeSession(input: {refreshToken: $t}) { revoked } }`, map[string]any{"t": tokens.RefreshToken}, "")
		}), 1)
	})
}

// The log is what the server says of itself; this is what PostgreSQL is sent.
func TestPostgreSQLIsSentOneStatementForMeAndOneForRefreshToken(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	s := newServer(t, proxy.URL())
	tokens := s.signUp(t)
	for name, ask := range map[string]func(){
		"me":           func() { s.me(t, tokens.AccessToken) },
		"refreshToken": func() { s.refresh(t, tokens.RefreshToken) },
	} {
		proxy.Reset()
		ask()
		want(t, name+": statements", len(proxy.Statements()), 1)
		want(t, name+": round trips", proxy.RoundTrips(), 1)
	}
}

func TestWithTheDatabaseAwayNothingIsAnsweredAndNobodyIsLoggedOut(t *testing.T) {
	proxy := dbtest.NewProxy(t, dbtest.Postgres(t))
	s := newServer(t, proxy.URL())
	tokens := s.signUp(t)
	health := func(path string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		return s.do(t, request).Status
	}
	want(t, "ready", health("/readyz"), http.StatusOK)
	for name, faults := range map[string][2]func(){"cut": {proxy.Refuse, proxy.Accept}, "frozen": {proxy.Freeze, proxy.Thaw}} {
		t.Run(name, func(t *testing.T) {
			faults[0]()
			for _, ask := range []func() *answer{
				func() *answer { return s.ask(t, `{ canary: me { id } }`, nil, tokens.AccessToken) },
				func() *answer {
					return s.ask(t, refreshMutation, map[string]any{"input": map[string]any{"refreshToken": tokens.RefreshToken}}, "")
				},
				func() *answer { return s.ask(t, `mutation { revokeSession { revoked } }`, nil, tokens.AccessToken) },
				func() *answer {
					return s.ask(t, `mutation ($t: String) { revokeSession(input: {refreshToken: $t}) { revoked } }`, map[string]any{"t": "lkr1." + tokens.RefreshToken[5:]}, "")
				},
				func() *answer {
					return s.ask(t, loginMutation, map[string]any{"input": map[string]any{"email": email, "password": password}}, "")
				},
				func() *answer {
					return s.ask(t, signUpMutation, map[string]any{"input": map[string]any{"email": "b@example.com", "password": password}}, "")
				},
			} {
				start := time.Now()
				a := ask()
				if took := time.Since(start); took > 2*time.Second { // the timeout is a second
					t.Fatalf("took %s", took)
				}
				want(t, "code", a.code(), "UNAVAILABLE")
				want(t, "Retry-After", a.Header.Get("Retry-After"), "2")
				want(t, "status", a.Status, http.StatusOK)
			}
			want(t, "alias logged", strings.Contains(s.log.String(), "canary"), false)
			want(t, "alive", health("/healthz"), http.StatusOK)
			want(t, "not ready", health("/readyz"), http.StatusServiceUnavailable)
			faults[1]()
			if name == "frozen" {
				// The revocations were sent and are carried out on thawing: what UNAVAILABLE says of a change
				// is that its effect is unknown.
				return
			}
			want(t, "ready", health("/readyz"), http.StatusOK)
			want(t, "me", s.me(t, tokens.AccessToken).code(), "")
			tokens = s.refresh(t, tokens.RefreshToken)
			want(t, "refresh", tokens.Typename, "AuthSuccess")
		})
	}
}

const changePasswordMutation = `mutation ($input: ChangePasswordInput!) { result: changePassword(input: $input) {
	__typename ... on ChangePasswordSuccess { revokedCount user { email sessions { id current } } } ... on AuthFailure { code message }
} }`

func TestAPersonChangesThePasswordAndGoesOn(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		there := s.signUp(t)
		here := s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "")
		change := func(current, next, accessToken string) *answer {
			return s.ask(t, changePasswordMutation, map[string]any{"input": map[string]any{"currentPassword": current, "newPassword": next}}, accessToken)
		}
		const next = "an analytical engine of brass"
		want(t, "signed out", change(password, next, "").code(), "UNAUTHENTICATED")
		want(t, "a wrong password", string(change("wrong", next, here.AccessToken).Data["result"]),
			`{"__typename":"AuthFailure","code":"INVALID_CREDENTIALS","message":"The current password is wrong."}`)
		want(t, "a weak password", strings.Contains(change(password, "short", here.AccessToken).Body, `"WEAK_PASSWORD"`), true)
		want(t, "both still there", s.me(t, there.AccessToken).code(), "")
		want(t, "changed", string(change(password, next, here.AccessToken).Data["result"]),
			`{"__typename":"ChangePasswordSuccess","revokedCount":1,"user":{"email":"`+email+`","sessions":[{"id":"`+here.Session.ID+`","current":true}]}}`)
		want(t, "the other session", s.me(t, there.AccessToken).code(), "UNAUTHENTICATED")
		want(t, "why it ended", s.refresh(t, there.RefreshToken).EndReason, "PASSWORD_CHANGED")
		want(t, "this session", s.refresh(t, here.RefreshToken).Code, "")
		want(t, "passwords in the log", strings.Contains(s.log.String(), next) || strings.Contains(s.log.String(), password), false)
	})
}

func TestAPersonRevokesAllOtherSessions(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		there := s.signUp(t)
		here := s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "")
		const mutation = `mutation { revokeOtherSessions { revokedCount } }`
		want(t, "signed out", s.ask(t, mutation, nil, "").code(), "UNAUTHENTICATED")
		want(t, "first", string(s.ask(t, mutation, nil, here.AccessToken).Data["revokeOtherSessions"]), `{"revokedCount":1}`)
		want(t, "again", string(s.ask(t, mutation, nil, here.AccessToken).Data["revokeOtherSessions"]), `{"revokedCount":0}`)
		want(t, "why it ended", s.refresh(t, there.RefreshToken).EndReason, "REVOKED")
		want(t, "this session", s.me(t, here.AccessToken).code(), "")
	})
}

func TestNoSecretIsLoggedOrStored(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		tokens := s.mutate(t, signUpMutation, map[string]any{"email": email, "password": password + " canary"}, "")
		s.mutate(t, loginMutation, map[string]any{"email": email, "password": "canary, but wrong"}, "")
		second := s.refresh(t, tokens.RefreshToken)
		third := s.refresh(t, second.RefreshToken)
		s.me(t, third.AccessToken)
		s.refresh(t, tokens.RefreshToken) // reuse, which is logged
		request := s.request(t, `{"query":"{ me { id } }","operationName":"canary\n\u001b[31m"}`)
		request.URL.RawQuery = "access_token=canary"
		request.Header.Set("Authorization", "Bearer canary")
		request.Header.Set("X-Request-Id", "canary")
		s.do(t, request)
		log := s.log.String()
		want(t, "reuse is logged", strings.Contains(log, "REUSE_DETECTED"), true)
		for _, secret := range []string{"canary", tokens.RefreshToken, second.RefreshToken, third.AccessToken, third.Session.ID, email} {
			if strings.Contains(log, secret) {
				t.Fatalf("the log has %q", secret)
			}
		}
		for line := range strings.Lines(log) {
			if !json.Valid([]byte(line)) {
				t.Fatalf("not one event per line: %q", line)
			}
		}
	})
}
