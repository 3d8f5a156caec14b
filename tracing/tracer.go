package tracing

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"waybill/webhook"
)

// Tracer starts spans. The nil Tracer starts none, allocates nothing, and leaves every traceparent as it is. It is safe for concurrent use.
type Tracer struct {
	tracer trace.Tracer
	// callers bounds how many events are traced because their producers said so.
	callers *rate.Limiter
}

// mostEvents is how many events one request publishes at most: what the rate of callers lets through at once.
const mostEvents = 500

// New returns a Tracer. callers is for how many events a second this process follows producers that want them traced; the others are in
// their producers' traces too, but record nothing.
func New(p trace.TracerProvider, callers int) *Tracer {
	burst := 0
	if callers > 0 {
		burst = max(callers, mostEvents)
	}
	return &Tracer{p.Tracer("waybill"), rate.NewLimiter(rate.Limit(callers), burst)}
}

// Event is what spans say of an event.
type Event struct{ Tenant, ID, Type string }

func (e Event) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("waybill.tenant", e.Tenant), attribute.String("waybill.event.id", e.ID), attribute.String("waybill.event.type", e.Type),
	}
}

// Accept starts the span of a publication of so many events, below the producer's. route is the path template of the request; "": the
// events come from the outbox. The Span has the Traceparent to keep with the events.
func (t *Tracer) Accept(ctx context.Context, from webhook.Traceparent, route string, events int) (context.Context, Span) {
	if t == nil {
		return ctx, Span{traceparent: from}
	}
	parent := spanContextOf(from)
	if parent.IsSampled() && !t.callers.AllowN(time.Now(), events) {
		parent = parent.WithTraceFlags(parent.TraceFlags().WithSampled(false))
	}
	name, kind := "accept", trace.SpanKindConsumer
	if route != "" {
		name, kind = "POST "+route, trace.SpanKindServer
	}
	ctx, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, parent), name, trace.WithSpanKind(kind))
	if span.IsRecording() {
		span.SetAttributes(attribute.Int("waybill.events", events))
		if route != "" {
			span.SetAttributes(attribute.String("http.request.method", "POST"), attribute.String("http.route", route))
		}
	}
	out := Span{span: span}
	if from != "" || span.SpanContext().IsSampled() { // what nobody traces writes nothing
		out.traceparent = traceparentOf(span.SpanContext())
	}
	return ctx, out
}

// Dispatch starts the span of a dispatch of an event that is in a trace.
func (t *Tracer) Dispatch(ctx context.Context, of webhook.Traceparent, e Event, express bool) (context.Context, Span) {
	if t == nil || of == "" {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, spanContextOf(of)), "dispatch")
	if span.IsRecording() {
		span.SetAttributes(append(e.attributes(), attribute.Bool("waybill.express", express))...)
	}
	return ctx, Span{span: span}
}

// Workflow writes the span of a workflow's run that has ended, below what started it.
func (t *Tracer) Workflow(of webhook.Traceparent, name string, started, ended time.Time, err error) {
	if t == nil || of == "" {
		return
	}
	_, span := t.tracer.Start(trace.ContextWithRemoteSpanContext(context.Background(), spanContextOf(of)), "workflow", trace.WithTimestamp(started))
	span.SetAttributes(attribute.String("waybill.workflow", name))
	s := Span{span: span}
	s.fail(err)
	span.End(trace.WithTimestamp(ended))
}

// Drain starts the span of a drain of an endpoint's queue: a trace of its own, which its attempts link to, because each of them is in
// its own event's.
func (t *Tracer) Drain(ctx context.Context, tenant string, endpoint webhook.EndpointID) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, "drain", trace.WithNewRoot())
	if span.IsRecording() {
		span.SetAttributes(attribute.String("waybill.tenant", tenant), attribute.String("waybill.endpoint.id", endpoint.String()))
	}
	return ctx, Span{span: span}
}

// Record starts the span of the record of an attempt, which includes the wait for a shared transaction.
func (t *Tracer) Record(ctx context.Context) (context.Context, Span) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, Span{}
	}
	ctx, span := t.tracer.Start(ctx, "record")
	return ctx, Span{span: span}
}

// maxLinks bounds the links of a span.
const maxLinks = 128

// Shared starts the span of work that serves many at once. It is below the first of them that is traced, has links to the others, and
// they to it.
func (t *Tracer) Shared(ctx context.Context, name string, of []context.Context) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	var traced []trace.Span
	var seen map[trace.SpanID]bool // the events of a batch have one span
	for _, one := range of {
		span := trace.SpanFromContext(one)
		c := span.SpanContext()
		if !c.IsSampled() || seen[c.SpanID()] || len(traced) > maxLinks {
			continue
		}
		if seen == nil {
			seen = map[trace.SpanID]bool{}
		}
		seen[c.SpanID()] = true
		traced = append(traced, span)
	}
	if len(traced) == 0 {
		return ctx, Span{}
	}
	links := make([]trace.Link, len(traced)-1)
	for i, span := range traced[1:] {
		links[i] = trace.Link{SpanContext: span.SpanContext()}
	}
	ctx, shared := t.tracer.Start(trace.ContextWithSpan(ctx, traced[0]), name, trace.WithLinks(links...))
	shared.SetAttributes(attribute.Int("waybill.shared_by", len(of)))
	for _, span := range traced[1:] {
		span.AddLink(trace.Link{SpanContext: shared.SpanContext()})
	}
	return ctx, Span{span: shared}
}
