package verify

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

type claimsKey struct{}

// ClaimsOf returns the claims of the access token that Middleware let a request in with, or nil outside of it.
func ClaimsOf(ctx context.Context) *Claims {
	claims, _ := ctx.Value(claimsKey{}).(*Claims)
	return claims
}

// Middleware lets requests in that bring a good access token in the header Authorization (RFC 6750 §2.1). Others are
// answered with 401 and WWW-Authenticate (RFC 6750 §3), or with 503 and Retry-After where nobody can tell.
func (v *Verifier) Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, given := bearer(r)
		if !given {
			v.outcomes.countMissing()
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "an access token is needed", http.StatusUnauthorized)
			return
		}
		claims, err := v.Verify(r.Context(), text)
		switch {
		case err == nil:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), claimsKey{}, claims)))
		case errors.Is(err, ErrUnavailable):
			w.Header().Set("Retry-After", "2")
			http.Error(w, ErrUnavailable.Error(), http.StatusServiceUnavailable)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, err.Error(), http.StatusUnauthorized)
		}
	})
}

// bearer returns the bearer token of a request, and false where it brings none, or more than one header.
func bearer(r *http.Request) (string, bool) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return "", false
	}
	scheme, credentials, _ := strings.Cut(headers[0], " ")
	return strings.TrimLeft(credentials, " "), strings.EqualFold(scheme, "Bearer") // RFC 9110 §11.1
}
