package tracing

import (
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"waybill/webhook"
)

// Span is a span that was started. The zero Span is none.
type Span struct {
	span        trace.Span
	traceparent webhook.Traceparent
}

// Traceparent is what to keep with the event, or to send to the receiver; "": nothing.
func (s Span) Traceparent() webhook.Traceparent { return s.traceparent }

func (s Span) recording() bool { return s.span != nil && s.span.IsRecording() }

// Event says which event the span is about.
func (s Span) Event(e Event) {
	if s.recording() {
		s.span.SetAttributes(e.attributes()...)
	}
}

// Answered says how the receiver answered; a status code of 0: not at all.
func (s Span) Answered(statusCode int, class webhook.ErrorClass, status webhook.Status) {
	if !s.recording() {
		return
	}
	if statusCode != 0 {
		s.span.SetAttributes(attribute.Int("http.response.status_code", statusCode))
	}
	s.span.SetAttributes(attribute.String("waybill.delivery.status", string(status)))
	if class != "" {
		s.span.SetAttributes(attribute.String("error.type", string(class)))
		s.span.SetStatus(codes.Error, "")
	}
}

// End ends the span. Of an error it says the code alone: the text may have anything in it.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	s.fail(err)
	s.span.End()
}

func (s Span) fail(err error) {
	if err == nil || !s.recording() {
		return
	}
	kind := "other"
	if known := (*webhook.Error)(nil); errors.As(err, &known) {
		kind = string(known.Code)
	}
	s.span.SetAttributes(attribute.String("error.type", kind))
	s.span.SetStatus(codes.Error, "")
}

func spanContextOf(t webhook.Traceparent) trace.SpanContext {
	if t == "" {
		return trace.SpanContext{}
	}
	// A Traceparent is well-formed: webhook.ParseTraceparent made it, or traceparentOf.
	traceID, _ := trace.TraceIDFromHex(string(t[3:35]))
	spanID, _ := trace.SpanIDFromHex(string(t[36:52]))
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(t[54] - '0'), Remote: true})
}

func traceparentOf(c trace.SpanContext) webhook.Traceparent {
	if !c.IsValid() {
		return ""
	}
	return webhook.ParseTraceparent("00-" + c.TraceID().String() + "-" + c.SpanID().String() + "-" + c.TraceFlags().String())
}
