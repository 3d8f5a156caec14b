package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"waybill/engine"
	"waybill/store"
	"waybill/webhook"
)

// Intervals and limits of the reconciler.
const (
	// DefaultReconcileAfter is how late a delivery may be before the reconciler checks its workflow.
	DefaultReconcileAfter = 5 * time.Minute
	minReconcileInterval  = time.Second
	maxReconcileInterval  = time.Minute
	// DefaultStageTimeout bounds each stage of a round. The next round continues where a stage ran out of time.
	DefaultStageTimeout = time.Minute
	// repairTimeout bounds the repair of one event.
	repairTimeout = 10 * time.Second
	// failureLines is how many failed repairs one round logs.
	failureLines = 20
	// giveBackTime bounds how long a process that stops waits for the database on behalf of the next.
	giveBackTime = 2 * time.Second
	stalledPage  = 500
	endpointPage = 500
	sweepPage    = 2000
)

// Reconciler finds stalled deliveries and restarts their workflow if it is lost: somebody terminated it, or Temporal's
// database was restored from a backup. A delivery whose workflow is running is only late, and the Reconciler does not touch
// it. It does the same for the endpoints' queues, and disables the endpoints that keep failing where the process that saw the last
// failure died. The Reconciler also reports running workflows whose event is not stored. One process at a time does the work.
type Reconciler struct {
	opts     ReconcilerOptions
	holder   string
	mine     bool      // whether the last round had the lease
	until    time.Time // when it ends, where it was had
	interval time.Duration
	rule     store.StallRule
	metrics  reconcilerMetrics

	// from is the last stalled delivery of the round before; the next round begins after it.
	from        store.Stalled
	orphans     orphanSearch
	nextOrphans time.Time
}

// ReconcilerOptions are the dependencies and the settings of a Reconciler.
type ReconcilerOptions struct {
	Log       ReconcilerLog
	Restarter Restarter
	Dialects  map[string]*webhook.Dialect
	// After is how long a delivery may be late; 0: DefaultReconcileAfter.
	After time.Duration
	// StageTimeout bounds each stage of a round; 0: DefaultStageTimeout.
	StageTimeout time.Duration
	// Registerer registers the metrics; nil: they are not exported.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

func (o *ReconcilerOptions) setDefaults() {
	o.After = cmp.Or(o.After, DefaultReconcileAfter)
	o.StageTimeout = cmp.Or(o.StageTimeout, DefaultStageTimeout)
}

// NewReconciler returns a Reconciler that does nothing before Run.
func NewReconciler(o ReconcilerOptions) *Reconciler {
	o.setDefaults()
	r := &Reconciler{
		opts: o, holder: uuid.NewString(), metrics: newReconcilerMetrics(o.Registerer),
		interval: min(max(o.After/5, minReconcileInterval), maxReconcileInterval),
		rule:     store.StallRule{After: o.After, Holds: holdsOf(o.Dialects)},
	}
	return r
}

// Run reconciles until the context is done. Then it gives the lease back, so that the next process need not wait for its end.
func (r *Reconciler) Run(ctx context.Context) {
	every(ctx, r.interval, reporting(ctx, r.opts.Logger, "the reconciler cannot do all its work; still trying", r.round))
	if !r.mine {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackTime)
	defer cancel()
	if _, err := r.opts.Log.ClaimReconciler(ctx, r.holder, 0); err != nil {
		r.opts.Logger.Warn("the reconciler's lease was not given back, so the next process waits for its end", "error", err)
	}
}

// round does the work if no other process is doing it. A stage that fails, for example while Temporal is down, does not
// stop the others. The sweep comes last, because the first one of a large database takes long.
func (r *Reconciler) round(ctx context.Context) error {
	stages := []stage{
		{"endpoints that keep failing", r.disableFailing}, {"endpoint queues", r.wakeQueues}, {"stalled deliveries", r.repair},
		{"orphan workflows", r.findOrphans}, {"sweep", r.sweep},
	}
	// The lease covers the longest round and the wait for the next.
	lease := r.interval + time.Duration(len(stages))*r.opts.StageTimeout
	until := time.Now().Add(lease)
	mine, err := r.opts.Log.ClaimReconciler(ctx, r.holder, lease)
	if err != nil {
		if r.mine && time.Now().After(r.until) {
			r.lose() // whoever reaches the database has it by now
		}
		return err
	}
	if !mine {
		r.lose()
		return nil
	}
	r.mine, r.until = true, until
	var errs []error
	for _, s := range stages {
		errs = append(errs, r.run(ctx, s))
	}
	return errors.Join(errs...)
}

// lose forgets what belongs to the holder of the lease. The metrics of two processes would be added up or compared otherwise.
func (r *Reconciler) lose() {
	r.mine = false
	r.metrics.reset()
	r.from, r.orphans, r.nextOrphans = store.Stalled{}, orphanSearch{}, time.Time{}
}

// stage is a part of a round.
type stage struct {
	name string
	do   func(context.Context) error
}

func (r *Reconciler) run(ctx context.Context, s stage) error {
	limited, cancel := context.WithTimeout(ctx, r.opts.StageTimeout)
	defer cancel()
	err := safely(r.opts.Logger, func() error { return s.do(limited) })
	switch {
	case err == nil || ctx.Err() != nil:
		return nil
	case limited.Err() != nil:
		r.opts.Logger.Info("the reconciler ran out of time; the next round goes on", "stage", s.name, "after", r.opts.StageTimeout)
		return nil
	}
	return fmt.Errorf("%s: %w", s.name, err)
}

// repair checks the stalled deliveries, longest overdue first, and continues where the last round stopped.
func (r *Reconciler) repair(ctx context.Context) error {
	n, err := r.opts.Log.CountStalled(ctx, r.rule)
	if err != nil {
		return err
	}
	r.metrics.stalled.Set(float64(n))
	seen, failed := map[webhook.EventKey]bool{}, 0
	var down outage
	for {
		page, err := r.opts.Log.StalledDeliveries(ctx, r.rule, r.from, stalledPage)
		if err != nil {
			return err
		}
		for _, d := range page {
			if seen[d.EventKey] {
				r.from = d
				continue
			}
			err := r.repairEvent(ctx, &d)
			if ctx.Err() != nil {
				return err
			}
			seen[d.EventKey], r.from = true, d // an event that fails must not block the start of every round
			if down.ends(err) {
				return err
			}
			if err != nil {
				r.metrics.failed.Inc()
				if failed++; failed <= failureLines {
					r.opts.Logger.Warn("an event cannot be repaired; the next rounds try again", "tenant", d.TenantID, "event_id", d.EventID, "error", err)
				}
			}
		}
		if len(page) < stalledPage {
			r.from = store.Stalled{}
			return nil
		}
	}
}

// repairEvent restarts the workflow of a delivery's event if it is not running and the event still needs one.
func (r *Reconciler) repairEvent(ctx context.Context, d *store.Stalled) error {
	return r.limited(ctx, func(ctx context.Context) error { return r.restart(ctx, d) })
}

func (r *Reconciler) restart(ctx context.Context, d *store.Stalled) error {
	log := r.opts.Logger.With("tenant", d.TenantID, "event_id", d.EventID, "delivery_id", d.ID, "status", d.Status, "since", d.Since)
	running, err := r.opts.Restarter.IsRunning(ctx, d.TenantID, d.EventID)
	if err != nil {
		return err
	}
	if running {
		log.Debug("a delivery is late; its workflow is running")
		return nil
	}
	// The state must be read after the workflow was found closed, because then the log has everything that the workflow
	// did.
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
		return fmt.Errorf("the dialect %q is not loaded in this process", state.Dialect)
	}
	if err := r.opts.Restarter.Restart(ctx, engine.NewRestartInput(state, dialect)); err != nil {
		return err
	}
	r.metrics.repaired.Inc()
	log.Warn("a stalled delivery had no workflow; restarted it")
	return nil
}

// sweep sweeps page by page until none is left.
func (r *Reconciler) sweep(ctx context.Context) error {
	for {
		more, err := r.opts.Log.SweepDeliveries(ctx, r.opts.After, sweepPage)
		if err != nil || !more {
			return err
		}
	}
}
