// Package session keeps a program signed in to a Latchkey server, with both tokens in its own hands (the delivery BODY).
//
// A Session is the graphql.Client that the functions of package api take:
//
//	s, err := session.Open(session.Settings{Endpoint: url, Store: session.File{Path: path}})
//	if errors.Is(err, session.ErrSignedOut) {
//		s, err = session.LogIn(ctx, settings, email, password, "nightly report")
//	}
//	answer, err := api.Me(ctx, s)
//
// It adds the access token to every request, and exchanges it in time. Only the server's own word ends it, and then every
// call returns an *EndedError. Whatever else goes wrong, the tokens are kept: see Temporary.
package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/Khan/genqlient/graphql"

	"latchkey/examples/go/api"
	"latchkey/examples/go/secret"
)

// Settings says which server a session is with, and where its tokens are kept. Endpoint and Store must be given.
type Settings struct {
	// Endpoint is the address of the GraphQL endpoint, such as https://auth.example.com/graphql.
	Endpoint string
	// Store keeps the tokens. One store is for one session.
	Store Store
	// Patience is how long a request waits for a refresh that does not work before it fails. Zero: 15 seconds.
	Patience time.Duration
	// HTTP sends the requests. Nil: a client that waits for at most 30 seconds, and follows no redirect, since what is
	// sent must not go elsewhere. Give yours a time limit and a CheckRedirect too.
	HTTP *http.Client
}

// Session is somebody's sign-in. Any number of goroutines may use one at once.
type Session struct {
	settings Settings
	id       string

	mu        sync.Mutex
	tokens    Tokens
	ended     *EndedError // nil while the session lives, as far as is known
	refresh   *refresh    // the one that is under way, or nil
	failures  int         // how many refreshes in a row did not work
	notBefore time.Time   // when the next may be tried after one that did not
}

// SignUp opens an account and signs its user in. It fails with a *RefusedError where the address is taken, say.
// The session that the store kept is signed out of. deviceName is shown in the list of devices; it may be empty.
func SignUp(ctx context.Context, settings Settings, email string, password secret.Text, deviceName string) (*Session, error) {
	s := newSession(settings)
	answer, err := api.SignUp(ctx, s.client(""), email, password, orNil(deviceName))
	if err != nil {
		return nil, fmt.Errorf("sign up: %w", err)
	}
	switch result := answer.SignUp.(type) {
	case *api.SignUpSignUpAuthSuccess:
		return s.begin(ctx, result.SignedIn)
	case *api.SignUpSignUpAuthFailure:
		return nil, &RefusedError{result.Refused}
	default: // nil: the answer has none. A member that the schema has not yet is an error above already.
		return nil, fmt.Errorf("sign up: %w", errStrangeReply)
	}
}

// LogIn signs a user in. It fails with a *RefusedError where the password is wrong, say. The session that the store kept
// is signed out of. deviceName is shown in the list of devices; it may be empty.
func LogIn(ctx context.Context, settings Settings, email string, password secret.Text, deviceName string) (*Session, error) {
	s := newSession(settings)
	answer, err := api.LogIn(ctx, s.client(""), email, password, orNil(deviceName))
	if err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	switch result := answer.Login.(type) {
	case *api.LogInLoginAuthSuccess:
		return s.begin(ctx, result.SignedIn)
	case *api.LogInLoginAuthFailure:
		return nil, &RefusedError{result.Refused}
	default:
		return nil, fmt.Errorf("log in: %w", errStrangeReply)
	}
}

// Open returns the session that the store keeps, without asking the server. It fails with ErrSignedOut where there is
// none, and with ErrOtherServer.
func Open(settings Settings) (*Session, error) {
	tokens, err := settings.Store.Load()
	if err != nil {
		return nil, err
	}
	if tokens.Endpoint != settings.Endpoint {
		return nil, fmt.Errorf("%w: %s", ErrOtherServer, tokens.Endpoint)
	}
	s := newSession(settings)
	s.id, s.tokens = tokens.SessionID, tokens
	return s, nil
}

// ID returns the session's id, as in the list of sessions.
func (s *Session) ID() string { return s.id }

// AccessToken returns an access token that is good now, for requests to other services that take it.
func (s *Session) AccessToken(ctx context.Context) (secret.Text, error) { return s.token(ctx, "") }

// MakeRequest implements graphql.Client. Where the server refuses the access token it refreshes, and sends the request
// once more: what needs a token and has none was not executed, so that a change does not happen twice.
func (s *Session) MakeRequest(ctx context.Context, request *graphql.Request, response *graphql.Response) error {
	token, err := s.token(ctx, "")
	if err != nil {
		return err
	}
	err = s.client(token).MakeRequest(ctx, request, response)
	if !unauthenticated(err) {
		return err
	}
	// TOKEN_EXPIRED, or TOKEN_INVALID: the next one works. SESSION_ENDED: the refresh says why.
	token, err = s.token(ctx, token)
	if err != nil {
		return err
	}
	response.Errors, response.Extensions = nil, nil // which an answer without any leaves as they are
	return s.client(token).MakeRequest(ctx, request, response)
}

// SignOut ends the session at the server, and with it both tokens, then forgets it. Where the server cannot be told it
// fails, and the session lives on here as it does there: try again.
func (s *Session) SignOut(ctx context.Context) error {
	unlock, err := s.settings.Store.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	s.mu.Lock()
	token, ended := s.tokens.RefreshToken, s.ended
	s.mu.Unlock()
	if ended == nil {
		// Any refresh token of the session will do, so it does not matter if this one was exchanged in the meantime.
		if _, err := api.SignOut(ctx, s.client(""), token); err != nil {
			return fmt.Errorf("sign out: %w", err)
		}
		s.end(&EndedError{Reason: api.SessionEndReasonSignedOut, Message: "You signed out."})
	}
	return s.forget()
}

// Format implements fmt.Formatter: printing a session shows no token.
func (s *Session) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "session "+s.id+" at "+s.settings.Endpoint)
}

func newSession(settings Settings) *Session {
	if settings.Patience == 0 {
		settings.Patience = 15 * time.Second
	}
	if settings.HTTP == nil {
		settings.HTTP = &http.Client{
			Timeout:       30 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	return &Session{settings: settings}
}

// begin keeps the tokens of a new session, and signs out of the one that they replace.
func (s *Session) begin(ctx context.Context, signedIn api.SignedIn) (*Session, error) {
	tokens, err := s.received(signedIn)
	if err != nil {
		return nil, err
	}
	before, err := s.replace(ctx, tokens)
	if err != nil {
		// Nobody can use the session, so that it would only be in the way in the list of devices.
		_, _ = api.SignOut(ctx, s.client(""), tokens.RefreshToken)
		return nil, fmt.Errorf("keep the tokens: %w", err)
	}
	s.id, s.tokens = tokens.SessionID, tokens
	if before.Endpoint == s.settings.Endpoint {
		// If this fails, that session ends when it has not been used for long enough.
		_, _ = api.SignOut(ctx, s.client(""), before.RefreshToken)
	}
	return s, nil
}

// replace saves tokens, and returns those that were there before, if they could be read.
func (s *Session) replace(ctx context.Context, tokens Tokens) (before Tokens, err error) {
	unlock, err := s.settings.Store.Lock(ctx)
	if err != nil {
		return Tokens{}, err
	}
	defer unlock()
	before, _ = s.settings.Store.Load() // what is there and cannot be read is replaced
	return before, s.settings.Store.Save(tokens)
}

// received returns what is to be kept of an answer.
func (s *Session) received(signedIn api.SignedIn) (Tokens, error) {
	if signedIn.AccessToken == "" || signedIn.RefreshToken == "" {
		return Tokens{}, fmt.Errorf("no tokens: %w", errStrangeReply) // they went elsewhere: the delivery is not BODY
	}
	return Tokens{
		Endpoint:             s.settings.Endpoint,
		SessionID:            signedIn.Session.Id,
		AccessToken:          signedIn.AccessToken,
		AccessTokenExpiresAt: signedIn.AccessTokenExpiresAt,
		ReceivedAt:           time.Now().UTC(),
		RefreshToken:         signedIn.RefreshToken,
	}, nil
}

// end remembers that the session is over, and drops its tokens.
func (s *Session) end(ended *EndedError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.tokens = ended, Tokens{}
}

// forget empties the store, unless it keeps another session by now. The caller has its lock.
func (s *Session) forget() error {
	kept, err := s.settings.Store.Load()
	if errors.Is(err, ErrSignedOut) || err == nil && kept.SessionID != s.id {
		return nil
	}
	return s.settings.Store.Delete()
}

// client returns what sends one request, with an access token or, where it is empty, without one.
func (s *Session) client(token secret.Text) graphql.Client {
	return graphql.NewClient(s.settings.Endpoint, bearer{s.settings.HTTP, token})
}

type bearer struct {
	http  *http.Client
	token secret.Text
}

func (b bearer) Do(request *http.Request) (*http.Response, error) {
	if b.token != "" {
		request.Header.Set("Authorization", "Bearer "+b.token.Reveal())
	}
	return b.http.Do(request)
}

func orNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
