package postgres

import (
	"database/sql"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"waybill/webhook"
)

// metrics count what this process settled. A delivery that was opened again counts again; tests do not count, nor does what the end of
// a recovery or of a tenant takes back.
type metrics struct {
	delivered, exhausted, canceledOnes prometheus.Counter
	// first and later are the latencies of what the first attempt delivered, right after the publication, and of what a later one did, or an
	// endpoint's queue: that waited for people.
	first, later prometheus.Observer
}

// newMetrics registers the metrics, and those of the pool, with r, unless it is nil, and creates every label value, so that zero is
// visible.
func newMetrics(r prometheus.Registerer, pool *sql.DB) *metrics {
	settled := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_deliveries_settled_total", Help: "Deliveries settled, by status. One that was opened again counts each time; tests do not count.",
	}, []string{"status"})
	latency := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "waybill_delivery_latency_seconds",
		Help: "Time from the publication to the end of the attempt that delivered, by which attempt that was: the first, or a later one or an endpoint queue's.",
		// Classic buckets, for a Prometheus that does not scrape native histograms: from a fast receiver to the end of a retry policy.
		Buckets:                        []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 43200},
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, []string{"attempt"})
	if r != nil {
		r.MustRegister(settled, latency, collectors.NewDBStatsCollector(pool, "waybill"))
	}
	return &metrics{
		delivered:    settled.WithLabelValues(string(webhook.StatusDelivered)),
		exhausted:    settled.WithLabelValues(string(webhook.StatusExhausted)),
		canceledOnes: settled.WithLabelValues(string(webhook.StatusCanceled)),
		first:        latency.WithLabelValues("first"), later: latency.WithLabelValues("later"),
	}
}

// recorded counts what attempts settled. queued are the deliveries that an endpoint's queue attempted.
func (m *metrics) recorded(rows []recordedRow, queued map[webhook.DeliveryID]bool) {
	for i := range rows {
		r := &rows[i]
		if r.Test || !r.settled() {
			continue
		}
		switch r.Status {
		case webhook.StatusDelivered:
			m.delivered.Inc()
			to := m.later
			if r.Attempts == 1 && !queued[r.ID] {
				to = m.first
			}
			// The clocks of the processes that accepted and delivered it may differ.
			to.Observe(max(r.UpdatedAt.Sub(r.CreatedAt), 0).Seconds())
		case webhook.StatusExhausted:
			m.exhausted.Inc()
		case webhook.StatusCanceled:
			m.canceledOnes.Inc()
		}
	}
}

func (m *metrics) canceled(deliveries int) { m.canceledOnes.Add(float64(deliveries)) }
