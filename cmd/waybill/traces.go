package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/net/http/httpguts"

	"waybill/tracing"
	"waybill/webhook"
)

// Limits of the export. What does not fit into the queue is dropped: nothing waits for a collector.
const (
	queuedSpans   = 4096
	exportSpans   = 512
	exportTimeout = 10 * time.Second
	// lastExport is for what is queued when the process stops.
	lastExport     = 3 * time.Second
	maxTraceValues = 32
)

// checkTraces checks what the export of traces needs.
func (s *settings) checkTraces(wrong func(variable, format string, args ...any)) {
	if u, err := url.Parse(s.TracesEndpoint); s.TracesEndpoint != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "") {
		wrong("WAYBILL_TRACES_ENDPOINT", "is an http or https URL without user name and query, such as http://collector:4318; what is secret goes into WAYBILL_TRACES_HEADERS")
	}
	var err error
	if s.traceHeaders, err = parseTraceHeaders(s.TracesHeaders); err != nil {
		wrong("WAYBILL_TRACES_HEADERS", "%s", err)
	}
	if s.TracesEndpoint == "" && s.TracesHeaders != "" {
		wrong("WAYBILL_TRACES_HEADERS", "is set without WAYBILL_TRACES_ENDPOINT, so that nothing would be traced")
	}
	if !(s.TracesRatio >= 0 && s.TracesRatio <= 1) {
		wrong("WAYBILL_TRACES_RATIO", "is from 0 to 1, not %v", s.TracesRatio)
	}
	if s.TracesCallerRate < 0 || s.TracesCallerRate > 100_000 {
		wrong("WAYBILL_TRACES_CALLER_RATE", "is from 0 to 100000, not %d", s.TracesCallerRate)
	}
	if len(s.TracesAttributes) > maxTraceValues {
		wrong("WAYBILL_TRACES_ATTRIBUTES", "has %d entries; %d is the limit", len(s.TracesAttributes), maxTraceValues)
	}
}

// parseTraceHeaders reads "name:value,name:value". Errors never show a value.
func parseTraceHeaders(text string) (map[string]string, error) {
	headers := map[string]string{}
	if text == "" {
		return headers, nil
	}
	for i, entry := range strings.Split(text, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(entry), ":")
		if value = strings.TrimSpace(value); !ok || value == "" || !httpguts.ValidHeaderFieldName(name) || !webhook.IsLine(value) {
			return nil, fmt.Errorf("has a bad entry %d: each is name:value", i+1)
		}
		headers[name] = value
	}
	if len(headers) > maxTraceValues {
		return nil, fmt.Errorf("has %d entries; %d is the limit", len(headers), maxTraceValues)
	}
	return headers, nil
}

// startTraces sets up the export of traces, where there is a collector, and returns what ends it.
func (p *process) startTraces(ctx context.Context) (end func(), err error) {
	counts := newSpanCounts(p.metrics)
	if p.TracesEndpoint == "" {
		return func() {}, nil
	}
	// What OpenTelemetry says by itself, such as of a file that it cannot read, would go to standard error in a form of its own.
	otel.SetLogger(logr.FromSlogHandler(p.log.Handler()))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { p.log.Warn("OpenTelemetry reports an error", "error", err) }))
	to := p.TracesEndpoint
	if u, err := url.Parse(to); err == nil && strings.Trim(u.Path, "/") == "" {
		to = u.JoinPath("v1", "traces").String()
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(to), otlptracehttp.WithHeaders(p.traceHeaders),
		otlptracehttp.WithTimeout(exportTimeout), otlptracehttp.WithCompression(otlptracehttp.GzipCompression), otlptracehttp.WithProxy(collectorProxy))
	if err != nil {
		return nil, fmt.Errorf("WAYBILL_TRACES_ENDPOINT: %w", err)
	}
	spans := newSpanExport(exporter, counts, p.traceHeaders, p.log)
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(p.TracesRatio))), sdktrace.WithResource(p.traceResource()),
		sdktrace.WithSpanProcessor(spans),
	)
	p.tracer = tracing.New(provider, p.TracesCallerRate)
	p.log.Info("traces are exported", "address", to, "percent", 100*p.TracesRatio)
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastExport)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			p.log.Warn("the last traces were not exported", "error", err)
		}
	}, nil
}

// collectorProxy is the proxy of the environment. A collector that leads elsewhere is not followed: it would get the headers, which may have
// a key, to wherever it likes, and a page that anybody may read would count as an answer.
func collectorProxy(r *http.Request) (*url.URL, error) {
	if r.Response != nil {
		return nil, fmt.Errorf("the collector answers %s, which is not followed", r.Response.Status)
	}
	return http.ProxyFromEnvironment(r)
}

func (p *process) traceResource() *resource.Resource {
	attributes := []attribute.KeyValue{attribute.String("service.name", p.TracesService), attribute.String("service.version", thisBuild().Version)}
	for name, value := range p.TracesAttributes {
		attributes = append(attributes, attribute.String(name, value))
	}
	return resource.NewSchemaless(attributes...)
}
