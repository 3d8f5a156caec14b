package worker

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/store"
	"waybill/tracing"
	"waybill/webhook"
)

// Intervals of the ingester.
const (
	ingestRows = 256
	// notifyInterval is how long publish() sends no further notification after one. Rows that are committed in that time
	// arrive without a notification.
	notifyInterval = 50 * time.Millisecond
)

// Ingester publishes what producers wrote into the outbox in their own transactions. Several ingesters may run at once;
// each takes different rows.
type Ingester struct {
	opts IngesterOptions
	step store.Ingestion
	rows *prometheus.CounterVec
	// trimmed counts the rows that were deleted from a full quarantine.
	trimmed prometheus.Counter
	// accepting are the spans of the rows of a step, one of each, however often the step tries the row.
	accepting []accepting
}

// accepting is the span of one row, and its context. err is why the row does not become an event.
type accepting struct {
	row  webhook.EventKey
	ctx  context.Context
	span tracing.Span
	err  error
}

// IngesterOptions are the dependencies and the settings of an Ingester.
type IngesterOptions struct {
	Outbox   store.Outbox
	Schemas  webhook.Schemas
	Dialects map[string]*webhook.Dialect
	// MaxBytes bounds the size of one event: type, id, data and attributes together.
	MaxBytes int64
	// Registerer registers the metrics; nil: they are not exported.
	Registerer prometheus.Registerer
	// Tracer starts the spans of rows that become events; nil: there are none.
	Tracer *tracing.Tracer
	Logger *slog.Logger
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

func (o *IngesterOptions) setDefaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
}

// NewIngester returns an Ingester that does nothing before Run.
func NewIngester(o IngesterOptions) *Ingester {
	o.setDefaults()
	i := &Ingester{opts: o, rows: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_outbox_rows_total", Help: "Rows of the outbox that were ingested, by what became of them.",
	}, []string{"result"}), trimmed: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "waybill_quarantine_trimmed_total", Help: "Rows that were deleted from the quarantine because it was full.",
	})}
	i.step = store.Ingestion{
		Rows: ingestRows, RowBytes: o.MaxBytes, Dialects: slices.Sorted(maps.Keys(o.Dialects)), Prepare: i.prepare, Left: i.left,
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(i.rows, i.trimmed)
	}
	i.count(store.Ingested{})
	return i
}

// Run ingests until the context is done. Notifications make it quick; polling finds the rows that came without one.
func (i *Ingester) Run(ctx context.Context) {
	wake := make(chan struct{}, 1)
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() {
		i.opts.Outbox.ListenOutbox(ctx, func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		})
	})
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	drain := reporting(ctx, i.opts.Logger, "the outbox cannot be read; still trying", i.drain)
	for ctx.Err() == nil {
		drain()
		select {
		case <-ticker.C:
		case <-wake:
			i.drainAfterNotification(ctx)
		case <-ctx.Done():
		}
	}
}

// drainAfterNotification ingests at once, and again after notifyInterval for the rows that came without a notification.
func (i *Ingester) drainAfterNotification(ctx context.Context) {
	_ = i.drain(ctx) // the next call reports the failure
	select {
	case <-time.After(notifyInterval):
	case <-ctx.Done():
	}
}

// drain ingests until no row is left that this process can ingest: until in a round of all tenants nothing left the outbox. The error is
// that of the last round. Where rows keep coming, it returns one after a while all the same, because nobody else would report it.
func (i *Ingester) drain(ctx context.Context) error {
	until := time.Now().Add(pollInterval)
	for ctx.Err() == nil {
		settled, err := i.round(ctx)
		if settled == 0 || err != nil && time.Now().After(until) {
			return err
		}
	}
	return nil
}

// round ingests a step of each tenant, past those that fail, and returns how many rows left the outbox and the first failure.
func (i *Ingester) round(ctx context.Context) (settled int, failure error) {
	for i.step.After = ""; ctx.Err() == nil; {
		done, err := i.opts.Outbox.IngestOutbox(ctx, i.step)
		i.endSpans(err)
		i.count(done)
		if done.Quarantined > 0 {
			i.opts.Logger.Warn("rows of the outbox are in quarantine: see GET /v1/quarantine", "rows", done.Quarantined)
		}
		settled, failure = settled+done.Settled(), cmp.Or(failure, err)
		if i.step.After = done.Next; i.step.After == "" {
			break
		}
	}
	return settled, failure
}

func (i *Ingester) count(done store.Ingested) {
	i.rows.WithLabelValues("published").Add(float64(done.Published))
	i.rows.WithLabelValues("repeated").Add(float64(done.Repeated))
	i.rows.WithLabelValues("quarantined").Add(float64(done.Quarantined))
	i.trimmed.Add(float64(done.Trimmed))
}

// prepare checks a row as the API checks a request. A row that causes a panic goes into quarantine.
func (i *Ingester) prepare(row *webhook.OutboxRow, t *webhook.Tenant, own *webhook.OwnType) (p *webhook.Publication, err error) {
	d, ok := i.opts.Dialects[t.Dialect]
	if !ok { // another process, with another catalogue, created the tenant
		return nil, webhook.Errorf(webhook.CodeUnavailable, "the dialect %q is not loaded here", t.Dialect)
	}
	err = safely(i.opts.Logger, func() (err error) {
		p, err = row.Publication(t, d, own, i.opts.Schemas, i.opts.Now().UTC().Truncate(time.Microsecond))
		return err
	})
	if err == nil {
		i.trace(p)
	}
	return p, err
}

// trace starts the span of a row, which is the event's trace from then on.
func (i *Ingester) trace(p *webhook.Publication) {
	if i.opts.Tracer == nil {
		return
	}
	if at := i.tracedAt(p.Event.Key); at >= 0 { // the step tries each row alone now
		p.Traceparent, i.accepting[at].err = i.accepting[at].span.Traceparent(), nil
		return
	}
	ctx, span := i.opts.Tracer.Accept(context.Background(), p.Traceparent, "", 1)
	span.Event(tracing.Event{Tenant: p.Event.TenantID, ID: p.Event.ID, Type: p.Event.Type})
	p.Traceparent = span.Traceparent()
	i.accepting = append(i.accepting, accepting{row: p.Event.Key, ctx: ctx, span: span})
}

func (i *Ingester) tracedAt(row webhook.EventKey) int {
	return slices.IndexFunc(i.accepting, func(a accepting) bool { return a.row == row })
}

// left notes what becomes of a row that is no event. The span of one that a later step takes is forgotten: that step starts it anew.
func (i *Ingester) left(row webhook.EventKey, err error) {
	switch at := i.tracedAt(row); {
	case at < 0:
	case err == nil:
		i.accepting = slices.Delete(i.accepting, at, at+1)
	default:
		i.accepting[at].err = err
	}
}

// endSpans ends those of a step, with a span of what they shared.
func (i *Ingester) endSpans(err error) {
	if len(i.accepting) == 0 {
		return
	}
	contexts := make([]context.Context, len(i.accepting))
	for n, a := range i.accepting {
		contexts[n] = a.ctx
	}
	_, shared := i.opts.Tracer.Shared(context.Background(), "ingest", contexts)
	shared.End(err)
	for _, a := range i.accepting {
		if err != nil {
			a.err = err
		}
		a.span.End(a.err)
	}
	i.accepting = nil
}
