package graph

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"

	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/vektah/gqlparser/v2/ast"

	"latchkey/auth"
	"latchkey/graph/generated"
)

// Options are what an operator can choose.
type Options struct {
	Introspection bool
	Metrics       Metrics // nil: nothing is counted
}

// NewExecutor returns what executes operations for the HTTP edge, which must put a Request into every
// context. All its errors have a code of the error table and repeat nothing that was sent.
func NewExecutor(service *auth.Service, log *slog.Logger, options Options) *executor.Executor {
	return newExecutor(service, log, options, nil, newDocuments())
}

// newExecutor also takes another schema than the generated one, that of a test, and documents that a test looks into.
func newExecutor(service *auth.Service, log *slog.Logger, options Options, schema *ast.Schema, documents *documents) *executor.Executor {
	if options.Metrics == nil {
		options.Metrics = uncounted{}
	}
	resolver := &Resolver{service: service, metrics: options.Metrics}
	executable := generated.NewExecutableSchema(generated.Config{
		Schema:     schema,
		Resolvers:  resolver,
		Directives: generated.DirectiveRoot{RequiresAccessToken: resolver.requiresAccessToken},
	})
	presenter := newPresenter(executable.Schema(), log, options.Metrics)
	exec := executor.New(executable)
	exec.SetErrorPresenter(presenter.present)
	exec.SetRecoverFunc(func(ctx context.Context, value any) error {
		LogPanic(ctx, log, value)
		return errPanic
	})
	exec.SetParserTokenLimit(maxTokens)
	exec.SetDisableSuggestion(true)
	exec.Use(documents)
	exec.SetQueryCache(documents)
	exec.AroundFields(atRoot(tally(options.Metrics, presenter), denyByDefault(options.Introspection)))
	if options.Introspection {
		exec.Use(extension.Introspection{})
	}
	return exec
}

// LogPanic logs where a panic came from, and the type of its value but not the value: it may hold what a
// client sent. It is to be called in the deferred function that recovered.
func LogPanic(ctx context.Context, log *slog.Logger, value any) {
	callers := make([]uintptr, 32)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	var stack []string
	for {
		frame, more := frames.Next()
		stack = append(stack, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		if !more {
			break
		}
	}
	log.ErrorContext(ctx, "panic", "type", fmt.Sprintf("%T", value), "stack", stack)
}
