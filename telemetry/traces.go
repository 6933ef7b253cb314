// Package telemetry carries what ties a request's traces and log lines together.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	api "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Propagation is how a trace goes from program to program: by the header traceparent (W3C Trace Context).
var Propagation propagation.TextMapPropagator = propagation.TraceContext{}

// Traces are where spans go.
type Traces struct {
	api.TracerProvider
	shutdown func(context.Context) error
	log      *slog.Logger
}

// NoTraces take no spans. The trace of a request that belongs to one is still known.
func NoTraces() *Traces {
	return &Traces{TracerProvider: noop.NewTracerProvider(), shutdown: func(context.Context) error { return nil }}
}

// SendTraces returns those that go to a collector by OTLP over HTTP: url is its address, to which v1/traces is added.
// Whoever calls it must call Shutdown. Further settings, such as headers, are read from the variables that the
// OpenTelemetry specification has for them.
func SendTraces(ctx context.Context, url, version string, log *slog.Logger) (*Traces, error) {
	notSent := otel.ErrorHandlerFunc(func(err error) { log.Warn("traces not sent", "error", err) })
	otel.SetErrorHandler(notSent) // there is one for all of a process
	otel.SetLogger(logr.FromSlogHandler(withoutValues{log.Handler()}))
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url+"/v1/traces"))
	if err != nil {
		return nil, fmt.Errorf("send traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("latchkey"), semconv.ServiceVersion(version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("send traces: OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))
	return &Traces{provider, provider.Shutdown, log}, nil
}

// shutdownTimeout is how long a collector that is away delays the end of a process.
const shutdownTimeout = 3 * time.Second

// Shutdown sends what is still in memory, if the collector takes it soon, and else says so in the log.
func (t *Traces) Shutdown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	if err := t.shutdown(ctx); err != nil {
		t.log.WarnContext(ctx, "traces not sent", "error", err)
	}
}

// Span begins a part of whatever trace a context belongs to; without one it does nothing.
func Span(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, api.Span) {
	parent := api.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, noop.Span{}
	}
	return parent.TracerProvider().Tracer("latchkey").Start(ctx, name, api.WithAttributes(attributes...))
}
