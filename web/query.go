package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	jsonv2 "github.com/go-json-experiment/json"
)

// readQuery reads one operation from the query string of a GET (GraphQL over HTTP, "GET"). Other parameters
// than those of the specification are ignored: no token is ever read from a URL.
func readQuery(r *http.Request) (*graphql.RawParams, *refusal) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The query string is malformed.")
	}
	for _, name := range []string{"query", "operationName", "variables", "extensions"} {
		if len(values[name]) > 1 {
			return nil, badRequest("The parameter " + name + " is there twice.")
		}
	}
	params := &graphql.RawParams{Query: values.Get("query"), OperationName: values.Get("operationName")}
	if strings.TrimSpace(params.Query) == "" {
		return nil, badRequest("The query string has no query.")
	}
	for name, into := range map[string]*map[string]any{"variables": &params.Variables, "extensions": &params.Extensions} {
		if text := values.Get(name); text != "" && jsonv2.Unmarshal([]byte(text), into, numbersAsWritten) != nil {
			return nil, badRequest("The parameter " + name + " must be a JSON object.")
		}
	}
	return params, nil
}
