package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/webhook"
)

const (
	readInterval = time.Second
	// readTimeout bounds a reading: a million events take a tenth of a second.
	readTimeout = 5 * time.Second
	// DefaultMaxBacklog is also how far a backlog without a limit is counted, for the metric.
	DefaultMaxBacklog = 1_000_000
)

// Backlog bounds the events that are accepted and not yet dispatched. It reads their number once a second and adds in
// between what this process accepts, so the limit holds within a process but for the rest of one batch. Other processes'
// events, and those published by SQL, show at the next reading: of them as many come on top as they store in a second.
// What was dispatched since the reading is not taken off, so a limit of less than a few seconds' events sheds early.
type Backlog struct {
	counter Counter
	limit   int
	gauge   prometheus.Gauge
	log     *slog.Logger

	mu   sync.Mutex
	read int // the last reading
	// unread is set after a reading that failed.
	unread bool
	// since are events of this process that were stored after the last reading began, and underWay those admitted of
	// which nothing is known yet.
	since, underWay int
}

// BacklogOptions are the parts and the settings of a Backlog.
type BacklogOptions struct {
	Counter Counter
	// Limit is how many events may wait; 0: any number.
	Limit int
	// Registerer takes the backlog's metric; nil: it is shown nowhere.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// NewBacklog returns a Backlog that takes the database's for empty until Read or Run has read it.
func NewBacklog(o BacklogOptions) *Backlog {
	b := &Backlog{counter: o.Counter, limit: o.Limit, log: o.Logger, gauge: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "waybill_backlog_events", Help: "Events accepted and not yet dispatched, counted up to the limit; without one, up to a million.",
	})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(b.gauge)
	}
	return b
}

// Run reads the backlog until the context is done.
func (b *Backlog) Run(ctx context.Context) {
	every(ctx, readInterval, func() { b.Read(ctx) })
}

// Read reads the backlog once. A failure is logged, and Admit heeds it.
func (b *Backlog) Read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	most := b.limit
	if most == 0 {
		most = DefaultMaxBacklog
	}
	b.mu.Lock()
	before := b.since // committed by now, so the count has them
	b.mu.Unlock()
	n, err := b.counter.CountDispatches(ctx, most)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if !b.unread && !errors.Is(ctx.Err(), context.Canceled) {
			b.log.Warn("the backlog cannot be read; trying on", "error", err)
		}
		b.unread = true
		return
	}
	b.report(n)
	b.read, b.unread, b.since = n, false, b.since-before
}

// report tells the operator of a reading.
func (b *Backlog) report(n int) {
	b.gauge.Set(float64(n))
	full, wasFull := n >= b.limit, b.read >= b.limit
	switch {
	case b.limit == 0 || full == wasFull:
	case full:
		b.log.Warn("the backlog is full; publications are answered with 429", "limit", b.limit)
	default:
		b.log.Info("the backlog has room again", "events", n, "limit", b.limit)
	}
}

// Admit makes room for events that are about to be stored. CodeBacklogFull: as many wait as may; CodeUnavailable: so it
// was when the backlog could last be read. A batch is let in whole while there is room for one event, or a large one
// might never be. Done has to follow.
func (b *Backlog) Admit(events int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch full := b.limit > 0 && b.read+b.since+b.underWay >= b.limit; {
	case full && b.unread:
		return webhook.Errorf(webhook.CodeUnavailable, "the database does not answer")
	case full:
		return webhook.Errorf(webhook.CodeBacklogFull,
			"%d events or more wait to be dispatched, so nothing was stored; send the request again, unchanged, after the seconds of Retry-After", b.limit)
	}
	b.underWay += events
	return nil
}

// Done says that the database has answered for events that were admitted, and how many of them wait now.
func (b *Backlog) Done(admitted, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay -= admitted
	b.since += waiting
}
