package main

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"latchkey/bench/load"
)

// connection sends operations to one server, one after the other, over one connection that is kept. It is fasthttp's
// because that costs a fraction of what net/http's client does, on processors that the server shares.
type connection struct {
	client   *fasthttp.HostClient
	request  *fasthttp.Request
	response *fasthttp.Response
}

func newConnection(address string) *connection {
	c := &connection{
		client: &fasthttp.HostClient{
			Addr: address, MaxConns: 1, MaxIdemponentCallAttempts: 1, MaxIdleConnDuration: time.Minute,
			ReadTimeout: 20 * time.Second, WriteTimeout: 20 * time.Second,
			NoDefaultUserAgentHeader: true, DisablePathNormalizing: true,
		},
		request: fasthttp.AcquireRequest(), response: fasthttp.AcquireResponse(),
	}
	c.request.SetRequestURI("http://" + address + "/graphql")
	header := &c.request.Header
	header.SetMethod(fasthttp.MethodPost)
	header.SetContentType("application/json")
	header.Set(fasthttp.HeaderAccept, "application/graphql-response+json, application/json")
	header.SetUserAgent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	return c
}

// Close implements load.Client.
func (c *connection) Close() { c.client.CloseIdleConnections() }

// post sends an operation with an access token, if it is not empty, and returns the answer until the next one. Its
// status must be 200, it must contain a text and no top-level errors. Errors: *load.Failure.
func (c *connection) post(operation []byte, authorization, want string) ([]byte, error) {
	if authorization == "" {
		c.request.Header.Del(fasthttp.HeaderAuthorization)
	} else {
		c.request.Header.Set(fasthttp.HeaderAuthorization, authorization)
	}
	c.request.SetBodyRaw(operation)
	if err := c.client.Do(c.request, c.response); err != nil {
		return nil, &load.Failure{Code: "NO_ANSWER", Detail: err.Error()}
	}
	body := c.response.Body()
	switch {
	case c.response.StatusCode() != fasthttp.StatusOK:
		return nil, &load.Failure{Code: "HTTP_" + strconv.Itoa(c.response.StatusCode()), Detail: excerpt(body)}
	case bytes.Contains(body, []byte(`"errors"`)) || !bytes.Contains(body, []byte(want)):
		code := member(body, "code")
		if code == "" {
			code = "OTHER_ANSWER"
		}
		return nil, &load.Failure{Code: code, Detail: excerpt(body)}
	}
	return body, nil
}

func excerpt(body []byte) string { return string(body[:min(len(body), 300)]) }

// member returns the first string of a name in an answer, which has no character that JSON would write otherwise, or
// nothing.
func member(answer []byte, name string) string {
	_, rest, found := bytes.Cut(answer, []byte(`"`+name+`":"`))
	if !found {
		return ""
	}
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}
