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
	// readTimeout bounds a reading. A million events take a tenth of a second.
	readTimeout = 5 * time.Second
	// DefaultMaxBacklog is also how far a backlog without a limit is counted for the metric.
	DefaultMaxBacklog = 1_000_000
)

// Backlog bounds the events that are accepted and not yet dispatched. It reads their number once a second and adds what this
// process accepts in between, so within a process only the rest of one batch exceeds the limit. Events of other processes, and
// those published by SQL, show at the next reading: what they store in a second comes on top. Backlog does not take off what was
// dispatched since the reading, so a limit below a few seconds' events sheds early. Events that are
// set aside count, because nothing else bounds them.
type Backlog struct {
	counter Counter
	limit   int
	gauge   prometheus.Gauge
	log     *slog.Logger

	mu   sync.Mutex
	read int // the last reading
	// unread is set after a reading that failed.
	unread bool
	// since counts the events of this process that were stored after the last reading began, underWay those that were admitted
	// and may be stored or not.
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

// NewBacklog returns a Backlog that is taken for empty until Read or Run has read it.
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

// Read reads the backlog once. It logs a failure, and Admit takes it into account.
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

// Admit makes room for events that are about to be stored. CodeBacklogFull: no more events may wait. CodeUnavailable: the
// backlog was full when it could last be read. A batch is admitted whole while there is room for one event, because a large one
// might never be admitted otherwise. The caller must call Done afterwards.
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

// Done takes the database's answer for events that were admitted: how many of them wait now.
func (b *Backlog) Done(admitted, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay -= admitted
	b.since += waiting
}
