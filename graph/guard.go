package graph

import (
	"context"
	"strings"

	"github.com/99designs/gqlgen/graphql"

	"latchkey/auth"
)

const directiveName = "requiresAccessToken"

// public are the fields of Query and Mutation that need no access token. Every other one carries the
// directive, or is refused.
var public = map[string]bool{
	"Mutation.signUp":        true,
	"Mutation.login":         true,
	"Mutation.refreshToken":  true,
	"Mutation.revokeSession": true, // takes a refresh token too, and asks for an access token without one
}

// requiresAccessToken is the directive: the one place where access to a field is decided.
func (r *Resolver) requiresAccessToken(ctx context.Context, _ any, next graphql.Resolver, role *auth.Role) (any, error) {
	principal, err := requestOf(ctx).authenticate(ctx, r.service)
	if err != nil {
		return nil, err
	}
	if role != nil && !principal.Has(*role) {
		return nil, auth.ErrForbidden
	}
	return next(ctx)
}

// A rootMiddleware runs around a field of Query or Mutation.
type rootMiddleware func(ctx context.Context, field *graphql.FieldContext, next graphql.Resolver) (any, error)

// atRoot runs one within the other around the fields of Query and Mutation, wherever an operation names them. gqlgen asks for
// every field there is, so the others are to cost next to nothing.
func atRoot(outer, inner rootMiddleware) graphql.FieldMiddleware {
	return func(ctx context.Context, next graphql.Resolver) (any, error) {
		field := graphql.GetFieldContext(ctx)
		if field.Object != "Query" && field.Object != "Mutation" {
			return next(ctx)
		}
		return outer(ctx, field, func(ctx context.Context) (any, error) { return inner(ctx, field, next) })
	}
}

// denyByDefault refuses a root field that somebody added without deciding who may ask it.
func denyByDefault(introspection bool) rootMiddleware {
	return func(ctx context.Context, field *graphql.FieldContext, next graphql.Resolver) (any, error) {
		name := field.Field.Name
		switch {
		case name == "__typename":
		case strings.HasPrefix(name, "__"):
			if !introspection {
				return nil, errIntrospectionOff
			}
		case public[field.Object+"."+name]:
		case field.Field.Definition.Directives.ForName(directiveName) == nil:
			return nil, auth.ErrForbidden
		}
		return next(ctx)
	}
}
