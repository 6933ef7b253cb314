package main

import (
	"encoding/json"
	"strings"
	"sync/atomic"

	"latchkey/bench/load"
)

// What clients send: named operations with variables.
var (
	meOperation = operation("Me", "query Me { me { id email } }", nil)

	refreshOperation = split(operation("Refresh", `mutation Refresh($input: RefreshTokenInput!) {
  refreshToken(input: $input) {
    ... on AuthSuccess { accessToken accessTokenExpiresAt refreshToken user { id email } }
    ... on AuthFailure { code message endReason }
  }
}`, map[string]any{"refreshToken": gap}))

	revokeOperation = split(operation("Revoke", `mutation Revoke($input: RevokeSessionInput) {
  revokeSession(input: $input) { sessionId revoked }
}`, map[string]any{"sessionId": gap}))

	signOutOperation = operation("SignOut", "mutation SignOut { revokeSession { sessionId revoked } }", nil)

	loginOperation = split(operation("Login", `mutation Login($input: LoginInput!) {
  login(input: $input) {
    ... on AuthSuccess { accessToken accessTokenExpiresAt refreshToken user { id email } }
    ... on AuthFailure { code message }
  }
}`, map[string]any{"email": gap, "password": password, "deviceName": "bench"}))

	signUpOperation = split(operation("SignUp", `mutation SignUp($input: SignUpInput!) {
  signUp(input: $input) {
    ... on AuthSuccess { accessToken refreshToken }
    ... on AuthFailure { code message }
  }
}`, map[string]any{"email": gap, "password": password}))
)

const (
	password = "correct horse battery staple"
	gap      = "THE GAP"
)

func operation(name, document string, input map[string]any) string {
	body := map[string]any{"operationName": name, "query": document}
	if input != nil {
		body["variables"] = map[string]any{"input": input}
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of strings
	}
	return string(text)
}

// template is an operation with a gap for a text that JSON writes as it is.
type template struct{ before, after string }

func split(operation string) template {
	before, after, found := strings.Cut(operation, gap)
	if !found {
		panic("no gap in " + operation)
	}
	return template{before, after}
}

// with appends the operation to a buffer.
func (t template) with(buffer []byte, value string) []byte {
	buffer = append(buffer, t.before...)
	buffer = append(buffer, value...)
	return append(buffer, t.after...)
}

// session is somebody's who is signed in. One goroutine at a time uses it.
type session struct {
	email         string
	authorization string // the header
	refreshToken  string
	isMe          string // what the answer to me must have
}

func (s *session) take(answer []byte) {
	s.authorization = "Bearer " + member(answer, "accessToken")
	s.refreshToken = member(answer, "refreshToken")
}

// walker goes round the sessions that are its own.
type walker struct {
	*connection
	sessions []*session
	next     int
	buffer   []byte
}

func (w *walker) turn() *session {
	s := w.sessions[w.next]
	w.next = (w.next + 1) % len(w.sessions)
	return s
}

func (w *walker) me(s *session) (string, error) {
	w.buffer = append(w.buffer[:0], meOperation...)
	_, err := w.post(w.buffer, s.authorization, s.isMe)
	return "me", err
}

// refresh keeps the successor: the next turn goes on with it.
func (w *walker) refresh(s *session) (string, error) {
	w.buffer = refreshOperation.with(w.buffer[:0], s.refreshToken)
	answer, err := w.post(w.buffer, "", `"refreshToken":"lkr1.`)
	if err == nil {
		s.take(answer)
	}
	return "refresh", err
}

// login begins a session.
func (w *walker) login(email string) (*session, error) {
	w.buffer = loginOperation.with(w.buffer[:0], email)
	answer, err := w.post(w.buffer, "", `"refreshToken":"lkr1.`)
	if err != nil {
		return nil, err
	}
	s := &session{email: email, isMe: `"email":"` + email + `"`}
	s.take(answer)
	return s, nil
}

func (w *walker) signOut(s *session) (string, error) {
	w.buffer = append(w.buffer[:0], signOutOperation...)
	_, err := w.post(w.buffer, s.authorization, `"revoked":true`)
	return "sign-out", err
}

// asking is a client of one operation.
type asking struct {
	*walker
	do func(*walker) (string, error)
}

// Do implements load.Client.
func (a asking) Do() (string, error) { return a.do(a.walker) }

func askMe(w *walker) (string, error)      { return w.me(w.turn()) }
func askRefresh(w *walker) (string, error) { return w.refresh(w.turn()) }

// askLogin signs the next user in, in turns all of them.
func askLogin(next func() string) func(*walker) (string, error) {
	return func(w *walker) (string, error) {
		_, err := w.login(next())
		return "login", err
	}
}

// askRevoke ends the sessions of one user, each once.
func askRevoke(owner *session, ids []string, used *atomic.Int64) func(*walker) (string, error) {
	return func(w *walker) (string, error) {
		number := used.Add(1) - 1
		if number >= int64(len(ids)) {
			return "", load.ErrNothingLeft
		}
		w.buffer = revokeOperation.with(w.buffer[:0], ids[number])
		_, err := w.post(w.buffer, owner.authorization, `"revoked":true`)
		return "revoke", err
	}
}
