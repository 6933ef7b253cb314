package graph_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"

	"latchkey/auth"
	"latchkey/auth/authtest"
	"latchkey/db/dbtest"
	"latchkey/graph"
)

// BenchmarkExecutor is what an operation costs without HTTP, on a real service and SQLite.
//
//	go test ./graph -run '^$' -bench Executor -benchmem -count 10 | benchstat -
func BenchmarkExecutor(b *testing.B) {
	service, _ := authtest.NewService(b, authtest.Options{URL: dbtest.SQLite(b), Log: slog.New(slog.DiscardHandler)})
	exec := graph.NewExecutor(service, slog.New(slog.DiscardHandler), graph.Options{})
	tokens, err := service.SignUp(b.Context(), auth.SignUpRequest{Email: "ada@example.com", Password: "correct horse battery staple"}, auth.Client{})
	if err != nil {
		b.Fatal(err)
	}
	run := func(name, query string, variables map[string]any, accessToken *auth.Secret) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				response := execute(b.Context(), exec, &graph.Request{ID: "r", AccessToken: accessToken}, query, variables)
				if response == nil || (response.Errors == nil) == (name == "unauthenticated") {
					b.Fatal(response)
				}
			}
		})
	}
	const me = `query Me { me { id email name role createdAt } }`
	run("typename", `{ __typename }`, nil, nil)
	run("me", me, nil, &tokens.AccessToken)
	run("unauthenticated", me, nil, nil)
	run("literal", `mutation { refreshToken(input: {refreshToken: "not one"}) { ... on AuthFailure { code } } }`, nil, nil)
	run("variable", `mutation ($token: String!) { refreshToken(input: {refreshToken: $token}) { ... on AuthFailure { code } } }`,
		map[string]any{"token": "not one"}, nil)
	b.Run("never the same", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			execute(b.Context(), exec, &graph.Request{ID: "r"}, fmt.Sprintf(`query q%d { __typename }`, i), nil)
		}
	})
}

func execute(ctx context.Context, exec *executor.Executor, request *graph.Request, query string, variables map[string]any) *graphql.Response {
	ctx = graphql.StartOperationTrace(graph.WithRequest(ctx, request))
	operation, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: query, Variables: variables})
	if len(errs) > 0 {
		return exec.DispatchError(graphql.WithOperationContext(ctx, operation), errs)
	}
	handler, ctx := exec.DispatchOperation(ctx, operation)
	return handler(ctx)
}
