package worker

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/store"
	"waybill/webhook"
)

// Intervals of the upkeep.
const (
	setAsideEvery = 15 * time.Second
	holdsEvery    = 5 * time.Second
	holdsPage     = 500
	// maxSetAside is how far dispatches that are set aside are counted for the metric.
	maxSetAside       = 10_000
	partitionInterval = time.Minute // it only reads the catalog while no partition is missing
	hourly            = time.Hour
	// onceInterval and oncePage bound what expired keys add to the database.
	onceInterval = 10 * time.Minute
	oncePage     = 1000
	// warnInterval and warnPage: a warning may be late by an hour, and each is a transaction.
	warnInterval = hourly
	warnPage     = 100
	sealInterval = 10 * time.Minute // it reads every sealed value
	// secretsGrace is longer than the clocks of processes differ.
	secretsGrace = time.Hour
	secretsPage  = 500
)

// Upkeep does periodic work that at least one process must do. Several may do it at the same time.
type Upkeep struct {
	opts     UpkeepOptions
	setAside prometheus.Gauge
	oldSeals *oldSeals
	dropped  prometheus.Counter
	stays    prometheus.Gauge
	failing  *prometheus.GaugeVec
	ending   prometheus.Counter
	wakes    *queueWakes
	// holds is how long each dialect holds a delivery; one that holds without limit is left out.
	holds map[string]time.Duration
}

// UpkeepOptions are the dependencies and the settings of an Upkeep.
type UpkeepOptions struct {
	Store  UpkeepStore
	Teller Teller
	// Dialects say how long deliveries are held.
	Dialects map[string]*webhook.Dialect
	// Retention is how long data is kept; a zero Keep: for good.
	Retention store.RetentionRule
	// Registerer registers the metrics; nil: they are not exported.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// NewUpkeep returns an Upkeep that does nothing before Run.
func NewUpkeep(o UpkeepOptions) *Upkeep {
	u := &Upkeep{
		opts: o, wakes: newQueueWakes(o), oldSeals: newOldSeals(), holds: holdsOf(o.Dialects),
		setAside: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_dispatches_set_aside", Help: "Events that cannot be dispatched and wait for a person, counted up to 10,000: see GET /v1/dispatches.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_retention_partitions_dropped_total", Help: "Partitions of months that were dropped because they are older than WAYBILL_RETENTION.",
		}),
		stays: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_retention_failing", Help: "1 while something that is older than it is kept could not be removed; the log says why.",
		}),
		failing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waybill_upkeep_failing", Help: "1 while the latest round of this task of the upkeep failed; the log says why.",
		}, []string{"task"}),
		ending: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_certificate_warnings_total", Help: "Warnings that the client certificate of an endpoint ends. The log names the endpoint.",
		}),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(u.setAside, u.dropped, u.stays, u.failing, u.ending, u.oldSeals.gauge, u.wakes.woken, u.wakes.failed)
	}
	for _, t := range u.tasks() {
		u.failing.WithLabelValues(t.name)
	}
	return u
}

// holdsOf returns how long each dialect holds a delivery. One that holds without limit is left out.
func holdsOf(dialects map[string]*webhook.Dialect) map[string]time.Duration {
	holds := map[string]time.Duration{}
	for name, d := range dialects {
		if d.HoldFor > 0 {
			holds[name] = d.HoldFor.Std()
		}
	}
	return holds
}

// Run works until the context is done.
func (u *Upkeep) Run(ctx context.Context) {
	tasks := u.tasks()
	for _, t := range tasks[1:] {
		go u.repeat(ctx, t)
	}
	u.repeat(ctx, tasks[0])
}

// task is a part of the upkeep. failure is what the log says of it.
type task struct {
	name, failure string
	every         time.Duration
	do            func(context.Context) error
}

func (u *Upkeep) tasks() []task {
	return []task{
		{"partitions", "partitions could not be created; still trying", partitionInterval, u.opts.Store.EnsurePartitions},
		{"lost_dispatches", "lost dispatches could not be deleted; still trying", hourly, u.opts.Store.ForgetLostDispatches},
		{"quarantine", "the quarantine could not be trimmed; still trying", hourly, u.trimQuarantine},
		{"idempotency_keys", "idempotency keys could not be deleted; still trying", onceInterval, u.forgetOnce},
		{"erasures", "erasures could not go on; still trying", eraseInterval, u.erase},
		{"retention", "what is older than it is kept could not all be removed; still trying", retainInterval, u.retain},
		{"secrets", "signing secrets that ended could not be deleted; still trying", hourly, u.forgetSecrets},
		{"statistics", "statistics could not be added up; still trying", statsInterval, u.compactStats},
		{"old_keys", "what is sealed with old keys could not be counted; still trying", sealInterval, u.countOldSeals},
		{"certificates", "the end of client certificates could not be told; still trying", warnInterval, u.warnOfCertificates},
		{"set_aside", "dispatches that are set aside could not be counted; still trying", setAsideEvery, u.countSetAside},
		{"adopt_held", "held deliveries could not be given to their endpoints' queues; still trying", holdsEvery, u.adoptHeld},
		{"expire_held", "deliveries that are held too long could not be canceled; still trying", holdsEvery, u.expireHeld},
		{"queue_wakes", "queues could not be woken; still trying", wakeInterval, u.wakes.round},
	}
}

// repeat does a task again and again, and shows whether its latest round failed.
func (u *Upkeep) repeat(ctx context.Context, t task) {
	failing := u.failing.WithLabelValues(t.name)
	every(ctx, t.every, reporting(ctx, u.opts.Logger, t.failure, func(ctx context.Context) error {
		err := t.do(ctx)
		failing.Set(0)
		if err != nil {
			failing.Set(1)
		}
		return err
	}))
}

// countOldSeals counts what is sealed with other keys than the first.
func (u *Upkeep) countOldSeals(ctx context.Context) error { return u.oldSeals.count(ctx, u.opts.Store) }

// trimQuarantine deletes the rows that have become too old. The limits on rows and bytes apply when a row enters.
func (u *Upkeep) trimQuarantine(ctx context.Context) error {
	_, err := u.opts.Store.TrimQuarantine(ctx)
	return err
}

// forgetOnce deletes the expired keys in pages, so that no transaction is long.
func (u *Upkeep) forgetOnce(ctx context.Context) error {
	return untilDone(ctx, func() (more bool, err error) { return u.opts.Store.ForgetOnce(ctx, store.OnceFor, oncePage) })
}

// forgetSecrets deletes the secrets whose overlap is over.
func (u *Upkeep) forgetSecrets(ctx context.Context) error {
	return untilDone(ctx, func() (more bool, err error) { return u.opts.Store.ForgetEndedSecrets(ctx, secretsGrace, secretsPage) })
}

func (u *Upkeep) countSetAside(ctx context.Context) error {
	n, err := u.opts.Store.CountSetAside(ctx, maxSetAside)
	if err != nil {
		u.setAside.Set(math.NaN()) // as Watch does with what it does not know any more
		return err
	}
	u.setAside.Set(float64(n))
	return nil
}

// adoptHeld gives to the queues what a process of an earlier version held, and tells the workflows, which would otherwise wait for the
// end of the hold.
func (u *Upkeep) adoptHeld(ctx context.Context) error {
	return untilDone(ctx, func() (more bool, err error) {
		adopted, err := u.opts.Store.AdoptHeld(ctx, holdsPage)
		if err != nil {
			return false, err
		}
		var down outage
		for _, d := range adopted {
			err := u.opts.Teller.TellHandedOver(ctx, d.TenantID, d.EventID, d.EndpointID)
			if down.ends(err) {
				return false, err
			}
		}
		return len(adopted) == holdsPage, nil
	})
}

// expireHeld cancels what is held for longer than its dialect says.
func (u *Upkeep) expireHeld(ctx context.Context) error {
	return untilDone(ctx, func() (more bool, err error) { return u.opts.Store.ExpireHeld(ctx, u.holds, time.Now(), holdsPage) })
}

// untilDone calls page until there is no more.
func untilDone(ctx context.Context, page func() (more bool, err error)) error {
	for ctx.Err() == nil {
		if more, err := page(); err != nil || !more {
			return err
		}
	}
	return nil
}
