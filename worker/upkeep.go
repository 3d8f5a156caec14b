package worker

import (
	"context"
	"log/slog"
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
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(u.setAside, u.dropped, u.stays, u.oldSeals.gauge, u.wakes.woken, u.wakes.failed)
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
	log := u.opts.Logger
	go every(ctx, partitionInterval, reporting(ctx, log, "partitions could not be created; still trying", u.opts.Store.EnsurePartitions))
	go every(ctx, hourly, reporting(ctx, log, "lost dispatches could not be deleted; still trying", u.opts.Store.ForgetLostDispatches))
	go every(ctx, hourly, reporting(ctx, log, "the quarantine could not be trimmed; still trying", u.trimQuarantine))
	go every(ctx, onceInterval, reporting(ctx, log, "idempotency keys could not be deleted; still trying", u.forgetOnce))
	go every(ctx, eraseInterval, reporting(ctx, log, "erasures could not go on; still trying", u.erase))
	go every(ctx, retainInterval, reporting(ctx, log, "what is older than it is kept could not all be removed; still trying", u.retain))
	go every(ctx, hourly, reporting(ctx, log, "signing secrets that ended could not be deleted; still trying", u.forgetSecrets))
	go every(ctx, statsInterval, reporting(ctx, log, "statistics could not be added up; still trying", u.compactStats))
	go every(ctx, sealInterval, reporting(ctx, log, "what is sealed with old keys could not be counted; still trying", func(ctx context.Context) error {
		return u.oldSeals.count(ctx, u.opts.Store)
	}))
	go every(ctx, warnInterval, reporting(ctx, log, "the end of client certificates could not be told; still trying", u.warnOfCertificates))
	go every(ctx, setAsideEvery, reporting(ctx, log, "dispatches that are set aside could not be counted; still trying", u.countSetAside))
	go every(ctx, holdsEvery, reporting(ctx, log, "held deliveries could not be given to their endpoints' queues; still trying", u.adoptHeld))
	go every(ctx, holdsEvery, reporting(ctx, log, "deliveries that are held too long could not be canceled; still trying", u.expireHeld))
	every(ctx, wakeInterval, reporting(ctx, log, "queues could not be woken; still trying", u.wakes.round))
}

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
