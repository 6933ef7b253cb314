package web_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"latchkey/db/dbtest"
)

// Whatever the bytes, the answer is one of the contract and repeats nothing of them.
func FuzzAnyBodyGetsAnAnswerOfTheContract(f *testing.F) {
	s := newServer(f, dbtest.SQLite(f))
	query := `{"query":"{ me { id } }"}`
	for _, body := range []string{
		query, query + query, "[" + query + "]", "\ufeff" + query, query + canary, "", " ", "null", canary, `"` + canary + `"`,
		`{"query":"{ __typename }","variables":{"a":[1,2.5e300,null,true,"` + canary + `"]},"operationName":null,"extensions":{}}`,
		`{"query":"{ __typename }","query":"` + canary + `"}`, `{"QUERY":"` + canary + `"}`, `{"query":"` + canary + `\ud800"}`,
		"{\"query\":\"" + canary + "\xff\"}", `{"query":` + strings.Repeat("[", 5000), `{"query":"{ ` + strings.Repeat("a ", 1500) + `}"}`,
		`{"query":"mutation { login(input: {email: \"` + canary + `\", password: \"x\"}) { __typename } }"}`,
		`{"query":"query ($a: String) { me { id } }","variables":{"a":` + strings.Repeat("9", 400) + `}}`,
		`{"query":"{ ...f } fragment f on Query { ...f }"}`, `{"query":"subscription { me { id } }"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s.log.Reset()
		request := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		s.edge.ServeHTTP(answer, request)
		switch answer.Code {
		case http.StatusOK, http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		default:
			t.Fatalf("status %d", answer.Code)
		}
		if !json.Valid(answer.Body.Bytes()) {
			t.Fatalf("not JSON: %s", answer.Body)
		}
		if text := answer.Body.String(); strings.Contains(text, "INTERNAL_SERVER_ERROR") {
			t.Fatal(text)
		}
		if bytes.Contains(body, []byte(canary)) && (strings.Contains(answer.Body.String(), canary) || strings.Contains(s.log.String(), canary)) {
			t.Fatal("what was sent is repeated")
		}
	})
}
