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
	recoveryInterval = time.Second
	recoveryPage     = 500
	// recoveryPause is how long startRecoveries skips an endpoint after it started the recovery; failurePause is the same
	// after a start that failed.
	recoveryPause = 5 * time.Second
	failurePause  = 30 * time.Second
	setAsideEvery = 15 * time.Second
	// maxSetAside is how far dispatches that are set aside are counted for the metric.
	maxSetAside       = 10_000
	partitionInterval = time.Minute // it only reads the catalog while no partition is missing
	hourly            = time.Hour
	// onceInterval and oncePage bound what expired keys add to the database.
	onceInterval = 10 * time.Minute
	oncePage     = 1000
)

// Upkeep does periodic work that at least one process must do. Several may do it at the same time.
type Upkeep struct {
	opts             UpkeepOptions
	setAside         prometheus.Gauge
	failedRecoveries prometheus.Counter

	// after is the last endpoint of the round before; the next round of recoveries begins after it.
	after webhook.EndpointID
	// pauses says until when endpoints are skipped.
	pauses map[webhook.EndpointID]time.Time
}

// UpkeepOptions are the dependencies and the settings of an Upkeep.
type UpkeepOptions struct {
	Store   UpkeepStore
	Starter RecoveryStarter
	// Registerer registers the metrics; nil: they are not exported.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// NewUpkeep returns an Upkeep that does nothing before Run.
func NewUpkeep(o UpkeepOptions) *Upkeep {
	u := &Upkeep{
		opts: o, pauses: map[webhook.EndpointID]time.Time{},
		setAside: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "waybill_dispatches_set_aside", Help: "Events that cannot be dispatched and wait for a person, counted up to 10,000: see GET /v1/dispatches.",
		}),
		failedRecoveries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_recovery_starts_failed_total", Help: "Recoveries of endpoints that could not be started. The log names the endpoint.",
		}),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(u.setAside, u.failedRecoveries)
	}
	return u
}

// Run works until the context is done.
func (u *Upkeep) Run(ctx context.Context) {
	log := u.opts.Logger
	go every(ctx, partitionInterval, reporting(ctx, log, "partitions could not be created; still trying", u.opts.Store.EnsurePartitions))
	go every(ctx, hourly, reporting(ctx, log, "lost dispatches could not be deleted; still trying", u.opts.Store.ForgetLostDispatches))
	go every(ctx, hourly, reporting(ctx, log, "the quarantine could not be trimmed; still trying", u.trimQuarantine))
	go every(ctx, onceInterval, reporting(ctx, log, "idempotency keys could not be deleted; still trying", u.forgetOnce))
	go every(ctx, statsInterval, reporting(ctx, log, "statistics could not be added up; still trying", u.compactStats))
	go every(ctx, setAsideEvery, reporting(ctx, log, "dispatches that are set aside could not be counted; still trying", u.countSetAside))
	every(ctx, recoveryInterval, reporting(ctx, log, "recoveries could not be started; still trying", u.startRecoveries))
}

// trimQuarantine deletes the rows that have become too old. The limits on rows and bytes apply when a row enters.
func (u *Upkeep) trimQuarantine(ctx context.Context) error {
	_, err := u.opts.Store.TrimQuarantine(ctx)
	return err
}

// forgetOnce deletes the expired keys in pages, so that no transaction is long.
func (u *Upkeep) forgetOnce(ctx context.Context) error {
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = u.opts.Store.ForgetOnce(ctx, store.OnceFor, oncePage); err != nil {
			return err
		}
	}
	return nil
}

func (u *Upkeep) countSetAside(ctx context.Context) error {
	n, err := u.opts.Store.CountSetAside(ctx, maxSetAside)
	if err != nil {
		return err
	}
	u.setAside.Set(float64(n))
	return nil
}

// startRecoveries starts the recoveries that enabling or deleting an endpoint could not start: the process died, or
// Temporal was down. An endpoint is due until its recovery ends, so startRecoveries lists all that are due and skips those
// that it has just started.
func (u *Upkeep) startRecoveries(ctx context.Context) error {
	var down outage
	for ctx.Err() == nil {
		due, err := u.opts.Store.EndpointsToRecover(ctx, u.after, recoveryPage)
		if err != nil {
			return err
		}
		for _, e := range due {
			u.after = e.ID // an endpoint that fails must not block the start of every round
			if time.Now().Before(u.pauses[e.ID]) {
				continue
			}
			if err := u.startRecovery(ctx, e); down.ends(err) {
				return err
			}
		}
		if len(due) < recoveryPage {
			u.after = webhook.EndpointID{}
			u.forgetPauses()
			return nil
		}
	}
	return nil
}

func (u *Upkeep) startRecovery(ctx context.Context, e store.EndpointRef) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := u.opts.Starter.StartRecovery(ctx, e.TenantID, e.ID)
	switch webhook.ErrorCode(err) {
	case "":
		u.pauses[e.ID] = time.Now().Add(recoveryPause)
	case webhook.CodeUnavailable: // the next round tries again
	default:
		u.pauses[e.ID] = time.Now().Add(failurePause)
		u.failedRecoveries.Inc()
		u.opts.Logger.Warn("the recovery of an endpoint cannot be started; trying again", "tenant", e.TenantID, "endpoint", e.ID, "error", err)
	}
	return err
}

// forgetPauses removes the pauses that are over, so that the map does not grow.
func (u *Upkeep) forgetPauses() {
	for id, until := range u.pauses {
		if time.Now().After(until) {
			delete(u.pauses, id)
		}
	}
}
