package graph

import (
	"context"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"go.opentelemetry.io/otel/attribute"

	"latchkey/graph/generated"
	"latchkey/telemetry"
)

// Metrics are told what becomes of operations, from many goroutines at once.
type Metrics interface {
	// Count is called for everything that is refused, by kind: a Code, with the reason behind a colon where it has one, an
	// AuthFailureCode or a SessionEndReason.
	Count(kind string)
	// Operation is called for every field of Query and Mutation that was executed: with its name, or "introspection", and
	// with "ok", the Code of its error, or the code of the failure that it answered.
	Operation(field, outcome string, took time.Duration)
}

type uncounted struct{}

func (uncounted) Count(string)                            {}
func (uncounted) Operation(string, string, time.Duration) {}

// tally tells metrics, and the request's trace, of each field of Query and Mutation.
func tally(metrics Metrics, presenter *presenter) rootMiddleware {
	return func(ctx context.Context, field *graphql.FieldContext, next graphql.Resolver) (any, error) {
		if field.Field.Name == "__typename" {
			return next(ctx)
		}
		name := field.Field.Definition.Name // that in the operation is a part of its text, and metrics keep what they are told
		if strings.HasPrefix(name, "__") {
			name = "introspection"
		}
		ctx, span := telemetry.Span(ctx, field.Object+"."+name)
		outcome, began := string(InternalServerError), time.Now() // of a panic
		defer func() {
			metrics.Operation(name, outcome, time.Since(began))
			span.SetAttributes(attribute.String("latchkey.outcome", outcome))
			span.End()
		}()
		result, err := next(ctx)
		outcome = presenter.outcomeOf(result, err)
		return result, err
	}
}

func (p *presenter) outcomeOf(result any, err error) string {
	if err != nil {
		code, _ := p.classify(err, nil)
		return string(code)
	}
	switch failure := result.(type) {
	case generated.AuthFailure:
		return string(failure.Code)
	case generated.AdminFailure:
		return string(failure.Code)
	}
	return "ok"
}
