package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are what Prometheus reads: of the process, and what became of requests. It implements graph.Metrics. No value of
// a label comes from a client: each is kept for as long as the process lives.
type Metrics struct {
	registry   *prometheus.Registry
	refusals   *prometheus.CounterVec
	operations *prometheus.CounterVec
	durations  *prometheus.HistogramVec
	ready      prometheus.Gauge
	clockSkew  prometheus.Gauge
}

// NewMetrics returns metrics that nothing was counted in.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_refusals_total",
			Help: "What was refused, by the code that the client was told.",
		}, []string{"kind"}),
		operations: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "latchkey_operations_total",
			Help: "Fields of Query and Mutation that were executed, by outcome: ok, or the code that the client was told.",
		}, []string{"field", "outcome"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "latchkey_operation_duration_seconds",
			Help:    "How long fields of Query and Mutation took, without the fields below them.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"field"}),
		ready: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "latchkey_ready",
			Help: "Whether /readyz said, when it was last asked, that requests are to be sent here.",
		}),
		clockSkew: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "latchkey_database_clock_skew_seconds",
			Help: "How far the database's clock was ahead when /readyz was last asked.",
		}),
	}
	m.ready.Set(1) // a server starts when its database has answered
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.refusals, m.operations, m.durations, m.ready, m.clockSkew,
	)
	return m
}

// Count counts one refusal.
func (m *Metrics) Count(kind string) { m.refusals.WithLabelValues(kind).Inc() }

// Operation counts a field of Query or Mutation that was executed.
func (m *Metrics) Operation(field, outcome string, took time.Duration) {
	m.operations.WithLabelValues(field, outcome).Inc()
	m.durations.WithLabelValues(field).Observe(took.Seconds())
}

func (m *Metrics) setReady(ready bool) {
	if ready {
		m.ready.Set(1)
		return
	}
	m.ready.Set(0)
}

func (m *Metrics) setClockSkew(skew time.Duration) { m.clockSkew.Set(skew.Seconds()) }

// Handler answers with all metrics, as Prometheus reads them.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Serve answers GET /metrics on a listener of its own until ctx ends.
func (m *Metrics) Serve(ctx context.Context, listener net.Listener, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m.Handler())
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      15 * time.Second,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}
