package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"waybill/engine"
	"waybill/store"
	"waybill/webhook"
)

// Rhythm of the reconciler.
const (
	// DefaultReconcileAfter is how long a delivery state still before anybody asks why.
	DefaultReconcileAfter = 5 * time.Minute
	minReconcileInterval  = time.Second
	maxReconcileInterval  = time.Minute
	// stageTimeout bounds each stage of a round; what a stage does not get to is the next round's.
	stageTimeout = time.Minute
	stalledPage  = 500
	sweepPage    = 2000
)

// Reconciler finds deliveries that stand still, though the log says that something is to come, and starts the workflows
// of those anew that have lost theirs: somebody ended it, or Temporal's database was set back. One that lives is late and
// is left alone. The other way round, it reports workflows whose event is not stored. One process at a time does the work.
type Reconciler struct {
	opts     ReconcilerOptions
	holder   string
	interval time.Duration
	rule     store.StallRule
	metrics  reconcilerMetrics

	// from is the stalled delivery at which the next round goes on.
	from        store.Stalled
	nextOrphans time.Time
}

// ReconcilerOptions are the parts and the settings of a Reconciler.
type ReconcilerOptions struct {
	Log       store.Reconciliation
	Restarter Restarter
	Dialects  map[string]*webhook.Dialect
	// After is how long a delivery may be late; 0: DefaultReconcileAfter.
	After time.Duration
	// Registerer takes the reconciler's metrics; nil: they are kept and shown nowhere.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// NewReconciler returns a Reconciler that has not begun.
func NewReconciler(o ReconcilerOptions) *Reconciler {
	if o.After == 0 {
		o.After = DefaultReconcileAfter
	}
	r := &Reconciler{
		opts: o, holder: uuid.NewString(), metrics: newReconcilerMetrics(o.Registerer),
		interval: min(max(o.After/5, minReconcileInterval), maxReconcileInterval),
		rule:     store.StallRule{After: o.After, Holds: map[string]time.Duration{}},
	}
	for name, d := range o.Dialects {
		if d.HoldFor > 0 {
			r.rule.Holds[name] = d.HoldFor.Std()
		}
	}
	return r
}

// Run reconciles until the context is done.
func (r *Reconciler) Run(ctx context.Context) {
	every(ctx, r.interval, reporting(ctx, r.opts.Logger, "deliveries that stand still cannot be looked for; trying on", r.round))
}

// round does the work if no other process does. A stage that fails, for Temporal is down, does not keep the others from
// theirs. The sweep comes last: the first one of a large database takes long.
func (r *Reconciler) round(ctx context.Context) error {
	stages := []func(context.Context) error{r.recoverForgotten, r.repair, r.findOrphans, r.sweep}
	// The lease covers a round that takes all its time, and the wait for the next.
	mine, err := r.opts.Log.ClaimReconciler(ctx, r.holder, r.interval+time.Duration(len(stages))*stageTimeout)
	if err != nil {
		return err
	}
	if !mine {
		r.metrics.forget()
		r.from, r.nextOrphans = store.Stalled{}, time.Time{}
		return nil
	}
	var errs []error
	for _, do := range stages {
		ctx, cancel := context.WithTimeout(ctx, stageTimeout)
		if err := do(ctx); ctx.Err() == nil {
			errs = append(errs, err)
		}
		cancel()
	}
	return errors.Join(errs...)
}

// recoverForgotten has the upkeep wake what is held for no reason.
func (r *Reconciler) recoverForgotten(ctx context.Context) error {
	marked, err := r.opts.Log.RecoverForgotten(ctx, r.opts.After)
	for _, e := range marked {
		r.metrics.repaired.Inc()
		r.opts.Logger.Warn("an endpoint that is not disabled holds deliveries; recovering it", "tenant", e.TenantID, "endpoint", e.ID)
	}
	return err
}

// repair looks at what state still, longest first, from where the last round came to.
func (r *Reconciler) repair(ctx context.Context) error {
	n, err := r.opts.Log.CountStalled(ctx, r.rule)
	if err != nil {
		return err
	}
	r.metrics.stalled.Set(float64(n))
	seen := map[webhook.EventKey]bool{}
	for {
		page, err := r.opts.Log.StalledDeliveries(ctx, r.rule, r.from, stalledPage)
		if err != nil {
			return err
		}
		for _, d := range page {
			if !seen[d.EventKey] {
				if err := r.repairEvent(ctx, &d); err != nil {
					return err
				}
				seen[d.EventKey] = true
			}
			r.from = d
		}
		if len(page) < stalledPage {
			r.from = store.Stalled{}
			return nil
		}
	}
}

// repairEvent starts the workflow of a delivery's event anew, if it lives no more and the event still needs one.
func (r *Reconciler) repairEvent(ctx context.Context, d *store.Stalled) error {
	log := r.opts.Logger.With("tenant", d.TenantID, "event", d.EventID, "delivery", d.ID, "status", d.Status, "since", d.Since)
	lives, err := r.opts.Restarter.Lives(ctx, d.TenantID, d.EventID)
	if err != nil {
		return err
	}
	if lives {
		log.Debug("a delivery is late; its workflow lives")
		return nil
	}
	// Read after the workflow was found closed: what it did until then is in the log.
	state, err := r.opts.Log.EventState(ctx, d.EventKey)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if state.Settled() {
		return nil
	}
	dialect, ok := r.opts.Dialects[state.Dialect]
	if !ok {
		log.Error("a delivery without a workflow waits for a dialect that is not loaded", "dialect", state.Dialect)
		return nil
	}
	if err := r.opts.Restarter.Restart(ctx, engine.NewRestartInput(state, dialect)); err != nil {
		return err
	}
	r.metrics.repaired.Inc()
	log.Warn("a delivery stood still without a workflow; started it anew")
	return r.wakeReleased(ctx, state)
}

// wakeReleased tells the new workflow of deliveries that were released after it was told that they are held, and before
// it was there to be woken.
func (r *Reconciler) wakeReleased(ctx context.Context, before *store.EventState) error {
	if len(before.HeldAt) == 0 {
		return nil
	}
	now, err := r.opts.Log.EventState(ctx, before.EventKey)
	if err != nil {
		return err
	}
	for _, d := range now.Log {
		_, was := before.HeldAt[d.ID]
		if _, is := now.HeldAt[d.ID]; !was || is {
			continue
		}
		err := r.opts.Restarter.WakeDelivery(ctx, now.TenantID, now.EventID, d.EndpointID)
		if err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound {
			return err
		}
	}
	return nil
}

// sweep goes on until it has caught up.
func (r *Reconciler) sweep(ctx context.Context) error {
	for {
		more, err := r.opts.Log.SweepDeliveries(ctx, r.opts.After, sweepPage)
		if err != nil || !more {
			return err
		}
	}
}
