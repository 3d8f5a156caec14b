package worker

import (
	"context"
	"time"

	"waybill/store"

	"github.com/prometheus/client_golang/prometheus"
)

// orphanLines is how many orphans one look at the workflows writes into the log.
const orphanLines = 20

// findOrphans counts the workflows whose event is not stored, seldom: it goes through all that live. They are left alone.
func (r *Reconciler) findOrphans(ctx context.Context) error {
	now := time.Now()
	if now.Before(r.nextOrphans) {
		return nil
	}
	found := 0
	err := r.opts.Restarter.LivingEvents(ctx, now.Add(-r.opts.After), func(events []store.EventRef) error {
		unknown, err := r.opts.Log.UnknownEvents(ctx, events)
		if err != nil {
			return err
		}
		for _, e := range unknown {
			if found++; found <= orphanLines {
				r.opts.Logger.Warn("a workflow delivers an event that is not stored", "tenant", e.TenantID, "event", e.EventID)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.metrics.orphans.Set(float64(found))
	r.nextOrphans = now.Add(2 * r.opts.After)
	return nil
}

// reconcilerMetrics are all 0 in health, and in the processes that do not reconcile.
type reconcilerMetrics struct {
	stalled, orphans prometheus.Gauge
	repaired         prometheus.Counter
}

func newReconcilerMetrics(to prometheus.Registerer) reconcilerMetrics {
	m := reconcilerMetrics{
		stalled: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_reconciler_stalled", Help: "Deliveries that stand still: their next attempt, or the end of their hold, is overdue.",
		}),
		repaired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_reconciler_repaired_total", Help: "Events whose lost workflow was started anew, and endpoints whose recovery was.",
		}),
		orphans: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_reconciler_orphan_workflows", Help: "Workflows that live and whose event is not stored.",
		}),
	}
	if to != nil {
		to.MustRegister(m.stalled, m.repaired, m.orphans)
	}
	return m
}

// forget leaves the gauges to the process that reconciles now.
func (m *reconcilerMetrics) forget() {
	m.stalled.Set(0)
	m.orphans.Set(0)
}
