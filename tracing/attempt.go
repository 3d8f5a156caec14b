package tracing

import (
	"context"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"waybill/webhook"
)

// Attempt is what the span of an attempt says.
type Attempt struct {
	Event    Event
	Delivery webhook.DeliveryID
	Endpoint webhook.EndpointID
	Number   int
	// URL is where it goes. The span has its host and port alone.
	URL string
}

// Attempt starts the span of an attempt of an event that is in a trace: below what began it where that is in the event's trace, otherwise
// below the event's own, with a link to what began it. The Span has the Traceparent to send.
func (t *Tracer) Attempt(ctx context.Context, of webhook.Traceparent, a Attempt) (context.Context, Span) {
	if t == nil || of == "" {
		return ctx, Span{traceparent: of}
	}
	event, begun := spanContextOf(of), trace.SpanContextFromContext(ctx)
	var links []trace.Link
	if begun.TraceID() != event.TraceID() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, event)
		if begun.IsSampled() {
			links = []trace.Link{{SpanContext: begun}}
		}
	}
	ctx, span := t.tracer.Start(ctx, "attempt", trace.WithSpanKind(trace.SpanKindClient), trace.WithLinks(links...))
	if span.IsRecording() {
		span.SetAttributes(append(a.Event.attributes(),
			attribute.String("waybill.delivery.id", a.Delivery.String()), attribute.String("waybill.endpoint.id", a.Endpoint.String()),
			attribute.Int("waybill.attempt.number", a.Number), attribute.String("http.request.method", "POST"))...)
		if a.Number > 1 {
			span.SetAttributes(attribute.Int("http.request.resend_count", a.Number-1))
		}
		if u, err := url.Parse(a.URL); err == nil {
			span.SetAttributes(attribute.String("server.address", u.Hostname()), attribute.Int("server.port", portOf(u)))
		}
	}
	return ctx, Span{span: span, traceparent: traceparentOf(span.SpanContext())}
}

// portOf is the port that a URL is called at.
func portOf(u *url.URL) int {
	if port, err := strconv.Atoi(u.Port()); err == nil {
		return port
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}
