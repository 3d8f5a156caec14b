package tracing

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"waybill/webhook"
)

// Current returns the Traceparent of the span that a context has, where that is recorded; "" otherwise, so that what nobody records is
// carried nowhere.
func Current(ctx context.Context) webhook.Traceparent {
	c := trace.SpanContextFromContext(ctx)
	if !c.IsSampled() {
		return ""
	}
	return traceparentOf(c)
}

// Continue returns a context that goes on below what another process began.
func Continue(ctx context.Context, from webhook.Traceparent) context.Context {
	return trace.ContextWithRemoteSpanContext(ctx, spanContextOf(from))
}
