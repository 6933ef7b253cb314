package web

import (
	"database/sql"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"latchkey/auth"
)

// watched is what a service and its database count themselves. It is read whenever Prometheus asks.
type watched struct {
	version string
	service *auth.Service
	pools   func() map[string]sql.DBStats
}

// Watch adds what a service counts, what the pools of its database's connections do, by name, and which version this is.
// It is to be called once.
func (m *Metrics) Watch(version string, service *auth.Service, pools func() map[string]sql.DBStats) {
	m.registry.MustRegister(&watched{version, service, pools})
}

func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	buildInfo     = metric("latchkey_build_info", "Which version this is; always 1.", "version", "go_version")
	refreshes     = metric("latchkey_refreshes_total", "Refreshes, by what became of them.", "outcome")
	throttled     = metric("latchkey_throttled_total", "Attempts to sign in that were not let in, by the budget that was used up.", "budget")
	hashesRunning = metric("latchkey_password_hashes_running", "Passwords that are being hashed.")
	hashesWaiting = metric("latchkey_password_hashes_waiting", "Passwords that wait to be hashed.")
	hashSlots     = metric("latchkey_password_hash_slots", "How many passwords are hashed at once at the most.")
	confirming    = metric("latchkey_confirmations_pending", "Proofs that a client has its new token which are not written yet.")
	cleanedUp     = metric("latchkey_cleaned_up_rows_total", "Rows of the database that nobody needed and that were deleted.")
	cleanedUpAt   = metric("latchkey_clean_up_last_success_timestamp_seconds", "When the last clean-up went through; 0: none yet.")
	keyAge        = metric("latchkey_key_age_seconds", "For how long the current key has been the one that tokens are made with.", "kind")

	connections    = metric("latchkey_database_connections", "Open connections to the database.", "pool", "state")
	connectionsMax = metric("latchkey_database_connections_max", "How many connections are open at the most.", "pool")
	waits          = metric("latchkey_database_connection_waits_total", "How often somebody waited for a connection.", "pool")
	waitSeconds    = metric("latchkey_database_connection_wait_seconds_total", "For how long, in all.", "pool")
)

// Describe implements prometheus.Collector.
func (w *watched) Describe(out chan<- *prometheus.Desc) { prometheus.DescribeByCollect(w, out) }

// Collect implements prometheus.Collector.
func (w *watched) Collect(out chan<- prometheus.Metric) {
	send := func(kind prometheus.ValueType) func(*prometheus.Desc, float64, ...string) {
		return func(desc *prometheus.Desc, value float64, labels ...string) {
			out <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
		}
	}
	gauge, counter := send(prometheus.GaugeValue), send(prometheus.CounterValue)

	gauge(buildInfo, 1, w.version, runtime.Version())
	stats := w.service.Stats()
	for outcome, count := range stats.Refreshes {
		counter(refreshes, float64(count), string(outcome))
	}
	for budget, count := range stats.Throttled {
		counter(throttled, float64(count), budget)
	}
	gauge(hashesRunning, float64(stats.HashesRunning))
	gauge(hashesWaiting, float64(stats.HashesWaiting))
	gauge(hashSlots, float64(stats.HashSlots))
	gauge(confirming, float64(stats.ConfirmationsPending))
	counter(cleanedUp, float64(stats.CleanedUpRows))
	last := 0.0
	if !stats.CleanedUpAt.IsZero() {
		last = float64(stats.CleanedUpAt.Unix())
	}
	gauge(cleanedUpAt, last)
	for kind, age := range w.service.KeyAges() {
		gauge(keyAge, age.Seconds(), string(kind))
	}
	for name, pool := range w.pools() {
		gauge(connections, float64(pool.InUse), name, "in_use")
		gauge(connections, float64(pool.Idle), name, "idle")
		gauge(connectionsMax, float64(pool.MaxOpenConnections), name)
		counter(waits, float64(pool.WaitCount), name)
		counter(waitSeconds, pool.WaitDuration.Truncate(time.Microsecond).Seconds(), name)
	}
}
