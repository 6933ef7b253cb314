package graph

import (
	"context"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"latchkey/auth"
)

// Request is what the HTTP edge knows of a request. It makes one per request and puts it into the context
// with WithRequest.
type Request struct {
	ID           string // stands in the answer's errors and in the log
	Client       auth.Client
	AccessToken  *auth.Secret // nil where the request brings none; not verified
	RefreshToken *auth.Secret // that of the cookie, nil where the request brings none; not verified
	DeviceToken  auth.Secret  // that of the cookie, empty where the request brings none; not verified
	SessionID    string       // of the session that the request is meant for, empty where it does not say

	// Cookies are what the answer is to do to the client's cookies. The edge reads it once the operation
	// is executed.
	Cookies Cookies

	once      sync.Once
	principal *auth.Principal
	err       error
}

// Cookies are changes to the cookies of a client. The zero value changes none.
type Cookies struct {
	AccessToken  *auth.Secret  // to be set, where it is not nil
	RefreshToken *auth.Secret  // to be set, where it is not nil
	MaxAge       time.Duration // of those that are set
	Clear        bool          // whether those that are not set are to be taken back
	DeviceToken  *auth.Secret  // to be set, where it is not nil. It outlives sessions
}

type requestKey struct{}

// WithRequest returns a context that carries a request.
func WithRequest(ctx context.Context, request *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, request)
}

// requestOf returns the request of a context. Without one it is anonymous.
func requestOf(ctx context.Context) *Request {
	if request, ok := ctx.Value(requestKey{}).(*Request); ok {
		return request
	}
	return &Request{}
}

// presented is the refresh token of the cookie, empty where there is none.
func (r *Request) presented() auth.Secret {
	if r.RefreshToken == nil {
		return ""
	}
	return *r.RefreshToken
}

// authenticate returns whom the request's access token stands for. It is asked only where a guarded field
// is reached, so that a stale header does not stop login and refreshToken. All fields of a query share one
// answer.
func (r *Request) authenticate(ctx context.Context, service *auth.Service) (*auth.Principal, error) {
	if r.AccessToken == nil {
		return nil, &auth.UnauthenticatedError{Reason: auth.TokenMissing}
	}
	if graphql.GetOperationContext(ctx).Operation.Operation == ast.Mutation {
		return r.authenticateNow(ctx, service)
	}
	r.once.Do(func() { r.principal, r.err = r.authenticateNow(ctx, service) })
	return r.principal, r.err
}

// authenticateNow refuses a token of another session than the request is meant for: the page that sent it does not know
// that somebody else has signed in, and that the cookies are theirs.
func (r *Request) authenticateNow(ctx context.Context, service *auth.Service) (*auth.Principal, error) {
	principal, err := service.Authenticate(ctx, *r.AccessToken)
	if err == nil && r.SessionID != "" && r.SessionID != principal.Session.ID.String() {
		return nil, &auth.UnauthenticatedError{Reason: auth.TokenInvalid}
	}
	return principal, err
}
