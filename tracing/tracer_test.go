package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"waybill/tracing"
	"waybill/webhook"
)

const (
	wanted   webhook.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	unwanted webhook.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

func setup(callers int, root sdktrace.Sampler) (*tracing.Tracer, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	return tracing.New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sdktrace.ParentBased(root))), callers), spans
}

// Traces that are off cost no allocation, and leave a producer's as it is.
func TestTracer_Off(t *testing.T) { // not parallel: it counts allocations
	var off *tracing.Tracer
	ctx := t.Context()
	event := tracing.Event{Tenant: "acme", ID: "evt_1", Type: "a.b"}
	failed := errors.New("x")
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_, accept := off.Accept(ctx, wanted, "/v1", 1)
		accept.Event(event)
		accept.End(failed)
		_, dispatch := off.Dispatch(ctx, wanted, event, false)
		dispatch.End(nil)
		_, attempt := off.Attempt(ctx, wanted, tracing.Attempt{Event: event, Number: 2, URL: "https://example.com"})
		attempt.Answered(500, webhook.ErrorHTTPStatus, webhook.StatusRetrying)
		_, record := off.Record(ctx)
		record.End(nil)
		attempt.End(failed)
	}))
	_, span := off.Attempt(ctx, wanted, tracing.Attempt{})
	require.Equal(t, wanted, span.Traceparent())
}

// A caller's wish is followed up to the rate. Beyond it the ids go on, and nothing is recorded.
func TestTracer_Accept_CallerRate(t *testing.T) {
	t.Parallel()
	tracer, spans := setup(1, sdktrace.NeverSample())
	_, batch := tracer.Accept(t.Context(), wanted, "/v1", 500)
	require.Regexp(t, "^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$", batch.Traceparent())
	_, beyond := tracer.Accept(t.Context(), wanted, "/v1", 500)
	require.Regexp(t, "^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-00$", beyond.Traceparent())
	require.NotContains(t, beyond.Traceparent(), "00f067aa0ba902b7")
	none, _ := setup(0, sdktrace.NeverSample())
	_, refused := none.Accept(t.Context(), wanted, "/v1", 1)
	require.Regexp(t, "-00$", refused.Traceparent())
	require.Len(t, spans.Started(), 1)
}

// Of what no producer traces, nothing is kept unless it is recorded. A producer that does not want it recorded is followed.
func TestTracer_Accept(t *testing.T) {
	t.Parallel()
	never, _ := setup(1, sdktrace.NeverSample())
	_, span := never.Accept(t.Context(), "", "/v1", 1)
	require.Empty(t, span.Traceparent())
	always, spans := setup(1, sdktrace.AlwaysSample())
	_, span = always.Accept(t.Context(), "", "/v1", 1)
	require.Regexp(t, "-01$", span.Traceparent())
	_, span = always.Accept(t.Context(), unwanted, "/v1", 1)
	require.Regexp(t, "^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-00$", span.Traceparent())
	require.Len(t, spans.Started(), 1)
}

// An attempt is in its event's trace, whatever made it: a drain of many events has a link and no child. It says the host and no more of
// a URL, and of an error its code alone.
func TestTracer_Attempt(t *testing.T) {
	t.Parallel()
	tracer, spans := setup(1, sdktrace.AlwaysSample())
	drain, draining := tracer.Drain(t.Context(), "acme", webhook.EndpointID{})
	_, queued := tracer.Attempt(drain, wanted, tracing.Attempt{URL: "https://user:pass@example.com:8443/secret-path?token=secret"})
	queued.Answered(0, webhook.ErrorTimeout, webhook.StatusRetrying)
	queued.End(errors.New("secret"))
	draining.End(nil)
	dispatch, dispatching := tracer.Dispatch(t.Context(), wanted, tracing.Event{}, true)
	_, direct := tracer.Attempt(dispatch, wanted, tracing.Attempt{URL: "http://example.com"})
	direct.End(nil)
	dispatching.End(nil)

	ended := spans.Ended()
	require.Equal(t, "00f067aa0ba902b7", ended[0].Parent().SpanID().String())
	require.Len(t, ended[0].Links(), 1)
	require.Equal(t, ended[1].SpanContext().SpanID(), ended[0].Links()[0].SpanContext.SpanID())
	require.Equal(t, ended[3].SpanContext().SpanID(), ended[2].Parent().SpanID())
	require.Empty(t, ended[2].Links())
	said := fmt.Sprint(ended[0].Attributes(), ended[0].Status(), ended[0].Events())
	require.Contains(t, said, "example.com")
	require.Contains(t, said, "8443")
	require.NotContains(t, said, "secret")
	require.NotContains(t, said, "pass")
}

// A transaction is below the first of those that share it, and links to the others, up to a bound.
func TestTracer_Shared(t *testing.T) {
	t.Parallel()
	tracer, spans := setup(1000, sdktrace.AlwaysSample())
	var of []context.Context
	var open []tracing.Span
	for range 200 {
		ctx, span := tracer.Accept(t.Context(), "", "/v1", 1)
		of, open = append(of, ctx), append(open, span)
	}
	_, shared := tracer.Shared(t.Context(), "record transaction", append([]context.Context{t.Context()}, of...))
	shared.End(nil)
	for _, span := range open {
		span.End(nil)
	}
	ended := spans.Ended()
	require.Equal(t, trace.SpanContextFromContext(of[0]).SpanID(), ended[0].Parent().SpanID())
	require.Len(t, ended[0].Links(), 128)
	require.Equal(t, ended[0].SpanContext().SpanID(), ended[2].Links()[0].SpanContext.SpanID())
	require.Empty(t, ended[1].Links(), "it is the parent")
}

// The events of a batch have one span, which is the parent of their transaction and no link of it.
func TestTracer_Shared_Batch(t *testing.T) {
	t.Parallel()
	tracer, spans := setup(1000, sdktrace.AlwaysSample())
	batch, open := tracer.Accept(t.Context(), "", "/v1", 3)
	alone, other := tracer.Accept(t.Context(), "", "/v1", 1)
	_, shared := tracer.Shared(t.Context(), "accept transaction", []context.Context{batch, batch, alone, batch})
	shared.End(nil)
	other.End(nil)
	open.End(nil)
	ended := spans.Ended()
	require.Equal(t, trace.SpanContextFromContext(batch).SpanID(), ended[0].Parent().SpanID())
	require.Len(t, ended[0].Links(), 1)
	require.Len(t, ended[1].Links(), 1)
	require.Empty(t, ended[2].Links())
}

// BenchmarkOff is what an event and its attempt pay for traces that are off.
func BenchmarkOff(b *testing.B) {
	var off *tracing.Tracer
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		_, accept := off.Accept(ctx, "", "/v1", 1)
		accept.End(nil)
		_, attempt := off.Attempt(ctx, "", tracing.Attempt{Number: 1})
		_, record := off.Record(ctx)
		record.End(nil)
		attempt.End(nil)
	}
}

// BenchmarkOn is the same with traces on, of an event that is recorded.
func BenchmarkOn(b *testing.B) {
	tracer := tracing.New(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.AlwaysSample())), 100)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		ctx, accept := tracer.Accept(ctx, "", "/v1", 1)
		accept.End(nil)
		ctx, attempt := tracer.Attempt(ctx, accept.Traceparent(), tracing.Attempt{Number: 1, URL: "https://example.com/hook"})
		_, record := tracer.Record(ctx)
		record.End(nil)
		attempt.End(nil)
	}
}
