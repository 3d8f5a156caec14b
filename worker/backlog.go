package worker

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/turns"
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
//
// Tenants share it as turns.Fits says, in a place of twice the limit: one alone may use all of the limit, and who has little waiting is
// not refused because of others. Nothing refuses what is published with SQL, so a tenant may have more than the limit: it then counts as
// one that has as much as the others may have.
type Backlog struct {
	counter Counter
	limit   int
	gauge   prometheus.Gauge
	log     *slog.Logger

	mu sync.Mutex
	// read is the last reading, and unlisted what it has of tenants that it does not name.
	read, unlisted int
	// unread is true after a reading failed.
	unread bool
	// of is what waits of each tenant. taken is what all have that have no more than the limit, and beyond how many have more.
	of            map[string]ofTenant
	taken, beyond int
}

// ofTenant is what waits of one tenant. since counts the events that this process stored after the last reading began. underWay counts
// those that were admitted and are not known to be stored.
type ofTenant struct{ read, since, underWay int }

func (t ofTenant) all() int { return t.read + t.since + t.underWay }

// BacklogOptions are the dependencies and the settings of a Backlog.
type BacklogOptions struct {
	Counter Counter
	// Limit is how many events of one tenant may wait while nobody else's do; 0: no limit.
	Limit int
	// Registerer registers the metric; nil: it is not exported.
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// NewBacklog returns a Backlog that counts as empty until Read or Run has read it.
func NewBacklog(o BacklogOptions) *Backlog {
	b := &Backlog{counter: o.Counter, limit: o.Limit, log: o.Logger, of: map[string]ofTenant{}, gauge: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "waybill_backlog_events", Help: "Events accepted and not yet dispatched, of each tenant counted up to the limit; without a limit, up to a million.",
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
	each := b.limit + 1 // one more tells who has more
	if b.limit == 0 {
		each = DefaultMaxBacklog
	}
	before := b.stored() // it is committed, so the count includes it
	counted, err := b.counter.CountDispatches(ctx, each)
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
	b.report(counted.All)
	b.read, b.unread = counted.All, false
	for tenant, n := range before {
		b.add(tenant, ofTenant{since: -n})
	}
	b.takeReading(counted.Of)
}

// stored returns what each tenant has stored since the last reading.
func (b *Backlog) stored() map[string]int {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]int{}
	for tenant, of := range b.of {
		if of.since > 0 {
			out[tenant] = of.since
		}
	}
	return out
}

// takeReading replaces what was read of each tenant. Tenants of which nothing is known any more are forgotten.
func (b *Backlog) takeReading(counted map[string]int) {
	for tenant, of := range b.of {
		if _, still := counted[tenant]; !still {
			b.add(tenant, ofTenant{read: -of.read})
		}
	}
	b.unlisted = b.read
	for tenant, n := range counted {
		b.add(tenant, ofTenant{read: n - b.of[tenant].read})
		b.unlisted -= n
	}
}

// add adds to what waits of a tenant.
func (b *Backlog) add(tenant string, more ofTenant) {
	of := b.of[tenant]
	b.take(of.all(), -1)
	of.read, of.since, of.underWay = of.read+more.read, of.since+more.since, of.underWay+more.underWay
	b.take(of.all(), 1)
	if of == (ofTenant{}) {
		delete(b.of, tenant)
		return
	}
	b.of[tenant] = of
}

// take counts n events of one tenant, or with -1 does not count them any more.
func (b *Backlog) take(n, times int) {
	if n > b.limit {
		b.beyond += times
	} else {
		b.taken += n * times
	}
}

// report logs when the backlog becomes full and when it has room again.
func (b *Backlog) report(n int) {
	b.gauge.Set(float64(n))
	full, wasFull := n >= b.limit, b.read >= b.limit
	switch {
	case b.limit == 0 || full == wasFull:
	case full:
		b.log.Warn("the backlog is full; publications of tenants that have more than their share waiting are answered with 429", "limit", b.limit)
	default:
		b.log.Info("the backlog has room again", "events", n, "limit", b.limit)
	}
}

// Admit makes room for a tenant's events that are about to be stored. CodeBacklogFull: no more of this tenant may wait. CodeUnavailable:
// the backlog cannot be read, and there was no room at the last reading. A batch is admitted whole while there is room for one event,
// because a large one might never be admitted otherwise. The caller must call Done afterwards.
func (b *Backlog) Admit(tenant string, events int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := b.of[tenant].all()
	// Those beyond the limit and this one have as much as each other at most.
	switch full := b.limit > 0 && !turns.Fits(held*(b.beyond+1), b.taken+b.unlisted, 2*b.limit); {
	case full && b.unread:
		return webhook.Errorf(webhook.CodeUnavailable, "the database does not answer")
	case full:
		return webhook.Errorf(webhook.CodeBacklogFull,
			"%d events of this tenant wait to be dispatched, which is its share, so nothing was stored; send the request again, unchanged, after the seconds of Retry-After", held)
	}
	b.add(tenant, ofTenant{underWay: events})
	return nil
}

// Limit returns how many events of one tenant may wait while nobody else's do; 0: no limit.
func (b *Backlog) Limit() int { return b.limit }

// Done records the database's answer for admitted events: how many of them wait to be dispatched.
func (b *Backlog) Done(tenant string, admitted, waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(tenant, ofTenant{since: waiting, underWay: -admitted})
}
