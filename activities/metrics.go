package activities

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/webhook"
)

// metrics measures attempts. Every label has a closed set of values, and every series is made at the start: an attempt only looks
// them up.
type metrics struct {
	attempts map[attemptLabels]prometheus.Counter
	answers  map[string]prometheus.Counter
	duration map[Lane]prometheus.Observer
	spilled  prometheus.Counter
	busy     prometheus.Counter
	panics   prometheus.Counter
	queued   prometheus.Counter
}

type attemptLabels struct {
	outcome webhook.Outcome
	class   webhook.ErrorClass
	lane    Lane
}

// newMetrics registers the metrics with r, unless it is nil, and creates every label value, so that zero is visible.
func newMetrics(r prometheus.Registerer) *metrics {
	attempts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_attempts_total", Help: "Attempts made, by outcome, class of error (empty: none) and lane.",
	}, []string{"outcome", "error_class", "lane"})
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_attempt_answers_total", Help: "Attempts made, by what the receiver answered: 410 and 429 are not among 4xx; none: it did not answer.",
	}, []string{"status"})
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "waybill_attempt_duration_seconds", Help: "Time from the dial to the end of the answer, by lane.",
		Buckets:                     []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"lane"})
	m := &metrics{
		attempts: map[attemptLabels]prometheus.Counter{}, answers: map[string]prometheus.Counter{}, duration: map[Lane]prometheus.Observer{},
		spilled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_attempts_spilled_total", Help: "Attempts for which the fast lane had no free slot.",
		}),
		busy: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_attempts_busy_total", Help: "Attempts delayed because their endpoint had too many in flight in the isolated lane.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_attempt_panics_total", Help: "Attempts that ended in a panic of Waybill itself; they are made again.",
		}),
		queued: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_queue_attempts_total", Help: "Attempts that endpoints' queues made: of deliveries that were held or opened again.",
		}),
	}
	if r != nil {
		r.MustRegister(attempts, answers, duration, m.spilled, m.busy, m.panics, m.queued)
	}
	add := func(outcome webhook.Outcome, class webhook.ErrorClass, lane Lane) {
		m.attempts[attemptLabels{outcome, class, lane}] = attempts.WithLabelValues(string(outcome), string(class), string(lane))
	}
	for _, lane := range []Lane{LaneFast, LaneIsolated} {
		m.duration[lane] = duration.WithLabelValues(string(lane))
		add(webhook.OutcomeDelivered, "", lane)
		add(webhook.OutcomeRejected, webhook.ErrorHTTPStatus, lane)
		for _, class := range webhook.ErrorClasses {
			add(webhook.OutcomeRetryable, class, lane)
		}
	}
	for _, status := range []string{"2xx", "3xx", "4xx", "410", "429", "5xx", answeredElse, noAnswer} {
		m.answers[status] = answers.WithLabelValues(status)
	}
	return m
}

// What stands for a status that is in no class, and for no answer.
const (
	answeredElse = "other"
	noAnswer     = "none"
)

// statusClass is the label of an attempt with this status code; 0: the receiver did not answer.
func statusClass(code int) string {
	switch {
	case code == 0:
		return noAnswer
	case code == 410:
		return "410"
	case code == 429:
		return "429"
	case code < 200 || code > 599:
		return answeredElse
	default:
		return [...]string{"2xx", "3xx", "4xx", "5xx"}[code/100-2]
	}
}

// attempt counts an attempt. The lane comes from the workflow, whose input anybody with access to Temporal can write: one that is not
// known counts as the isolated.
func (m *metrics) attempt(lane Lane, queued bool, r *Response, v webhook.Verdict) {
	if queued {
		m.queued.Inc()
	}
	if lane != LaneFast {
		lane = LaneIsolated
	}
	if c := m.attempts[attemptLabels{v.Outcome, v.ErrorClass, lane}]; c != nil {
		c.Inc()
	}
	m.answers[statusClass(r.reply().StatusCode)].Inc()
	m.duration[lane].Observe(r.Duration.Seconds())
}
