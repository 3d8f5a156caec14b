package activities

import (
	"github.com/prometheus/client_golang/prometheus"

	"waybill/webhook"
)

// metrics measures attempts. Every label has a closed set of values.
type metrics struct {
	attempts *prometheus.CounterVec
	duration *prometheus.HistogramVec
	spilled  prometheus.Counter
	busy     prometheus.Counter
	panics   prometheus.Counter
	queued   prometheus.Counter
}

// newMetrics registers the metrics with r, unless it is nil, and creates every label value, so that zero is visible.
func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "waybill_attempts_total", Help: "Attempts made, by outcome, class of error (empty: none) and lane.",
		}, []string{"outcome", "error_class", "lane"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "waybill_attempt_duration_seconds", Help: "Time from the dial to the end of the answer, by lane.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"lane"}),
		spilled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_attempts_spilled_total", Help: "Attempts for which the fast lane had no free slot.",
		}),
		busy: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_attempts_busy_total", Help: "Attempts delayed because their endpoint had too many in flight in the isolated lane.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_attempt_panics_total", Help: "Attempts that ended in a panic of Waybill itself; they are made again.",
		}),
	}
	m.queued = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "waybill_queue_attempts_total", Help: "Attempts that endpoints' queues made: of deliveries that were held or opened again.",
	})
	if r != nil {
		r.MustRegister(m.attempts, m.duration, m.spilled, m.busy, m.panics, m.queued)
	}
	for _, lane := range []Lane{LaneFast, LaneIsolated} {
		m.duration.WithLabelValues(string(lane))
		m.attempts.WithLabelValues(string(webhook.OutcomeDelivered), "", string(lane))
		m.attempts.WithLabelValues(string(webhook.OutcomeRejected), string(webhook.ErrorHTTPStatus), string(lane))
		for _, class := range webhook.ErrorClasses {
			m.attempts.WithLabelValues(string(webhook.OutcomeRetryable), string(class), string(lane))
		}
	}
	return m
}

func (m *metrics) attempt(lane Lane, r *Response, v webhook.Verdict) {
	m.attempts.WithLabelValues(string(v.Outcome), string(v.ErrorClass), string(lane)).Inc()
	m.duration.WithLabelValues(string(lane)).Observe(r.Duration.Seconds())
}
