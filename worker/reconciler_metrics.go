package worker

import "github.com/prometheus/client_golang/prometheus"

// reconcilerMetrics are all 0 when nothing is wrong, and in processes that do not reconcile.
type reconcilerMetrics struct {
	stalled, orphans prometheus.Gauge
	repaired, failed prometheus.Counter
}

func newReconcilerMetrics(to prometheus.Registerer) reconcilerMetrics {
	m := reconcilerMetrics{
		stalled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_reconciler_stalled", Help: "Stalled deliveries: their next attempt, or the end of their hold, is overdue.",
		}),
		repaired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_reconciler_repaired_total", Help: "Events whose lost workflow was restarted, endpoints whose lost queue was, and failing endpoints that were disabled late.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_reconciler_failed_total", Help: "Failed tries to repair an event or an endpoint. The log names it.",
		}),
		orphans: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_reconciler_orphan_workflows", Help: "Running workflows whose event is not stored.",
		}),
	}
	if to != nil {
		to.MustRegister(m.stalled, m.repaired, m.failed, m.orphans)
	}
	return m
}

// reset sets the gauges to 0, because another process reconciles now.
func (m *reconcilerMetrics) reset() {
	m.stalled.Set(0)
	m.orphans.Set(0)
}
