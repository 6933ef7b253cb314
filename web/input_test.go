package web_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"latchkey/graph"
	"latchkey/telemetry"
	"latchkey/web"
)

// canary stands in every bad request, and must come back in no answer and no log.
const canary = "canary-9c41"

func quoted(text string) string {
	raw, _ := json.Marshal(text)
	return string(raw)
}

func TestBadInputGetsAClearAnswerAndChangesNothing(t *testing.T) {
	query := func(text string) string { return `{"query":` + quoted(text) + `}` }
	login := func(input string) string {
		return `{"query":` + quoted(loginMutation) + `,"variables":{"input":` + input + `}}`
	}
	bad := map[string]struct {
		body   string
		status int
		code   string
	}{
		"nothing":                  {"", 400, "BAD_REQUEST"},
		"no JSON":                  {canary, 400, "BAD_REQUEST"},
		"half a body":              {`{"query":"` + canary, 400, "BAD_REQUEST"},
		"a batch":                  {`[{"query":"` + canary + `"}]`, 400, "BAD_REQUEST"},
		"text behind":              {query("{ __typename }") + canary, 400, "BAD_REQUEST"},
		"a second object":          {query("{ __typename }") + query("{ __typename }"), 400, "BAD_REQUEST"},
		"a member twice":           {`{"query":"{ __typename }","query":"` + canary + `"}`, 400, "BAD_REQUEST"},
		"a member in another case": {`{"QUERY":"` + canary + `"}`, 400, "BAD_REQUEST"},
		"an unknown member":        {`{"query":"{ __typename }","` + canary + `":1}`, 400, "BAD_REQUEST"},
		"a number for a query":     {`{"query":5}`, 400, "BAD_REQUEST"},
		"null for a query":         {`{"query":null}`, 400, "BAD_REQUEST"},
		"no query":                 {`{"variables":{}}`, 400, "BAD_REQUEST"},
		"a blank query":            {`{"query":" "}`, 400, "BAD_REQUEST"},
		"a text for variables":     {`{"query":"{ __typename }","variables":"` + canary + `"}`, 400, "BAD_REQUEST"},
		"a list for extensions":    {`{"query":"{ __typename }","extensions":["` + canary + `"]}`, 400, "BAD_REQUEST"},
		"invalid UTF-8":            {"{\"query\":\"" + canary + "\xff\"}", 400, "BAD_REQUEST"},
		"half a surrogate":         {`{"query":"` + canary + `\ud800"}`, 400, "BAD_REQUEST"},
		"a byte order mark":        {"\ufeff" + query("{ __typename }"), 400, "BAD_REQUEST"},
		"NaN":                      {`{"query":"{ __typename }","variables":{"x":NaN}}`, 400, "BAD_REQUEST"},
		"deep nesting":             {`{"query":"{ __typename }","variables":{"x":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}}`, 400, "BAD_REQUEST"},
		"a large body":             {query("{ __typename }" + strings.Repeat(" ", 70000)), 413, "OPERATION_TOO_LARGE"},
		"a password of a megabyte": {login(`{"email":"a@example.com","password":"` + strings.Repeat("a", 1<<20) + `"}`), 413, "OPERATION_TOO_LARGE"},

		"a syntax error":           {query("{ me { " + canary), 200, "GRAPHQL_PARSE_FAILED"},
		"an unclosed text":         {query(`{ me(x: "` + canary), 200, "GRAPHQL_PARSE_FAILED"},
		"comments only":            {query("# " + canary), 200, "BAD_REQUEST"},
		"too many tokens":          {query("{" + strings.Repeat(" a", 6000) + "}"), 200, "OPERATION_TOO_LARGE"},
		"an unknown field":         {query("{ me { " + strings.ReplaceAll(canary, "-", "_") + " } }"), 200, "GRAPHQL_VALIDATION_FAILED"},
		"an unknown argument":      {query(`{ me(x: "` + canary + `") { id } }`), 200, "GRAPHQL_VALIDATION_FAILED"},
		"an unknown operation":     {`{"query":"query a { __typename }","operationName":"` + canary + `"}`, 200, "BAD_REQUEST"},
		"two operations, no name":  {query("query a { __typename } query b { __typename }"), 200, "BAD_REQUEST"},
		"a fragment alone":         {query("fragment f on Query { __typename }"), 200, "BAD_REQUEST"},
		"a fragment in itself":     {query("{ ...f } fragment f on Query { ...f }"), 200, "GRAPHQL_VALIDATION_FAILED"},
		"a subscription":           {query("subscription { me { id } }"), 200, "GRAPHQL_VALIDATION_FAILED"},
		"introspection":            {query("{ __schema { types { name } } }"), 200, "GRAPHQL_VALIDATION_FAILED"},
		"a literal number":         {query(`mutation { login(input: {email: 5, password: "` + canary + `"}) { __typename } }`), 200, "GRAPHQL_VALIDATION_FAILED"},
		"an unknown literal field": {query(`mutation { login(input: {email: "a", password: "b", role: "` + canary + `"}) { __typename } }`), 200, "GRAPHQL_VALIDATION_FAILED"},
		"NUL in a literal":         {query(`mutation { login(input: {email: "a@example.com", password: "` + canary + `\u0000"}) { __typename } }`), 200, "BAD_USER_INPUT"},

		"no variable":               {`{"query":` + quoted(loginMutation) + `}`, 200, "BAD_USER_INPUT"},
		"null for input":            {login("null"), 200, "BAD_USER_INPUT"},
		"a text for input":          {login(quoted(canary)), 200, "BAD_USER_INPUT"},
		"no password":               {login(`{"email":"` + canary + `"}`), 200, "BAD_USER_INPUT"},
		"an unknown input field":    {login(`{"email":"a@example.com","password":"x","` + canary + `":1}`), 200, "BAD_USER_INPUT"},
		"a number for an email":     {login(`{"email":5,"password":"` + canary + `"}`), 200, "BAD_USER_INPUT"},
		"a list for a password":     {login(`{"email":"a@example.com","password":["` + canary + `"]}`), 200, "BAD_USER_INPUT"},
		"null for a password":       {login(`{"email":"` + canary + `","password":null}`), 200, "BAD_USER_INPUT"},
		"a boolean for a name":      {login(`{"email":"a@example.com","password":"x","deviceName":true}`), 200, "BAD_USER_INPUT"},
		"NUL in an email":           {login(`{"email":"` + canary + `\u0000@example.com","password":"x"}`), 200, "BAD_USER_INPUT"},
		"NUL in a password":         {login(`{"email":"a@example.com","password":"` + canary + `\u0000"}`), 200, "BAD_USER_INPUT"},
		"NUL in a device name":      {login(`{"email":"a@example.com","password":"x","deviceName":"` + canary + `\u0000"}`), 200, "BAD_USER_INPUT"},
		"a control character":       {login(`{"email":"a@example.com","password":"x","deviceName":"` + canary + `\u0007x"}`), 200, "BAD_USER_INPUT"},
		"an email of 10000":         {login(`{"email":"` + strings.Repeat("a", 10000) + `@example.com","password":"` + canary + `"}`), 200, "BAD_USER_INPUT"},
		"no email":                  {login(`{"email":"` + canary + `","password":"x"}`), 200, "BAD_USER_INPUT"},
		"an unknown delivery":       {login(`{"email":"a@example.com","password":"x","delivery":"` + canary + `"}`), 200, "BAD_USER_INPUT"},
		"a delivery in lower case":  {login(`{"email":"a@example.com","password":"` + canary + `","delivery":"body"}`), 200, "BAD_USER_INPUT"},
		"a password of 2000":        {`{"query":` + quoted(signUpMutation) + `,"variables":{"input":{"email":"a@example.com","password":"` + strings.Repeat("a", 2000) + `"}}}`, 200, "BAD_USER_INPUT"},
		"a malformed id":            {query(`mutation { revokeSession(input: {sessionId: "` + canary + `"}) { revoked } }`), 200, "BAD_USER_INPUT"},
		"a number for an id":        {query(`mutation { revokeSession(input: {sessionId: 5}) { revoked } }`), 200, "BAD_USER_INPUT"},
		"a malformed refresh token": {query(`mutation { revokeSession(input: {refreshToken: "` + canary + `"}) { revoked } }`), 200, "BAD_USER_INPUT"},
		"both at once": {query(`mutation { revokeSession(input: {sessionId: "018f0000-0000-7000-8000-000000000000", refreshToken: "` + canary + `"}) { revoked } }`),
			200, "BAD_USER_INPUT"},
	}
	each(t, func(t *testing.T, s *server) {
		tokens := s.signUp(t)
		for name, test := range bad {
			t.Run(name, func(t *testing.T) {
				s.log.Reset()
				a := s.do(t, s.request(t, test.body))
				if a.Status != test.status || a.code() != test.code {
					t.Fatalf("got %d %s, want %d %s", a.Status, a.Body, test.status, test.code)
				}
				want(t, "has a message", len(a.Errors[0].Message) > 10, true)
				for _, marked := range []string{canary, strings.ReplaceAll(canary, "-", "_"), "aaaaaaaa"} {
					if strings.Contains(a.Body, marked) || strings.Contains(s.log.String(), marked) {
						t.Fatalf("repeated: %s\n%s", a.Body, s.log)
					}
				}
				for _, changed := range []string{"INSERT", "UPDATE", "DELETE"} {
					want(t, changed, strings.Contains(s.log.String(), changed), false)
				}
				if strings.Contains(s.log.String(), "internal server error") || strings.Contains(s.log.String(), `"panic"`) {
					t.Fatal(s.log)
				}
			})
		}
		want(t, "me", s.me(t, tokens.AccessToken).code(), "")
		want(t, "refresh", s.refresh(t, tokens.RefreshToken).Typename, "AuthSuccess")
	})
}

func TestARequestThatIsNotAPostOfJSONIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		body := `{"query":` + quoted(signUpMutation) + `,"variables":{"input":{"email":"a@example.com","password":"` + password + `"}}}`
		for name, test := range map[string]struct {
			change func(r *http.Request)
			status int
		}{
			"text":                      {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
			"a form":                    {func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415},
			"several parts":             {func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }, 415},
			"no type":                   {func(r *http.Request) { r.Header.Del("Content-Type") }, 415},
			"another charset":           {func(r *http.Request) { r.Header.Set("Content-Type", "application/json; charset=utf-16") }, 415},
			"two types":                 {func(r *http.Request) { r.Header.Add("Content-Type", "application/json") }, 415},
			"compressed":                {func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415},
			"GET":                       {func(r *http.Request) { r.Method = http.MethodGet }, 400}, // without a query
			"PUT":                       {func(r *http.Request) { r.Method = http.MethodPut }, 405},
			"TRACE":                     {func(r *http.Request) { r.Method = http.MethodTrace; r.Body = nil; r.ContentLength = 0 }, 405},
			"HTML wanted":               {func(r *http.Request) { r.Header.Set("Accept", "text/html") }, 406},
			"JSON not wanted":           {func(r *http.Request) { r.Header.Set("Accept", "application/json;q=0") }, 406},
			"two Authorization headers": {func(r *http.Request) { r.Header["Authorization"] = []string{"Bearer " + canary, "Bearer y"} }, 400},
			"another path":              {func(r *http.Request) { r.URL.Path = "/graphql/" }, 404},
			"pprof":                     {func(r *http.Request) { r.URL.Path = "/debug/pprof/" }, 404},
			"metrics":                   {func(r *http.Request) { r.URL.Path = "/metrics" }, 404},
		} {
			t.Run(name, func(t *testing.T) {
				s.log.Reset()
				request := s.request(t, body)
				test.change(request)
				a := s.do(t, request)
				want(t, "status", a.Status, test.status)
				if test.status != http.StatusNotFound {
					want(t, "code", a.code(), "BAD_REQUEST")
				}
				want(t, "written", strings.Contains(s.log.String(), "INSERT"), false)
				want(t, "repeated", strings.Contains(a.Body+s.log.String(), canary), false)
			})
		}
		request := s.request(t, body)
		request.Header.Set("Content-Type", "Application/JSON; Charset=UTF-8")
		want(t, "in any case", s.do(t, request).code(), "")
	})
}

func TestAnEndlessBodyIsCutOff(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		request := s.request(t, "")
		request.Body, request.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"query":"`), endless{})), -1
		want(t, "status", s.do(t, request).Status, http.StatusRequestEntityTooLarge)
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestTheMediaTypeOfTheAnswerIsTheOneAskedFor(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		const inJSON, inResponse = "application/json; charset=utf-8", "application/graphql-response+json; charset=utf-8"
		for accept, test := range map[string]struct {
			mediaType string
			invalid   int // the status of an operation that does not fit the schema
		}{
			"": {inJSON, 200}, "*/*": {inJSON, 200}, "application/json": {inJSON, 200}, "application/*;q=0.5": {inJSON, 200},
			"application/graphql-response+json":                                      {inResponse, 400},
			"application/graphql-response+json, application/json;q=0.9":              {inResponse, 400},
			"text/event-stream, application/graphql-response+json, application/json": {inResponse, 400},
			"application/graphql-response+json;q=0, application/json":                {inJSON, 200},
			"application/json;q=0, */*":                                              {inResponse, 400}, // the more specific counts
		} {
			for query, status := range map[string]int{`{"query":"{ me { id } }"}`: 200, `{"query":"{ nothing }"}`: test.invalid, `{`: 400} {
				request := s.request(t, query)
				if accept != "" {
					request.Header.Set("Accept", accept)
				}
				a := s.do(t, request)
				want(t, accept+": status of "+query, a.Status, status)
				want(t, accept+": type", a.Header.Get("Content-Type"), test.mediaType)
				want(t, accept+": data", a.Data != nil, query == `{"query":"{ me { id } }"}`)
			}
		}
	})
}

func TestALargeNumberIsNotRounded(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		// 2^53+1: as a float64 it would pass for another number. As a String it is refused, whichever it is.
		a := s.do(t, s.request(t, `{"query":"query ($x: String) { __typename @include(if: true) me @skip(if: true) { id } ...f } fragment f on Query { __typename }","variables":{"x":9007199254740993}}`))
		want(t, "code", a.code(), "GRAPHQL_VALIDATION_FAILED") // an unused variable
	})
}

func TestAUserAgentIsMadeFitToBeShown(t *testing.T) {
	each(t, func(t *testing.T, s *server) {
		for sent, shown := range map[string]string{
			"Mozilla/5.0": "Mozilla/5.0", "tab\there": "tabhere", "bad \xff byte": "bad  byte", strings.Repeat("é", 300): strings.Repeat("é", 256),
			strings.Repeat("a", 511) + "é": strings.Repeat("a", 511),
		} {
			request := s.request(t, fmt.Sprintf(`{"query":%s,"variables":{"input":{"email":"%d@example.com","password":"%s"}}}`,
				quoted(`mutation ($input: SignUpInput!) { signUp(input: $input) { ... on AuthSuccess { session { userAgent } } } }`), len(sent), password))
			request.Header.Set("User-Agent", sent)
			a := s.do(t, request)
			want(t, "shown", string(a.Data["signUp"]), `{"session":{"userAgent":`+quoted(shown)+`}}`)
		}
	})
}

func TestAPanicEndsOneRequestAndNotTheServer(t *testing.T) {
	log := &logBuffer{}
	edge, err := web.New(web.Options{Log: slog.New(telemetry.LogHandler(slog.NewJSONHandler(log, nil))), Metrics: web.NewMetrics()}) // no executor to ask
	if err != nil {
		t.Fatal(err)
	}
	server := &server{Server: httptest.NewServer(edge), log: log}
	defer server.Close()
	for range 2 {
		a := server.do(t, server.request(t, `{"query":"`+canary+`"}`))
		want(t, "status", a.Status, http.StatusInternalServerError)
		want(t, "code", a.code(), string(graph.InternalServerError))
		want(t, "repeated", strings.Contains(a.Body+log.String(), canary), false)
		want(t, "found by its request id", strings.Contains(log.String(), a.Header.Get("X-Request-Id")), true)
	}
}
