//go:build linux

package chaos_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"latchkey/internal/history"
)

// answerTimeout is how long a client waits. It is longer than a server may take.
const answerTimeout = 20 * time.Second

// client speaks to the servers and writes down what it sees.
type client struct {
	http     *http.Client
	servers  []*server
	recorder *history.Recorder
}

// tokens are what an answer gave.
type tokens struct{ access, refresh string }

func newClient(servers []*server, recorder *history.Recorder) *client {
	return &client{
		http:    &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100, DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext}},
		servers: servers, recorder: recorder,
	}
}

const selection = ` { ... on AuthSuccess { accessToken refreshToken } ... on AuthFailure { code endReason } } }`

func (c *client) login(ctx context.Context, o history.Operation, email string) (history.Operation, tokens, bool) {
	o.Kind = history.Login
	return c.do(ctx, o, `mutation($email: String!, $password: String!) { result: login(input: {email: $email, password: $password})`+selection,
		map[string]any{"email": email, "password": password}, "")
}

func (c *client) refresh(ctx context.Context, o history.Operation, token string) (history.Operation, tokens, bool) {
	o.Kind = history.Refresh
	o.Token, _ = history.ParseToken(token)
	o.Session = o.Token.Session
	return c.do(ctx, o, `mutation($token: String) { result: refreshToken(input: {refreshToken: $token})`+selection, map[string]any{"token": token}, "")
}

func (c *client) me(ctx context.Context, o history.Operation, access string) (history.Operation, bool) {
	o.Kind = history.Me
	o.Session, o.Access, _ = history.ParseAccessToken(access)
	o, _, sent := c.do(ctx, o, `{ result: me { id email } }`, nil, access)
	return o, sent
}

func (c *client) revokeByAccessToken(ctx context.Context, o history.Operation, access string) (history.Operation, bool) {
	o.Kind = history.Revoke
	o.Session, o.Access, _ = history.ParseAccessToken(access)
	o, _, sent := c.do(ctx, o, `mutation { result: revokeSession { revoked } }`, nil, access)
	return o, sent
}

func (c *client) revokeByRefreshToken(ctx context.Context, o history.Operation, token string) (history.Operation, bool) {
	o.Kind = history.Revoke
	o.Token, _ = history.ParseToken(token)
	o.Session = o.Token.Session
	o, _, sent := c.do(ctx, o, `mutation($token: String) { result: revokeSession(input: {refreshToken: $token}) { revoked } }`, map[string]any{"token": token}, "")
	return o, sent
}

// do sends an operation to the server o.Server, records how it ended, and returns that. Where no
// connection came about nothing was sent, and nothing is recorded.
func (c *client) do(ctx context.Context, o history.Operation, query string, variables map[string]any, access string) (history.Operation, tokens, bool) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		panic(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.servers[o.Server].url+"/graphql", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if access != "" {
		request.Header.Set("Authorization", "Bearer "+access)
	}
	o.Start = c.recorder.Now()
	response, err := c.http.Do(request)
	var answer struct {
		Data struct {
			Result *struct {
				AccessToken, RefreshToken, Code, EndReason string
				Revoked                                    bool
			}
		}
		Errors []struct {
			Extensions struct{ Code, Reason string }
		}
	}
	if err == nil {
		err = json.NewDecoder(response.Body).Decode(&answer)
		_ = response.Body.Close()
	}
	o.End = c.recorder.Now()
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return o, tokens{}, false
	}
	var got tokens
	switch {
	case err != nil:
		o.Outcome, o.Code = history.Unknown, "no answer"
	case len(answer.Errors) > 0:
		o.Outcome, o.Code, o.Reason = history.Refused, answer.Errors[0].Extensions.Code, answer.Errors[0].Extensions.Reason
		if o.Code == "UNAVAILABLE" {
			o.Outcome = history.Unknown
		}
	case answer.Data.Result == nil:
		o.Outcome, o.Code = history.Refused, "neither data nor errors"
	case answer.Data.Result.Code != "":
		o.Outcome, o.Code, o.Reason = history.Refused, answer.Data.Result.Code, answer.Data.Result.EndReason
	default:
		o.Outcome, o.Revoked = history.OK, answer.Data.Result.Revoked
		got = tokens{answer.Data.Result.AccessToken, answer.Data.Result.RefreshToken}
		if got.refresh != "" {
			o.Got, _ = history.ParseToken(got.refresh)
			if o.Kind == history.Login {
				o.Session = o.Got.Session
			}
		}
	}
	c.recorder.Add(o)
	return o, got, true
}
