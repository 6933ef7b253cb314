package stand

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
)

// proxy stands before the server, takes note of the operations that pass, and does to their answers what networks and
// gateways do.
type proxy struct {
	reverse *httputil.ReverseProxy

	mu     sync.Mutex
	seen   []*seen
	faults []*fault
}

// seen is one operation that came to the proxy. It has no token and no password.
type seen struct {
	Operation  string      `json:"operation"` // its name, or "" where it has none
	Method     string      `json:"method"`
	Status     int         `json:"status"`     // 0: nothing was answered, or not yet
	At         int64       `json:"at"`         // when it came, in milliseconds since 1970
	Authorized bool        `json:"authorized"` // whether it had a header Authorization that says something
	Error      *firstError `json:"error"`      // null where the answer has none
	Fault      string      `json:"fault"`      // what the proxy does to it: "cut", "delay", "refuse" or ""
}

// firstError is what the first top-level error of an answer says to programs.
type firstError struct {
	Code   string `json:"code"`
	Reason string `json:"reason"` // "" where there is none
}

// fault is what is to be done to the next answers.
type fault struct {
	kind       string // as in seen.Fault
	operation  string // its name; "": any
	times      int    // how often yet
	wait       time.Duration
	status     int
	retryAfter string
	readable   bool // whether pages of other origins may read the refusal
}

func newProxy(server string) *proxy {
	target, err := url.Parse(server)
	if err != nil {
		panic(err)
	}
	p := &proxy{}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		Transport:      &http.Transport{DisableKeepAlives: true, DisableCompression: true}, // a server that was started again knows no old connection
		ModifyResponse: p.answer,
		ErrorHandler:   p.unreachable,
	}
	return p
}

// passage is an operation on its way through the proxy.
type passage struct {
	seen       *seen
	cut, delay *fault
}

type passageKey struct{}

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/graphql" || r.Method == http.MethodOptions {
		p.reverse.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	passing := &passage{seen: &seen{
		Operation: operationName(r, body), Method: r.Method, At: time.Now().UnixMilli(), Authorized: r.Header.Get("Authorization") != "",
	}}
	p.mu.Lock()
	p.seen = append(p.seen, passing.seen)
	refusal := p.take("refuse", passing.seen)
	if refusal == nil {
		passing.delay = p.take("delay", passing.seen)
		passing.cut = p.take("cut", passing.seen)
	}
	p.mu.Unlock()
	if refusal != nil {
		p.refuse(w, r, passing.seen, refusal)
		return
	}
	p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), passageKey{}, passing)))
}

// take returns the fault of a kind that an operation is to suffer, or nil. The proxy is locked.
func (p *proxy) take(kind string, operation *seen) *fault {
	for _, fault := range p.faults {
		if fault.kind == kind && fault.times > 0 && (fault.operation == "" || fault.operation == operation.Operation) {
			fault.times--
			operation.Fault = kind
			return fault
		}
	}
	return nil
}

// answer looks at an answer of the server, delays it or loses it. The server has done all that it does by then.
func (p *proxy) answer(response *http.Response) error {
	passing, ok := response.Request.Context().Value(passageKey{}).(*passage)
	if !ok {
		return nil
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return err
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	p.mu.Lock()
	passing.seen.Error = errorIn(body)
	p.mu.Unlock()
	if passing.delay != nil {
		select {
		case <-time.After(passing.delay.wait):
		case <-response.Request.Context().Done():
			return response.Request.Context().Err()
		}
	}
	if passing.cut != nil {
		panic(http.ErrAbortHandler) // which closes the connection
	}
	p.answered(passing.seen, response.StatusCode)
	return nil
}

// answered notes a status before the client has it: who knows an answer finds it among those seen.
func (p *proxy) answered(operation *seen, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	operation.Status = status
}

// unreachable answers as a gateway does whose server does not.
func (p *proxy) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // the client is gone
	}
	if passing, ok := r.Context().Value(passageKey{}).(*passage); ok {
		p.answered(passing.seen, http.StatusBadGateway)
	}
	gatewayPage(w, http.StatusBadGateway)
}

// refuse answers as a gateway in trouble does, and does not ask the server.
func (p *proxy) refuse(w http.ResponseWriter, r *http.Request, operation *seen, refusal *fault) {
	p.answered(operation, refusal.status)
	if refusal.retryAfter != "" {
		w.Header().Set("Retry-After", refusal.retryAfter)
	}
	if origin := r.Header.Get("Origin"); refusal.readable && origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
		w.Header().Set("Vary", "Origin")
	}
	gatewayPage(w, refusal.status)
}

// gatewayPage is for people, as gateways have it: whoever reads it as JSON fails.
func gatewayPage(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<!doctype html><title>%d %[2]s</title><h1>%[2]s</h1>\n", status, http.StatusText(status))
}

// operationName returns the name of the operation that a request is about.
func operationName(r *http.Request, body []byte) string {
	asked := struct{ Query, OperationName string }{r.URL.Query().Get("query"), r.URL.Query().Get("operationName")}
	if r.Method == http.MethodPost {
		_ = json.Unmarshal(body, &asked) // what is not JSON has no name
	}
	if asked.OperationName != "" {
		return asked.OperationName
	}
	document, err := parser.ParseQuery(&ast.Source{Input: asked.Query})
	if err != nil || len(document.Operations) == 0 {
		return ""
	}
	return document.Operations[0].Name
}

func errorIn(body []byte) *firstError {
	var answer struct {
		Errors []struct{ Extensions firstError }
	}
	if json.Unmarshal(body, &answer) != nil || len(answer.Errors) == 0 {
		return nil
	}
	return &answer.Errors[0].Extensions
}
