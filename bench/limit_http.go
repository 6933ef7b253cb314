package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/google/uuid"
	"github.com/vektah/gqlparser/v2/ast"

	"latchkey/auth"
	"latchkey/bench/load"
	"latchkey/graph/generated"
)

// constant is the user that limits answer with.
var constant = auth.User{ID: uuid.MustParse("01a20fe5-a91a-72e6-9b50-ac73a1f7d6b8"), Email: "constant@example.com", Role: auth.RoleUser}

// hello answers every request with what a constant me would be, without looking at it.
func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"data":{"me":{"id":"`+constant.ID.String()+`","email":"`+constant.Email+`"}}}`)
}

// bareGQLGen is gqlgen as its documentation sets it up, with the product's schema, a cache of operations, and resolvers that do
// nothing.
func bareGQLGen() http.Handler {
	server := handler.New(generated.NewExecutableSchema(generated.Config{
		Resolvers: constantResolver{},
		Directives: generated.DirectiveRoot{
			RequiresAccessToken: func(ctx context.Context, _ any, next graphql.Resolver, _ *auth.Role) (any, error) { return next(ctx) },
		},
	}))
	server.AddTransport(transport.POST{})
	server.SetQueryCache(lru.New[*ast.QueryDocument](1000))
	mux := http.NewServeMux()
	mux.Handle("/graphql", server)
	return mux
}

type constantResolver struct {
	generated.MutationResolver // none is asked for
	generated.UserResolver
}

// The parts of generated.ResolverRoot.
func (r constantResolver) Mutation() generated.MutationResolver { return r }
func (r constantResolver) Query() generated.QueryResolver       { return constantQuery{} }
func (r constantResolver) User() generated.UserResolver         { return r }

type constantQuery struct{ generated.QueryResolver }

// Me resolves Query.me.
func (constantQuery) Me(context.Context) (*auth.User, error) { return &constant, nil }

// measureHTTP measures what a process does that answers every operation with the constant user: the same requests as those of
// me, over as many connections.
func (b *bench) measureHTTP(name string, connections int) (f figures, err error) {
	p, err := startLimit(name)
	if err != nil {
		return f, err
	}
	defer p.end()
	var address string
	if _, err := fmt.Fscanln(p.output, &address); err != nil {
		return f, fmt.Errorf("start the limit %s: %w", name, err)
	}
	s := &session{authorization: "Bearer nobody", isMe: `"email":"` + constant.Email + `"`}
	if len(b.sessions) > 0 {
		s.authorization = b.sessions[0].authorization // as long as those of me
	}
	var clients []load.Client
	for range connections {
		clients = append(clients, asking{&walker{connection: newConnection(address), sessions: []*session{s}}, askMe})
	}
	defer closeAll(clients)
	f, err = b.measure(clients, 0)
	f.Server, f.Database, f.Resident = 0, 0, 0 // of the product's servers, which had nothing to do
	if err != nil {
		err = fmt.Errorf("limit %s: %w", name, err)
	}
	return f, err
}
