package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"latchkey/graph"
)

// maxBody is how many bytes a request's body may have.
const maxBody = 64 << 10

// refusal is why a request is not executed.
type refusal struct {
	status  int
	code    graph.Code
	message string
}

func badRequest(message string) *refusal {
	return &refusal{http.StatusBadRequest, graph.BadRequest, message}
}

// body is that of a POST (GraphQL over HTTP, "Request Parameters").
type body struct {
	Query         string         `json:"query"`
	OperationName *string        `json:"operationName"`
	Variables     map[string]any `json:"variables"`
	Extensions    map[string]any `json:"extensions"`
}

// numbersAsWritten keeps a number's digits: a float64 would round a large integer.
var numbersAsWritten = jsonv2.WithUnmarshalers(jsonv2.UnmarshalFromFunc(func(in *jsontext.Decoder, value *any) error {
	if in.PeekKind() != '0' {
		return errors.ErrUnsupported
	}
	number, err := in.ReadValue()
	if err != nil {
		return err
	}
	*value = json.Number(number)
	return nil
}))

// readBody reads one operation. Go's older decoder would take a member twice, in another case, invalid
// UTF-8 and text behind the object: what a firewall reads and what is executed could then differ.
func readBody(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *refusal) {
	if !isJSON(r.Header.Values("Content-Type")) {
		return nil, &refusal{http.StatusUnsupportedMediaType, graph.BadRequest, "Send application/json."}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, &refusal{http.StatusUnsupportedMediaType, graph.BadRequest, "Send the body without a Content-Encoding."}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			return nil, &refusal{http.StatusRequestEntityTooLarge, graph.OperationTooLarge, "The body has more than 64 KiB."}
		}
		return nil, badRequest("The body did not arrive whole.")
	}
	switch start := bytes.TrimLeft(text, " \t\r\n"); {
	case len(start) == 0:
		return nil, badRequest("The body is empty.")
	case start[0] == '[':
		return nil, badRequest("Send one operation: batches are not taken.")
	case start[0] != '{':
		return nil, badRequest("The body must be a JSON object.")
	}
	var parsed body
	err = jsonv2.Unmarshal(text, &parsed, jsonv2.RejectUnknownMembers(true), numbersAsWritten)
	if _, malformed := errors.AsType[*jsontext.SyntacticError](err); malformed {
		return nil, badRequest("The body is not valid JSON: one object, in UTF-8, each name once.")
	}
	if err != nil {
		return nil, badRequest("The body must have the members query (a string) and, if wanted, operationName (a string), variables and extensions (objects), and no others.")
	}
	if strings.TrimSpace(parsed.Query) == "" {
		return nil, badRequest("The body has no query.")
	}
	params := &graphql.RawParams{Query: parsed.Query, Variables: parsed.Variables, Extensions: parsed.Extensions}
	if parsed.OperationName != nil {
		params.OperationName = *parsed.OperationName
	}
	return params, nil
}

func isJSON(contentTypes []string) bool {
	if len(contentTypes) != 1 {
		return false
	}
	mediaType, parameters, err := mime.ParseMediaType(contentTypes[0])
	if err != nil || mediaType != "application/json" {
		return false
	}
	charset, given := parameters["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}
