package worker

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/webhook"
)

const (
	readInterval = time.Second
	// readTimeout bounds one count of the backlog. Counting a million events takes a tenth of a second.
	readTimeout = 5 * time.Second
	// DefaultMaxBacklog is the default limit. The metric counts a backlog without a limit up to this number too.
	DefaultMaxBacklog = 1_000_000
)

// Backlog bounds the events that are accepted and not yet dispatched. It reads their number once a second and adds what
// this process accepts in between, so one process exceeds the limit by the rest of one batch at most. Events of other
// processes and events published with SQL appear at the next reading, so they can exceed the limit by what they store in a
// second. Backlog does not subtract what was dispatched since the reading, so a limit below a few seconds' events refuses
// early. Events that are set aside count, because nothing else bounds them.
type Backlog struct {
	counter Counter
	limit   int
	gauge   prometheus.Gauge
	log     *slog.Logger

	mu   sync.Mutex
	read int // the last reading
	// unread is true after a reading failed.
	unread bool
	// since counts the events that this process stored after the last reading began. underWay counts those that were
	// admitted and are not known to be stored.
	since, underWay int
}

// BacklogOptions are the dependencies and the settings of a Backlog.
type BacklogOptions struct {
	Counter Counter
	// Limit is how many events may wait; 0: no limit.
	Limit int
	// Registerer registers the metric; nil: it is not exported.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// NewBacklog returns a Backlog that counts as empty until Read or Run has read it.
func NewBacklog(o BacklogOptions) *Backlog {
	b := &Backlog{counter: o.Counter, limit: o.Limit, log: o.Logger, gauge: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "waybill_backlog_events", Help: "Events accepted and not yet dispatched, counted up to the limit; without a limit, up to a million.",
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

// Read reads the backlog once. It logs a failure. After a failure Admit may answer CodeUnavailable.
func (b *Backlog) Read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	most := b.limit
	if most == 0 {
		most = DefaultMaxBacklog
	}
	b.mu.Lock()
	before := b.since // they are committed, so the count includes them
	b.mu.Unlock()
	n, err := b.counter.CountDispatches(ctx, most)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		if !b.unread && !errors.Is(ctx.Err(), context.Canceled) {
			b.log.Warn("the backlog cannot be read; still trying", "error", err)
		}
		if b.unread { // not for a single reading that took too long: the next comes within seconds
			b.gauge.Set(math.NaN())
		}
		b.unread = true
		return
	}
	b.report(n)
	b.read, b.unread, b.since = n, false, b.since-before
}

// report logs when the backlog becomes full and when it has room again.
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
// backlog cannot be read and was full at the last reading. A batch is admitted whole while there is room for one event,
// because a large one might never be admitted otherwise. The caller must call Done afterwards.
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

// Limit returns how many events may wait; 0: no limit.
func (b *Backlog) Limit() int { return b.limit }

// Done records the database's answer for admitted events: how many of them wait to be dispatched.
func (b *Backlog) Done(admitted, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay -= admitted
	b.since += waiting
}
