// Package graph translates between GraphQL and the domain: resolvers of a few lines, the directive that
// asks for an access token, and the table of errors. What gqlgen writes is in generated.
package graph

import "latchkey/auth"

// Resolver is the root of the resolvers.
type Resolver struct {
	service *auth.Service
	metrics Metrics
}
