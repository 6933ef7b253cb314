package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"latchkey/auth"
	"latchkey/graph"
)

// retryAfter is the Retry-After of an answer that has the code UNAVAILABLE or RATE_LIMITED, in seconds.
const retryAfter = 2

// graphql answers POST /graphql and, for queries, GET. What executed is HTTP 200, its errors included: a
// client's refresh recipe reads them there, and an HTTP 401 would come in its way.
func (e *Edge) graphql(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	mediaType, ok := negotiate(r.Header.Values("Accept"))
	if !ok {
		e.refuse(w, r, refusal{http.StatusNotAcceptable, graph.BadRequest, "Accept application/graphql-response+json or application/json."})
		return
	}
	request, refused := e.credentials(r)
	if refused != nil {
		e.refuse(w, r, *refused)
		return
	}
	params, refused := readOperation(w, r)
	if refused != nil {
		e.refuse(w, r, *refused)
		return
	}
	ctx := graphql.StartOperationTrace(graph.WithRequest(r.Context(), request))

	status := http.StatusOK
	var response *graphql.Response
	operation, errs := e.executor.CreateOperationContext(ctx, params)
	switch {
	case len(errs) > 0:
		if mediaType == mediaResponse {
			status = http.StatusBadRequest
		}
		errs = errs[:min(len(errs), graph.MaxErrors)]
		response = e.executor.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
	case r.Method == http.MethodGet && operation.Operation.Operation != ast.Query:
		e.refuse(w, r, refusal{http.StatusMethodNotAllowed, graph.BadRequest, "Send mutations by POST."})
		return
	default:
		handler, ctx := e.executor.DispatchOperation(ctx, operation)
		if response = handler(ctx); response == nil { // the client hung up
			return
		}
		e.cookies.write(w, r, request.Cookies)
	}
	writeResponse(w, status, mediaType, response)
}

// credentials returns what is known of a request, unless it brings two credentials of one kind or comes from
// a page that may not send it.
func (e *Edge) credentials(r *http.Request) (*graph.Request, *refusal) {
	request := &graph.Request{ID: requestID(r), Client: e.clientOf(r), SessionID: r.Header.Get(sessionHeader)}
	accessCookie, err := e.cookies.read(r, e.cookies.accessToken())
	if err == nil {
		request.RefreshToken, err = e.cookies.read(r, e.cookies.refreshToken())
	}
	deviceCookie, deviceErr := e.cookies.read(r, e.cookies.deviceToken())
	if deviceCookie != nil {
		request.DeviceToken = *deviceCookie
	}
	if errors.Join(err, deviceErr) != nil {
		return nil, badRequest("Two cookies have one name.")
	}
	if !e.origins.allows(r, accessCookie != nil || request.RefreshToken != nil) {
		return nil, &refusal{http.StatusForbidden, graph.Forbidden, "Pages of this origin may not send operations here."}
	}
	bearer, given, err := bearerToken(r)
	switch {
	case err != nil:
		return nil, badRequest("Send one Authorization header.")
	case given:
		request.AccessToken = bearer // the cookie is not asked, whatever the header is worth
	default:
		request.AccessToken = accessCookie
	}
	return request, nil
}

func readOperation(w http.ResponseWriter, r *http.Request) (*graphql.RawParams, *refusal) {
	switch r.Method {
	case http.MethodPost:
		return readBody(w, r)
	case http.MethodGet:
		return readQuery(r)
	}
	return nil, &refusal{http.StatusMethodNotAllowed, graph.BadRequest, "Send operations by POST, or queries by GET."}
}

// refuse answers a request that is not executed.
func (e *Edge) refuse(w http.ResponseWriter, r *http.Request, refused refusal) {
	e.metrics.Count(string(refused.code))
	if refused.status == http.StatusMethodNotAllowed {
		allow := http.MethodPost
		if r.Method != http.MethodGet {
			allow = http.MethodGet + ", " + http.MethodPost
		}
		w.Header().Set("Allow", allow)
	}
	mediaType, ok := negotiate(r.Header.Values("Accept"))
	if !ok {
		mediaType = mediaJSON
	}
	writeResponse(w, refused.status, mediaType, &graphql.Response{Errors: gqlerror.List{{
		Message:    refused.message,
		Extensions: map[string]any{"code": refused.code, "requestId": requestID(r)},
	}}})
}

func writeResponse(w http.ResponseWriter, status int, mediaType string, response *graphql.Response) {
	for _, err := range response.Errors {
		if err.Extensions["code"] == graph.Unavailable || err.Extensions["code"] == graph.RateLimited {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		if reason := err.Extensions["reason"]; err.Extensions["code"] == graph.Unauthenticated && reason != auth.TokenMissing {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`) // RFC 6750 §3.1
		}
	}
	w.Header().Set("Content-Type", mediaType+"; charset=utf-8")
	w.WriteHeader(status)
	if len(response.Errors) == 0 && len(response.Extensions) == 0 && len(response.Data) > 0 {
		writeData(w, response.Data)
		return
	}
	_ = json.NewEncoder(w).Encode(answer{response.Errors, response.Data, response.Extensions}) // fails where the client is gone
}

// writeData writes an answer that is only data as encoding/json does. That would read the data once more, which gqlgen has
// just written: it is valid, and without a blank.
func writeData(w io.Writer, data json.RawMessage) {
	var body bytes.Buffer
	body.Grow(len(data) + len("{\"data\":}\n"))
	body.WriteString(`{"data":`)
	json.HTMLEscape(&body, data)
	body.WriteString("}\n")
	_, _ = w.Write(body.Bytes()) // fails where the client is gone
}

// answer is a graphql.Response without data where nothing was executed, as the specification has it
// (GraphQL §7.1.1).
type answer struct {
	Errors     gqlerror.List   `json:"errors,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	Extensions map[string]any  `json:"extensions,omitempty"`
}
