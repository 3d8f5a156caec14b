package worker

import (
	"context"
	"log/slog"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/store"
)

const (
	watchInterval = 15 * time.Second
	// watchTimeout bounds each question of a round.
	watchTimeout = 5 * time.Second
	// maxCounted is how far what has trouble is counted. So many entries of an index are read within milliseconds.
	maxCounted = 10_000
	// MaxTopEndpoints is the largest number of endpoints that have series of their own.
	MaxTopEndpoints = 100
	// topEvery is how many rounds pass between two readings of the longest streaks, which are in no index.
	topEvery = 4
)

// WatchOptions are the dependencies and the settings of a Watch.
type WatchOptions struct {
	Store store.Watch
	// Ready says whether Temporal answers.
	Ready func(ctx context.Context) error
	// TopEndpoints is how many endpoints with the longest streaks have a series of their own, up to MaxTopEndpoints; 0: none.
	TopEndpoints int
	// Registerer registers the metrics; nil: they are not exported.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Watch reads several times a minute what a scrape then shows, so that a scrape costs the database nothing, however often it comes.
// Every process has one. What it reads of the database is the same in all of them.
type Watch struct {
	opts                           WatchOptions
	database, temporal             prometheus.Gauge
	retrying, held, oldest         prometheus.Gauge
	streaks                        *prometheus.GaugeVec
	round                          int
	databaseSilent, temporalSilent bool
}

// NewWatch returns a Watch that does nothing before Run.
func NewWatch(o WatchOptions) *Watch {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	w := &Watch{
		opts:     o,
		database: gauge("waybill_database_up", "1 while the database answers this process."),
		temporal: gauge("waybill_temporal_up", "1 while Temporal answers this process."),
		retrying: gauge("waybill_deliveries_retrying", "Deliveries that wait for their next attempt, counted up to 10,000."),
		held:     gauge("waybill_deliveries_held", "Deliveries that are held because their endpoint is disabled, counted up to 10,000."),
		oldest:   gauge("waybill_oldest_undispatched_age_seconds", "Age of the oldest event that is accepted and not dispatched; 0: there is none."),
		streaks: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "waybill_endpoint_streak_failures",
			Help: "Failed attempts in a row of the endpoints with the most, as many as WAYBILL_METRICS_TOP_ENDPOINTS says.",
		}, []string{"tenant", "endpoint_id"}),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(w.database, w.temporal, w.retrying, w.held, w.oldest)
	}
	if o.Registerer != nil && o.TopEndpoints > 0 {
		o.Registerer.MustRegister(w.streaks)
	}
	return w
}

// Run watches until the context is done.
func (w *Watch) Run(ctx context.Context) {
	every(ctx, watchInterval, func() { w.look(ctx) })
}

func (w *Watch) look(ctx context.Context) {
	w.databaseSilent = w.tell(ctx, "the database", w.database, w.databaseSilent, w.readDatabase)
	w.temporalSilent = w.tell(ctx, "Temporal", w.temporal, w.temporalSilent, w.opts.Ready)
}

// tell asks a service and says in the log when it stops answering, and when it answers again.
func (w *Watch) tell(ctx context.Context, name string, up prometheus.Gauge, silent bool, ask func(context.Context) error) bool {
	limited, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	err := ask(limited)
	switch {
	case ctx.Err() != nil:
		return silent
	case err == nil && silent:
		w.opts.Logger.Info(name + " answers again")
	case err != nil && !silent:
		w.opts.Logger.Warn(name+" does not answer; still trying", "error", err.Error()) // a text: this line is not limited with those of the parts
	}
	up.Set(0)
	if err == nil {
		up.Set(1)
	}
	return err != nil
}

// forget takes back what is not known any more: the last reading of a process that does not reach the database would be the highest of all
// processes for ever.
func (w *Watch) forget() {
	for _, g := range []prometheus.Gauge{w.retrying, w.held, w.oldest} {
		g.Set(math.NaN())
	}
	w.streaks.Reset()
	w.round = 0 // the streaks are read with the first reading that succeeds
}

func (w *Watch) readDatabase(ctx context.Context) error {
	t, err := w.opts.Store.CountTrouble(ctx, maxCounted)
	if err != nil {
		w.forget()
		return err
	}
	w.retrying.Set(float64(t.Retrying))
	w.held.Set(float64(t.Held))
	w.oldest.Set(t.OldestSeconds)
	round := w.round
	w.round++
	if w.opts.TopEndpoints == 0 || round%topEvery != 0 {
		return nil
	}
	worst, err := w.opts.Store.WorstStreaks(ctx, min(w.opts.TopEndpoints, MaxTopEndpoints))
	if err != nil {
		return err
	}
	w.streaks.Reset()
	for _, e := range worst {
		w.streaks.WithLabelValues(e.TenantID, e.ID.String()).Set(float64(e.Failures))
	}
	return nil
}
