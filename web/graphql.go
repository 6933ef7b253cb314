package web

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"latchkey/graph"
)

// The media types of answers (GraphQL over HTTP, "Media Types").
const (
	mediaJSON     = "application/json"
	mediaResponse = "application/graphql-response+json"
)

// retryAfter is the Retry-After of an answer that has the code UNAVAILABLE, in seconds.
const retryAfter = 2

// graphql answers POST /graphql. What executed is HTTP 200, its errors included: a client's refresh
// recipe reads them there, and an HTTP 401 would come in its way.
func (e *Edge) graphql(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		e.refuse(w, r, http.StatusMethodNotAllowed, graph.BadRequest, "Send operations by POST.")
		return
	}
	mediaType, ok := negotiate(r.Header.Values("Accept"))
	if !ok {
		e.refuse(w, r, http.StatusNotAcceptable, graph.BadRequest, "Accept application/graphql-response+json or application/json.")
		return
	}
	token, err := accessToken(r)
	if err != nil {
		e.refuse(w, r, http.StatusBadRequest, graph.BadRequest, "Send one Authorization header.")
		return
	}
	params, refused := readBody(w, r)
	if refused != nil {
		e.refuse(w, r, refused.status, refused.code, refused.message)
		return
	}
	ctx := graph.WithRequest(r.Context(), &graph.Request{ID: requestID(r), Client: clientOf(r), AccessToken: token})
	ctx = graphql.StartOperationTrace(ctx)

	status := http.StatusOK
	var response *graphql.Response
	operation, errs := e.executor.CreateOperationContext(ctx, params)
	if len(errs) > 0 {
		if mediaType == mediaResponse {
			status = http.StatusBadRequest
		}
		response = e.executor.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
	} else {
		handler, ctx := e.executor.DispatchOperation(ctx, operation)
		if response = handler(ctx); response == nil { // the client hung up
			return
		}
	}
	writeResponse(w, status, mediaType, response)
}

// refuse answers a request that is not executed.
func (e *Edge) refuse(w http.ResponseWriter, r *http.Request, status int, code graph.Code, message string) {
	mediaType, ok := negotiate(r.Header.Values("Accept"))
	if !ok {
		mediaType = mediaJSON
	}
	writeResponse(w, status, mediaType, &graphql.Response{Errors: gqlerror.List{{
		Message:    message,
		Extensions: map[string]any{"code": code, "requestId": requestID(r)},
	}}})
}

func writeResponse(w http.ResponseWriter, status int, mediaType string, response *graphql.Response) {
	for _, err := range response.Errors {
		if err.Extensions["code"] == graph.Unavailable {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
	}
	w.Header().Set("Content-Type", mediaType+"; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer{response.Errors, response.Data, response.Extensions}) // fails where the client is gone
}

// answer is a graphql.Response without data where nothing was executed, as the specification has it
// (GraphQL §7.1.1).
type answer struct {
	Errors     gqlerror.List   `json:"errors,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any  `json:"extensions,omitempty"`
}

// negotiate picks the media type of an answer: the first of the two that the client names and does not
// weigh with zero, and application/json for clients that do not care.
func negotiate(accept []string) (string, bool) {
	if len(accept) == 0 {
		return mediaJSON, true
	}
	for entry := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		mediaType, parameters, err := mime.ParseMediaType(strings.TrimSpace(entry))
		if err != nil {
			continue
		}
		if weight, err := strconv.ParseFloat(parameters["q"], 64); err == nil && weight == 0 {
			continue
		}
		switch mediaType {
		case mediaResponse:
			return mediaResponse, true
		case mediaJSON, "application/*", "*/*":
			return mediaJSON, true
		}
	}
	return "", false
}
