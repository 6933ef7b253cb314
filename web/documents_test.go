package web_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"latchkey/db/dbtest"
)

// Package graph keeps operations that it has seen. Nothing of that may show, but in the time that they take.

func TestAnOperationAnswersTheSameTheSecondTime(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	ada := s.signUp(t)
	grace := s.mutate(t, signUpMutation, map[string]any{"email": "grace@example.com", "password": password}, "")
	const me = `query Who { me { email } } query What { me { role } }`
	ask := func(name, token string) *answer {
		request := s.request(t, `{"query":`+quoted(me)+`,"operationName":`+quoted(name)+`}`)
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		return s.do(t, request)
	}
	for range 2 {
		want(t, "ada", string(ask("Who", ada.AccessToken).Data["me"]), `{"email":"`+email+`"}`)
		want(t, "grace", string(ask("Who", grace.AccessToken).Data["me"]), `{"email":"grace@example.com"}`)
		want(t, "the other operation", string(ask("What", ada.AccessToken).Data["me"]), `{"role":"USER"}`)
		want(t, "nobody", ask("Who", "").code(), "UNAUTHENTICATED")
		want(t, "an operation that is not there", ask("Why", ada.AccessToken).code(), "BAD_REQUEST")

		want(t, "wrong", s.mutate(t, loginMutation, map[string]any{"email": email, "password": "not " + password}, "").Code, "INVALID_CREDENTIALS")
		want(t, "right", s.mutate(t, loginMutation, map[string]any{"email": email, "password": password}, "").User.Email, email)
		want(t, "no input", s.ask(t, loginMutation, nil, "").code(), "BAD_USER_INPUT")
		want(t, "too deep", s.ask(t, loginMutation, map[string]any{"x": json.RawMessage(strings.Repeat("[", 12) + strings.Repeat("]", 12))}, "").code(), "OPERATION_TOO_LARGE")
		want(t, "introspection", s.ask(t, `{ __schema { description } }`, nil, ada.AccessToken).code(), "GRAPHQL_VALIDATION_FAILED")
		want(t, "too large", s.ask(t, `{ `+strings.Repeat("__typename ", 11)+`}`, nil, "").code(), "OPERATION_TOO_LARGE")

		// What a POST may, a GET may not.
		const signOut = `mutation { revokeSession(input: {}) { revoked } }`
		want(t, "POST", s.ask(t, signOut, nil, "").code(), "UNAUTHENTICATED")
		get := s.request(t, "")
		get.Method, get.Body, get.ContentLength, get.URL.RawQuery = http.MethodGet, http.NoBody, 0, url.Values{"query": {signOut}}.Encode()
		want(t, "GET", s.do(t, get).Status, http.StatusMethodNotAllowed)
	}
}

// Many requests read one document at the same time, and leave out different parts of it.
func TestRequestsShareADocumentAndNotTheirVariables(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	token := s.signUp(t).AccessToken
	const query = `query ($email: Boolean!, $role: Boolean!) {
		me { __typename } me @include(if: $email) { email } ...r @include(if: $role) me @skip(if: $role) { name }
	} fragment r on Query { me { role } }`
	answers := map[string]string{}
	for _, asked := range []string{"falsefalse", "falsetrue", "truefalse", "truetrue"} {
		parts := []string{`"__typename":"User"`}
		if strings.HasPrefix(asked, "true") {
			parts = append(parts, `"email":"`+email+`"`)
		}
		if strings.HasSuffix(asked, "true") {
			parts = append(parts, `"role":"USER"`)
		} else {
			parts = append(parts, `"name":null`)
		}
		answers[asked] = "{" + strings.Join(parts, ",") + "}"
	}
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 25 {
				withEmail, withRole := (i+j)%2 == 0, (i+j)%3 == 0
				a := s.ask(t, query, map[string]any{"email": withEmail, "role": withRole}, token)
				if got := string(a.Data["me"]); got != answers[fmt.Sprintf("%t%t", withEmail, withRole)] {
					t.Errorf("with email: %t, with role: %t: got %s", withEmail, withRole, a.Body)
				}
			}
		})
	}
	group.Wait()
}

// All of the heap is searched, after the fact, for passwords and tokens that came in every way there is.
func TestNoSecretOfARequestStaysInMemory(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	var kept []string // backwards: the test's own memory is searched too
	backwards := func(text string) string {
		bytes := []byte(text)
		defer clear(bytes) // they are on a stack, and what another goroutine gets of that is searched
		slices.Reverse(bytes)
		return string(bytes)
	}
	// In a goroutine of its own, whose stack is gone afterwards, and without a connection, whose buffers live on.
	send := func(name string, request func(secret string) *http.Request, status int, code string) {
		kept = append(kept, rand.Text())
		reversed := kept[len(kept)-1]
		done := make(chan string)
		go func() {
			answer := httptest.NewRecorder()
			s.edge.ServeHTTP(answer, request(backwards(reversed)))
			if answer.Code != status || !strings.Contains(answer.Body.String(), code) {
				done <- fmt.Sprintf("%s: got %d %s", name, answer.Code, answer.Body)
			}
			close(done)
		}()
		if problem := <-done; problem != "" {
			t.Fatal(problem)
		}
	}
	post := func(query func(secret string) string, variables func(secret string) string) func(string) *http.Request {
		return func(secret string) *http.Request {
			body := `{"query":` + quoted(query(secret)) + `,"variables":` + variables(secret) + `}`
			request := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
			request.Header.Set("Content-Type", "application/json")
			return request
		}
	}
	always := func(text string) func(string) string { return func(string) string { return text } }
	const failed = `{ __typename ... on AuthFailure { code } }`

	// What is no secret is found, and so the search is worth something.
	send("the name of an operation", post(func(name string) string { return `query n` + name + ` { __typename }` }, always("{}")), 200, "Query")
	for i := range 2 {
		send("the password of a sign-up", post(func(secret string) string {
			return fmt.Sprintf(`mutation { signUp(input: {email: "grace%d@example.com", password: "%s", deviceName: "terminal"}) { __typename } }`, i, secret)
		}, always("{}")), 200, "AuthSuccess")
		send("a literal", post(func(secret string) string {
			return `mutation { login(input: {email: "` + email + `", password: "` + secret + `"}) ` + failed + ` }`
		}, always("{}")), 200, "INVALID_CREDENTIALS")
		send("a block string", post(func(secret string) string {
			return `mutation { refreshToken(input: {refreshToken: """` + secret + `"""}) ` + failed + ` }`
		}, always("{}")), 200, "INVALID_REFRESH_TOKEN")
		send("a default value", post(func(secret string) string {
			return `mutation ($t: String = "` + secret + `") { refreshToken(input: {refreshToken: $t}) ` + failed + ` }`
		}, always("{}")), 200, "INVALID_REFRESH_TOKEN")
		send("a comment", post(func(secret string) string { return "{ __typename } # " + secret }, always("{}")), 200, "Query")
		send("a variable", post(always(`mutation ($t: String!) { refreshToken(input: {refreshToken: $t}) `+failed+` }`),
			func(secret string) string { return `{"t":"` + secret + `"}` }), 200, "INVALID_REFRESH_TOKEN")
		send("another parameter of a URL", func(secret string) *http.Request { // of which the query is a part
			return httptest.NewRequest(http.MethodGet, `/graphql?query={__typename}&variables={"t":"`+secret+`"}`, nil)
		}, 200, "Query")
		send("an access token", func(secret string) *http.Request {
			request := post(always(`{ me { id } }`), always("{}"))(secret)
			request.Header.Set("Authorization", "Bearer "+secret)
			return request
		}, 200, "UNAUTHENTICATED")
	}
	// A timer that was stopped may lie about in Go's runtime until it would have been due, with all that its context has.
	var left []int
	for began := time.Now(); time.Since(began) < time.Minute; {
		dump := heapDump(t)
		slices.Reverse(dump) // rather than to have the secrets in memory again
		left = nil
		for i, reversed := range kept {
			if bytes.Contains(dump, []byte(reversed)) {
				left = append(left, i)
			}
		}
		if slices.Equal(left, []int{0}) {
			return
		}
	}
	t.Errorf("of %d secrets these are in memory: %d, want the first only", len(kept), left)
}

// heapDump returns all that is in memory and not garbage.
func heapDump(t *testing.T) []byte {
	t.Helper()
	for range 3 { // what a sync.Pool holds survives two
		runtime.GC()
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	if err != nil {
		t.Fatal(err)
	}
	debug.WriteHeapDump(file.Fd())
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	dump, err := os.ReadFile(file.Name())
	if err := errors.Join(err, os.Remove(file.Name())); err != nil {
		t.Fatal(err)
	}
	return dump
}

func TestTheDataOfAnAnswerIsWrittenAsEncodingJSONWritesIt(t *testing.T) {
	s := newServer(t, dbtest.SQLite(t))
	name := "<b>&'\"\\\u2028\u2029é😀</b>"
	token := s.mutate(t, signUpMutation, map[string]any{"email": email, "password": password, "name": name}, "").AccessToken
	body := s.ask(t, `{ me { name } }`, nil, token).Body
	var written bytes.Buffer
	if err := json.NewEncoder(&written).Encode(map[string]any{"data": map[string]any{"me": map[string]any{"name": name}}}); err != nil {
		t.Fatal(err)
	}
	want(t, "body", body, written.String())
}
