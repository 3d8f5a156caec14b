package worker

import "github.com/prometheus/client_golang/prometheus"

// reconcilerMetrics are all 0 in health, and in the processes that do not reconcile.
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
			Name: "waybill_reconciler_repaired_total", Help: "Events whose lost workflow was started anew, and endpoints whose recovery was.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_reconciler_failed_total", Help: "Tries to repair an event that failed. The log names the event.",
		}),
		orphans: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_reconciler_orphan_workflows", Help: "Workflows that live and whose event is not stored.",
		}),
	}
	if to != nil {
		to.MustRegister(m.stalled, m.repaired, m.failed, m.orphans)
	}
	return m
}

// forget clears the gauges, because another process reconciles now.
func (m *reconcilerMetrics) forget() {
	m.stalled.Set(0)
	m.orphans.Set(0)
}
