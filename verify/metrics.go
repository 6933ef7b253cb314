package verify

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// outcomes count what became of tokens.
type outcomes struct{ total *prometheus.CounterVec }

func newOutcomes() outcomes {
	return outcomes{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "latchkey_verify_requests_total", Help: "Access tokens by what became of them.",
	}, []string{"outcome"})}
}

func (o outcomes) countMissing() { o.total.WithLabelValues("missing").Inc() }

func (o outcomes) count(err error) {
	outcome := "ok"
	for _, known := range []struct {
		err  error
		name string
	}{{ErrExpired, "expired"}, {ErrEnded, "ended"}, {ErrUnavailable, "unavailable"}, {err, "invalid"}} {
		if err != nil && errors.Is(err, known.err) {
			outcome = known.name
			break
		}
	}
	o.total.WithLabelValues(outcome).Inc()
}

var (
	feedUp = prometheus.NewDesc("latchkey_verify_feed_up",
		"Whether it is known which sessions ended: 0 when the server has not said so for longer than AwayAfter.", nil, nil)
	feedAge = prometheus.NewDesc("latchkey_verify_feed_age_seconds",
		"How old what is known of sessions that ended is.", nil, nil)
	endedSessions = prometheus.NewDesc("latchkey_verify_ended_sessions",
		"Sessions that ended and whose access tokens may not have expired.", nil, nil)
	knownKeys = prometheus.NewDesc("latchkey_verify_keys",
		"Public keys that tokens are verified by.", nil, nil)
)

// Describe implements prometheus.Collector.
func (v *Verifier) Describe(out chan<- *prometheus.Desc) {
	v.outcomes.total.Describe(out)
	for _, desc := range []*prometheus.Desc{knownKeys, feedUp, feedAge, endedSessions} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (v *Verifier) Collect(out chan<- prometheus.Metric) {
	v.outcomes.total.Collect(out)
	gauge := func(desc *prometheus.Desc, value float64) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	gauge(knownKeys, float64(v.keys.count()))
	if v.feed == nil {
		return
	}
	up := 1.0
	if v.feed.away() {
		up = 0
	}
	gauge(feedUp, up)
	if age := v.feed.age(); age < never {
		gauge(feedAge, age.Seconds())
	}
	gauge(endedSessions, float64(v.feed.remembered()))
}

var _ prometheus.Collector = (*Verifier)(nil)
