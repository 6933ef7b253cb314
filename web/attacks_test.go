package web_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"latchkey/db/dbtest"
)

// attack is one request that must do nothing, however it is answered.
type attack struct {
	status int
	code   string // of the one error, or that of the AuthFailure
	// One of the two: a body to post, or a whole request.
	body string
	make func(t *testing.T, s *server, victim result) *http.Request
}

func operation(text string) string { return `{"query":` + quoted(text) + `}` }

func withVariables(text, variables string) string {
	return `{"query":` + quoted(text) + `,"variables":` + variables + `}`
}

// changed is a request of me with a change, which may use the victim's tokens.
func changed(change func(r *http.Request, victim result)) func(*testing.T, *server, result) *http.Request {
	return func(t *testing.T, s *server, victim result) *http.Request {
		t.Helper()
		request := s.request(t, operation(`{ me { id } }`))
		change(request, victim)
		return request
	}
}

func posted(contentType string) func(*testing.T, *server, result) *http.Request {
	return func(t *testing.T, s *server, _ result) *http.Request {
		t.Helper()
		request := s.request(t, operation(`mutation { signUp(input: {email: "x@example.com", password: "`+password+`"}) { __typename } }`))
		request.Header["Content-Type"] = nil
		if contentType != "" {
			request.Header.Set("Content-Type", contentType)
		}
		return request
	}
}

func method(name, text string) func(*testing.T, *server, result) *http.Request {
	return func(t *testing.T, s *server, _ result) *http.Request {
		t.Helper()
		request := s.request(t, "")
		request.Method, request.Body, request.ContentLength = name, http.NoBody, 0
		request.URL.RawQuery = "query=" + url.QueryEscape(text)
		return request
	}
}

func repeated(n int, format string) string {
	var text strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&text, format, i)
	}
	return text.String()
}

const (
	signUpX = `mutation { signUp(input: {email: "x@example.com", password: "correct horse battery staple"}) { __typename } }`
	invalid = "UNAUTHENTICATED:TOKEN_INVALID"
)

// attacks are those of an attacker without the victim's password, by the number of the project's list.
var attacks = map[string]attack{
	"A1 a hundred logins in one mutation": {200, "OPERATION_TOO_LARGE", operation("mutation {" + repeated(100, ` a%d: login(input: {email: "ada@example.com", password: "`+canary+`"}) { __typename }`) + "}"), nil},
	"A1 two logins in one mutation":       {200, "OPERATION_TOO_LARGE", operation("mutation {" + repeated(2, ` a%d: login(input: {email: "ada@example.com", password: "`+canary+`"}) { __typename }`) + "}"), nil},
	"A1 two logins, one in a fragment":    {200, "OPERATION_TOO_LARGE", operation(`mutation { ...f a: login(input: {email: "ada@example.com", password: "x"}) { __typename } } fragment f on Mutation { b: login(input: {email: "ada@example.com", password: "x"}) { __typename } }`), nil},
	"A2 a batch":                          {400, "BAD_REQUEST", "[" + strings.Repeat(operation(signUpX)+",", 9) + operation(signUpX) + "]", nil},
	"A2 an empty batch":                   {400, "BAD_REQUEST", "[]", nil},
	"A3 introspection":                    {200, "GRAPHQL_VALIDATION_FAILED", operation("{ __schema { types { name } } }"), nil},
	"A3 introspection of a type":          {200, "GRAPHQL_VALIDATION_FAILED", operation(`{ t: __type(name: "User") { name } }`), nil},
	"A3 a page":                           {406, "BAD_REQUEST", "", changed(func(r *http.Request, _ result) { r.Header.Set("Accept", "text/html") })},
	"A4 a field that is nearly one":       {200, "GRAPHQL_VALIDATION_FAILED", operation(`mutation { logn(input: {email: "a"}) { __typename } }`), nil},
	"A4 an argument that is nearly one":   {200, "GRAPHQL_VALIDATION_FAILED", operation(`mutation { login(inpt: {email: "a"}) { __typename } }`), nil},
	"A4 a type that is nearly one":        {200, "GRAPHQL_VALIDATION_FAILED", operation(`{ ... on Qery { me { id } } }`), nil},
	"A4 an input field, nearly":           {200, "GRAPHQL_VALIDATION_FAILED", operation(`mutation { login(input: {emil: "a"}) { __typename } }`), nil},

	"A5 fields, 300 deep":             {200, "OPERATION_TOO_LARGE", operation(strings.Repeat("{ me ", 300) + "{ id }" + strings.Repeat("}", 300)), nil},
	"A5 fields, 11 deep":              {200, "OPERATION_TOO_LARGE", operation(strings.Repeat("{ me ", 10) + "{ id }" + strings.Repeat("}", 10)), nil},
	"A5 50,000 brackets":              {200, "OPERATION_TOO_LARGE", operation("{ me(x: " + strings.Repeat("[", 50_000)), nil},
	"A5 50,000 braces":                {200, "GRAPHQL_PARSE_FAILED", operation(strings.Repeat("{", 50_000)), nil},
	"A5 lists in an argument":         {200, "OPERATION_TOO_LARGE", operation(`mutation { login(input: ` + strings.Repeat("[", 11) + "1" + strings.Repeat("]", 11) + `) { __typename } }`), nil},
	"A5 objects in an argument":       {200, "OPERATION_TOO_LARGE", operation(`mutation { login(input: ` + strings.Repeat("{a: ", 12) + "1" + strings.Repeat("}", 12) + `) { __typename } }`), nil},
	"A5 objects in the variables":     {200, "OPERATION_TOO_LARGE", withVariables(loginMutation, `{"input":`+strings.Repeat(`{"a":`, 12)+"1"+strings.Repeat("}", 12)+"}"), nil},
	"A5 a type of many lists":         {200, "OPERATION_TOO_LARGE", operation("query ($x: " + strings.Repeat("[", 1000) + "Int" + strings.Repeat("]", 1000) + ") { __typename }"), nil},
	"A5 30,000 brackets, of JSON":     {400, "BAD_REQUEST", withVariables("{ __typename }", `{"x":`+strings.Repeat("[", 30_000)+strings.Repeat("]", 30_000)+"}"), nil},
	"A6 fragments, doubling":          {200, "OPERATION_TOO_LARGE", operation("{ ...f0 }" + repeated(40, " fragment f%[1]d on Query { ...g%[1]d ...g%[1]d }")), nil},
	"A6 fragments, doubling, but few": {200, "OPERATION_TOO_LARGE", operation("{ ...f9 }" + doubling(18)), nil},
	"A6 a fragment in itself":         {200, "GRAPHQL_VALIDATION_FAILED", operation("{ ...f } fragment f on Query { ...f }"), nil},
	"A6 fragments in a circle":        {200, "GRAPHQL_VALIDATION_FAILED", operation("{ ...f } fragment f on Query { ...g } fragment g on Query { ...f }"), nil},
	"A6 500 inline fragments":         {200, "OPERATION_TOO_LARGE", operation("{" + strings.Repeat(" ... { __typename }", 240) + "}"), nil},
	"A7 10,000 directives":            {200, "OPERATION_TOO_LARGE", operation("{ me" + strings.Repeat(" @a", 10_000) + " { id } }"), nil},
	"A7 10,000 equal fields":          {200, "OPERATION_TOO_LARGE", operation("{ me {" + strings.Repeat(" id", 10_000) + " } }"), nil},
	"A7 5,000 variables":              {200, "OPERATION_TOO_LARGE", operation("query (" + repeated(5000, "$v%d:Int ") + ") { __typename }"), nil},
	"A7 1,000 unknown fields":         {200, "GRAPHQL_VALIDATION_FAILED", operation("{ me {" + repeated(900, " f%d") + " } }"), nil},
	"A7 100 operations":               {200, "BAD_REQUEST", operation(repeated(100, "query q%d { __typename } ")), nil},
	"A7 a text of a megabyte":         {413, "OPERATION_TOO_LARGE", operation(`mutation { login(input: {email: "a", password: "` + strings.Repeat("a", 1<<20) + `"}) { __typename } }`), nil},
	"A7 a text of 60 kB":              {200, "BAD_USER_INPUT", operation(`mutation { login(input: {email: "` + strings.Repeat("a", 60_000) + `", password: "x"}) { __typename } }`), nil},
	"A8 10 MB":                        {413, "OPERATION_TOO_LARGE", operation(signUpX + strings.Repeat(" ", 10<<20)), nil},
	"A8 a body that does not end":     {413, "OPERATION_TOO_LARGE", "", changed(func(r *http.Request, _ result) { r.Body, r.ContentLength = io.NopCloser(endless{}), -1 })},
	"A8 a compressed body":            {415, "BAD_REQUEST", "", changed(func(r *http.Request, _ result) { r.Header.Set("Content-Encoding", "gzip") })},
	"A8 a header of a megabyte":       {431, "", "", changed(func(r *http.Request, _ result) { r.Header.Set("X-Large", strings.Repeat("a", 1<<20)) })},
	"A10 a mutation by GET":           {405, "BAD_REQUEST", "", method(http.MethodGet, signUpX)},
	"A10 a query by HEAD":             {405, "", "", method(http.MethodHead, "{ __typename }")},
	"A10 a mutation by PUT":           {405, "BAD_REQUEST", "", method(http.MethodPut, signUpX)},
	"A10 OPTIONS":                     {405, "BAD_REQUEST", "", method(http.MethodOptions, signUpX)},
	"A10 TRACE":                       {405, "BAD_REQUEST", "", method(http.MethodTrace, signUpX)},
	"A11 a parameter twice, by GET": {400, "BAD_REQUEST", "", changed(func(r *http.Request, _ result) {
		r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
		r.URL.RawQuery = "query={__typename}&query={me{id}}"
	})},
	"A10 a text":                      {415, "BAD_REQUEST", "", posted("text/plain")},
	"A10 a form":                      {415, "BAD_REQUEST", "", posted("application/x-www-form-urlencoded")},
	"A10 an upload":                   {415, "BAD_REQUEST", "", posted("multipart/form-data; boundary=x")},
	"A10 no type":                     {415, "BAD_REQUEST", "", posted("")},
	"A10 a type with a stray part":    {415, "BAD_REQUEST", "", posted("application/json;x")},
	"A10 two types in one":            {415, "BAD_REQUEST", "", posted("application/json, text/plain")},
	"A10 a type that begins alike":    {415, "BAD_REQUEST", "", posted("application/json-patch+json")},
	"A10 a subscription":              {200, "GRAPHQL_VALIDATION_FAILED", operation("subscription { me { id } }"), nil},
	"A10 events wanted":               {406, "BAD_REQUEST", "", changed(func(r *http.Request, _ result) { r.Header.Set("Accept", "text/event-stream") })},
	"A11 a name twice":                {400, "BAD_REQUEST", `{"query":"{ __typename }","query":` + quoted(signUpX) + `}`, nil},
	"A11 a name in another case":      {400, "BAD_REQUEST", `{"QUERY":` + quoted(signUpX) + `}`, nil},
	"A11 a name twice, in two cases":  {400, "BAD_REQUEST", `{"query":"{ __typename }","Query":` + quoted(signUpX) + `}`, nil},
	"A11 a variable twice":            {400, "BAD_REQUEST", withVariables(loginMutation, `{"input":{"email":"a@example.com","email":"b@example.com","password":"x"}}`), nil},
	"A11 a second object":             {400, "BAD_REQUEST", operation("{ __typename }") + operation(signUpX), nil},
	"A11 a byte order mark":           {400, "BAD_REQUEST", "\ufeff" + operation(signUpX), nil},
	"A11 UTF-16":                      {400, "BAD_REQUEST", "\xff\xfe{\x00\"\x00", nil},
	"A11 NaN":                         {400, "BAD_REQUEST", withVariables("{ __typename }", `{"x":NaN}`), nil},
	"A11 a comment":                   {400, "BAD_REQUEST", "/* */" + operation(signUpX), nil},
	"A11 a number for a text":         {200, "BAD_USER_INPUT", withVariables(loginMutation, `{"input":{"email":"a@example.com","password":5}}`), nil},
	"A12 alg none":                    {200, invalid, "", forged(`{"alg":"none","typ":"at+jwt"}`, "")},
	"A12 alg None":                    {200, invalid, "", forged(`{"alg":"None","typ":"at+jwt"}`, "")},
	"A12 an HMAC":                     {200, invalid, "", forged(`{"alg":"HS256","typ":"at+jwt"}`, "c2lnbmF0dXJl")},
	"A12 a key of the attacker's":     {200, invalid, "", forged(`{"alg":"ES256","typ":"at+jwt","jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`, "c2lnbmF0dXJl")},
	"A12 a key somewhere else":        {200, invalid, "", forged(`{"alg":"ES256","typ":"at+jwt","jku":"http://127.0.0.1:1/keys"}`, "c2lnbmF0dXJl")},
	"A12 a path for a key id":         {200, invalid, "", forged(`{"alg":"ES256","typ":"at+jwt","kid":"../../../dev/null"}`, "c2lnbmF0dXJl")},
	"A12 SQL for a key id":            {200, invalid, "", forged(`{"alg":"ES256","typ":"at+jwt","kid":"' OR 1=1 --"}`, "c2lnbmF0dXJl")},
	"A12 a critical extension":        {200, invalid, "", forged(`{"alg":"ES256","typ":"at+jwt","crit":["x"],"x":1}`, "c2lnbmF0dXJl")},
	"A13 a flipped signature":         {200, invalid, "", changed(func(r *http.Request, v result) { bearer(r, flipped(v.AccessToken)) })},
	"A13 no signature":                {200, invalid, "", changed(func(r *http.Request, v result) { bearer(r, v.AccessToken[:strings.LastIndex(v.AccessToken, ".")+1]) })},
	"A13 a token with padding":        {200, invalid, "", changed(func(r *http.Request, v result) { bearer(r, v.AccessToken+"=") })},
	"A13 a million dots":              {431, "", "", changed(func(r *http.Request, _ result) { bearer(r, strings.Repeat(".", 1<<20)) })},
	"A13 8,000 dots":                  {200, invalid, "", changed(func(r *http.Request, _ result) { bearer(r, strings.Repeat(".", 8000)) })},
	"A14 a refresh token as a bearer": {200, invalid, "", changed(func(r *http.Request, v result) { bearer(r, v.RefreshToken) })},
	"A14 a refresh token as a cookie": {200, invalid, "", changed(func(r *http.Request, v result) { cookie(r, accessCookie, v.RefreshToken) })},
	"A14 an access token to refresh":  {200, "INVALID_REFRESH_TOKEN", "", refreshing(func(r *http.Request, v result) string { return quoted(v.AccessToken) })},
	"A14 the same, in a cookie":       {200, "INVALID_REFRESH_TOKEN", "", refreshing(func(r *http.Request, v result) string { cookie(r, refreshCookie, v.AccessToken); return "null" })},
	"A14 a cookie of the other name":  {200, "INVALID_REFRESH_TOKEN", "", refreshing(func(r *http.Request, v result) string { cookie(r, accessCookie, v.RefreshToken); return "null" })},
	"A14 a cookie without its prefix": {200, "INVALID_REFRESH_TOKEN", "", refreshing(func(r *http.Request, v result) string { cookie(r, "latchkey-refresh", v.RefreshToken); return "null" })},
	"A15 a token in the URL":          {200, "UNAUTHENTICATED:TOKEN_MISSING", "", changed(func(r *http.Request, v result) { r.URL.RawQuery = "access_token=" + v.AccessToken })},
	"A15 a token in the Referer": {200, "UNAUTHENTICATED:TOKEN_MISSING", "", changed(func(r *http.Request, v result) {
		r.Header.Set("Referer", "https://x.example/?access_token="+v.AccessToken)
	})},
	"A16 two cookies of one name": {400, "BAD_REQUEST", "", changed(func(r *http.Request, v result) { cookie(r, accessCookie, v.AccessToken); cookie(r, accessCookie, "x") })},
	"A16 two refresh cookies": {400, "BAD_REQUEST", "", refreshing(func(r *http.Request, v result) string {
		cookie(r, refreshCookie, v.RefreshToken)
		cookie(r, refreshCookie, "x")
		return "null"
	})},
	"A16 a cookie of 10 kB":           {200, invalid, "", changed(func(r *http.Request, _ result) { cookie(r, accessCookie, strings.Repeat("a", 10_000)) })},
	"A16 a cookie of 30 kB":           {431, "", "", changed(func(r *http.Request, _ result) { cookie(r, accessCookie, strings.Repeat("a", 30_000)) })},
	"A18 a password of a megabyte":    {413, "OPERATION_TOO_LARGE", withVariables(loginMutation, `{"input":{"email":"ada@example.com","password":"`+strings.Repeat("a", 1<<20)+`"}}`), nil},
	"A21 SQL for an address":          {200, "BAD_USER_INPUT", withVariables(loginMutation, `{"input":{"email":"' OR 1=1 --","password":"x"}}`), nil},
	"A21 SQL for a session":           {200, "BAD_USER_INPUT", operation(`mutation { revokeSession(input: {sessionId: "' OR 1=1 --"}) { revoked } }`), nil},
	"A21 SQL for a refresh token":     {200, "BAD_USER_INPUT", operation(`mutation { revokeSession(input: {refreshToken: "'; DROP TABLE sessions; --"}) { revoked } }`), nil},
	"A21 NUL":                         {200, "BAD_USER_INPUT", withVariables(loginMutation, `{"input":{"email":"a\u0000@example.com","password":"x"}}`), nil},
	"A22 a line break in an address":  {200, "BAD_USER_INPUT", withVariables(signUpMutation, `{"input":{"email":"a@example.com\r\nBcc: b@example.com","password":"`+password+`"}}`), nil},
	"A22 two addresses":               {200, "BAD_USER_INPUT", withVariables(signUpMutation, `{"input":{"email":"a@example.com,b@example.com","password":"`+password+`"}}`), nil},
	"A22 a quoted address":            {200, "BAD_USER_INPUT", withVariables(signUpMutation, `{"input":{"email":"\"a b\"@example.com","password":"`+password+`"}}`), nil},
	"A22 the same address, otherwise": {200, "EMAIL_TAKEN", withVariables(signUpMutation, `{"input":{"email":"ADA@EXAMPLE.com","password":"`+password+`"}}`), nil},
	"A23 a role, typed in":            {200, "GRAPHQL_VALIDATION_FAILED", operation(`mutation { signUp(input: {email: "x@example.com", password: "` + password + `", role: ADMIN}) { __typename } }`), nil},
	"A23 a role, in the variables":    {200, "BAD_USER_INPUT", withVariables(signUpMutation, `{"input":{"email":"x@example.com","password":"`+password+`","role":"ADMIN"}}`), nil},
	"A28 a name for the log":          {200, "BAD_REQUEST", `{"query":"query a { __typename }","operationName":"` + canary + `\n\u001b[31m"}`, nil},
	"A29 no token":                    {200, "UNAUTHENTICATED:TOKEN_MISSING", operation("{ __typename x: me { id } }"), nil},
	"A29 in a fragment":               {200, "UNAUTHENTICATED:TOKEN_MISSING", operation("query a { ...f } fragment f on Query { ... @include(if: true) { me { email } } }"), nil},
	"A29 in a second operation":       {200, "UNAUTHENTICATED:TOKEN_MISSING", `{"query":"query a { __typename } query b { me { id } }","operationName":"b"}`, nil},
	"A29 an empty bearer":             {200, invalid, "", changed(func(r *http.Request, _ result) { bearer(r, "") })},
	"A29 the word null":               {200, invalid, "", changed(func(r *http.Request, _ result) { bearer(r, "null") })},
	"A29 two Authorization headers":   {400, "BAD_REQUEST", "", changed(func(r *http.Request, v result) { bearer(r, v.AccessToken); r.Header.Add("Authorization", "Bearer x") })},
	"A29 another scheme":              {200, "UNAUTHENTICATED:TOKEN_MISSING", "", changed(func(r *http.Request, v result) { r.Header.Set("Authorization", "Token "+v.AccessToken) })},
	"A32 /debug/pprof":                {404, "", "", changed(func(r *http.Request, _ result) { r.Method, r.URL.Path = http.MethodGet, "/debug/pprof/" })},
	"A32 /debug/vars":                 {404, "", "", changed(func(r *http.Request, _ result) { r.Method, r.URL.Path = http.MethodGet, "/debug/vars" })},
	"A32 /metrics":                    {404, "", "", changed(func(r *http.Request, _ result) { r.Method, r.URL.Path = http.MethodGet, "/metrics" })},
}

func bearer(r *http.Request, token string) { r.Header.Set("Authorization", "Bearer "+token) }

func cookie(r *http.Request, name, value string) {
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: name, Value: value})
}

// flipped changes the first letter of a token's signature.
func flipped(token string) string {
	at := strings.LastIndex(token, ".") + 1
	letter := "A"
	if token[at] == 'A' {
		letter = "B"
	}
	return token[:at] + letter + token[at+1:]
}

// forged sends the victim's claims under another header.
func forged(header, signature string) func(*testing.T, *server, result) *http.Request {
	return changed(func(r *http.Request, victim result) {
		claims := strings.Split(victim.AccessToken, ".")[1]
		bearer(r, base64.RawURLEncoding.EncodeToString([]byte(header))+"."+claims+"."+signature)
	})
}

// refreshing sends a refresh with what is given as JSON for the token.
func refreshing(token func(r *http.Request, victim result) string) func(*testing.T, *server, result) *http.Request {
	return func(t *testing.T, s *server, victim result) *http.Request {
		t.Helper()
		request := s.request(t, "")
		body := withVariables(refreshMutation, `{"input":{"refreshToken":`+token(request, victim)+`}}`)
		request.Body, request.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		return request
	}
}

// doubling returns fragments of which each has the one before twice.
func doubling(levels int) string {
	text := " fragment f9 on Query { ...d0 }"
	for i := range levels {
		text += fmt.Sprintf(" fragment d%d on Query { ...d%d ...d%d }", i, i+1, i+1)
	}
	return text + fmt.Sprintf(" fragment d%d on Query { __typename }", levels)
}

func TestNoAttackDoesAnything(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		s := newServer(t, url)
		address, _ := serve(t, s, time.Second) // with its own limits, which httptest's has not
		s.URL = "http://" + address
		start := cpu(t)
		victim := s.signUp(t)
		oneHash := cpu(t) - start // of a password
		before := contents(t, url)
		for name, attack := range attacks {
			t.Run(name, func(t *testing.T) {
				request := s.request(t, attack.body)
				if attack.make != nil {
					request = attack.make(t, s, victim)
				}
				s.log.Reset()
				start := cpu(t)
				a := s.doOrBeCut(t, request, attack.status)
				spent := cpu(t) - start
				want(t, "status", a.Status, attack.status)
				want(t, "code", a.kind(), attack.code)
				want(t, "errors", len(a.Errors) <= 3, true)
				want(t, "a suggestion", strings.Contains(a.Body, "Did you mean"), false)
				most := slower * 50 * time.Millisecond
				if attack.code == "EMAIL_TAKEN" { // nobody is to tell by the time that it is, so it costs a hash
					most += oneHash
				}
				if spent > most {
					t.Errorf("took %s of CPU", spent)
				}
				for _, secret := range []string{canary, victim.AccessToken, victim.RefreshToken, "\x1b"} {
					if strings.Contains(a.Body, secret) || strings.Contains(s.log.String(), secret) {
						t.Fatalf("repeated: %s\n%s", a.Body, s.log)
					}
				}
				want(t, "cookies", len(a.cookies(t)), 0)
				want(t, "the database", contents(t, url), before)
			})
		}
		want(t, "the victim's access token", s.me(t, victim.AccessToken).code(), "")
		want(t, "the victim's refresh token", s.refresh(t, victim.RefreshToken).Typename, "AuthSuccess")
	})
}

// doOrBeCut is do, but for what is too large for a header: a server that has answered 431 hangs up on the rest,
// and a client that is still sending may not see the answer.
func (s *server) doOrBeCut(t *testing.T, request *http.Request, status int) *answer {
	t.Helper()
	if status != http.StatusRequestHeaderFieldsTooLarge {
		return s.do(t, request)
	}
	response, err := s.Client().Do(request)
	if err != nil {
		return &answer{Status: status}
	}
	_ = response.Body.Close()
	return &answer{Status: response.StatusCode}
}

func TestAHeaderThatIsTooLargeIsRefused(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	address, _ := serve(t, s, time.Second)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /graphql HTTP/1.1\r\nHost: x\r\nX-Large: %s", strings.Repeat("a", 20<<10))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "status", response.StatusCode, http.StatusRequestHeaderFieldsTooLarge)
}

// kind returns the code of an error with its reason, or that of the AuthFailure.
func (a *answer) kind() string {
	if len(a.Errors) > 0 {
		if reason := a.Errors[0].Extensions.Reason; reason != "" {
			return a.code() + ":" + reason
		}
		return a.code()
	}
	if found := regexp.MustCompile(`"code":"([A-Z_]+)"`).FindStringSubmatch(a.Body); found != nil {
		return found[1]
	}
	return ""
}

// cpu returns how much of the processors this process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// contents returns all rows that strangers could try to change.
func contents(t *testing.T, databaseURL string) string {
	t.Helper()
	pool := dbtest.Open(t, databaseURL)
	var text strings.Builder
	for _, table := range []string{"users", "sessions", "events", "keys"} {
		rows, err := pool.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
		if err != nil {
			t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			for i, value := range values {
				_, _ = fmt.Fprintf(&text, "%s.%s=%v ", table, columns[i], *value.(*any))
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return text.String()
}

func TestAllBadAccessTokensGetOneAnswer(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		victim := s.signUp(t)
		var first string
		for _, token := range []string{"x", flipped(victim.AccessToken), victim.RefreshToken, "a.b.c", strings.Repeat("a", 5000)} {
			a := s.me(t, token)
			text := strings.ReplaceAll(a.Body, a.Errors[0].Extensions.RequestID, "")
			if first == "" {
				first = text
			}
			want(t, "answer", text, first)
		}
	})
}

func TestASignInTellsNothingOfAnAccount(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		tell := func(address string) string {
			a := s.ask(t, loginMutation, map[string]any{"input": map[string]any{"email": address, "password": "wrong"}}, "")
			a.Header.Del("Date")
			a.Header.Del("X-Request-Id")
			return fmt.Sprint(a.Status, a.Header, a.Body)
		}
		for _, unknown := range []string{"eve@example.com", "EVE@example.com", "ada@example.org"} {
			want(t, unknown, tell(unknown), tell(email))
		}
	})
}

func TestASignInIsANewSessionWhateverIsPresented(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		s.signUp(t)
		b := newBrowser(s)
		first, _ := b.login(t, "COOKIES")
		presented := b.cookies[refreshCookie]
		second, _ := b.login(t, "COOKIES")
		want(t, "another session", second.Session.ID != first.Session.ID, true)
		want(t, "another token", b.cookies[refreshCookie] != presented, true)
	})
}

func TestSomebodyElsesSessionLooksLikeNone(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		victim := s.signUp(t)
		attacker := s.mutate(t, signUpMutation, map[string]any{"email": "eve@example.com", "password": password}, "")
		revoke := func(id string) string {
			return strings.ReplaceAll(s.ask(t, `mutation ($id: ID) { revokeSession(input: {sessionId: $id}) { sessionId revoked } }`,
				map[string]any{"id": id}, attacker.AccessToken).Body, id, "")
		}
		want(t, "answer", revoke(victim.Session.ID), revoke("018f0000-0000-7000-8000-000000000000"))
		want(t, "victim", s.me(t, victim.AccessToken).code(), "")
	})
}

func TestForwardedHeadersOfStrangersAreNotBelieved(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for header, value := range map[string]string{"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7", "X-Real-Ip": "192.0.2.7", "True-Client-Ip": "::ffff:192.0.2.7"} {
			s.log.Reset()
			request := s.request(t, withVariables(`mutation ($e: String!) { signUp(input: {email: $e, password: "`+password+`"}) { ... on AuthSuccess { session { ip } } } }`,
				`{"e":"`+header+`@example.com"}`))
			request.Header.Set(header, value)
			want(t, header, string(s.do(t, request).Data["signUp"]), `{"session":{"ip":"127.0.0.1"}}`)
			want(t, header+" in the log", strings.Contains(s.log.String(), "192.0.2.7"), false)
		}
	})
}

func TestAServerThatIsBehindTakesTheTokensOfOneThatIsAhead(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, url string) {
		ahead, behind := newServer(t, url), newServer(t, url)
		ahead.clock.Advance(5 * time.Second)
		tokens := ahead.signUp(t)
		want(t, "me", behind.me(t, tokens.AccessToken).code(), "")
		want(t, "refresh", behind.refresh(t, tokens.RefreshToken).Typename, "AuthSuccess")
	})
}

// What no HTTP client sends: the bytes are written by hand.
func TestNoRequestIsSmuggled(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	address, _ := serve(t, s, time.Second)
	body := operation(signUpX)
	for name, test := range map[string]struct {
		head string
		want []string
	}{
		"two lengths":              {"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 300\r\n\r\n", []string{"400"}},
		"a length in two ways":     {"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", []string{"400", "501"}},
		"a space in a header":      {"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\n", []string{"400"}},
		"no Host":                  {"POST /graphql HTTP/1.1\r\nContent-Length: 5\r\n\r\n", []string{"400"}},
		"two Hosts":                {"POST /graphql HTTP/1.1\r\nHost: a\r\nHost: b\r\nContent-Length: 5\r\n\r\n", []string{"400"}},
		"another server's address": {"GET http://evil.example/schema.graphql HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", []string{"404"}},
		"a Host for links":         {"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", []string{"200"}},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, test.head+body); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = conn.Close()
		if !strings.Contains(strings.Join(test.want, " "), fmt.Sprint(response.StatusCode)) {
			t.Errorf("%s: got %d, want %v", name, response.StatusCode, test.want)
		}
		want(t, name+": repeated", strings.Contains(string(text)+fmt.Sprint(response.Header), "evil"), false)
	}
	want(t, "signed up", strings.Contains(s.log.String(), "INSERT INTO users"), false)
}
