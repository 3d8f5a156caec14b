package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"waybill/webhook"
)

// maxExportError bounds what the log says of a collector, which may answer with a page.
const maxExportError = 500

// spanExport bounds the spans that wait for a collector and counts what becomes of all. What does not fit is dropped: nothing waits for a
// collector.
type spanExport struct {
	// processor hands spans to the exporter. It never has more of them than its queue holds, so that it drops none uncounted.
	sdktrace.SpanProcessor
	exporter sdktrace.SpanExporter
	counts   *spanCounts
	waiting  atomic.Int64
	// failing says that the latest export failed.
	failing atomic.Bool
	// secrets are not to be in the log, whatever a collector answers.
	secrets []string
	log     *slog.Logger
}

// spanCounts are the metrics of the export.
type spanCounts struct{ exported, dropped, failed prometheus.Counter }

// newSpanCounts registers the metrics, so that zero is visible.
func newSpanCounts(r prometheus.Registerer) *spanCounts {
	spans := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "waybill_trace_spans_total",
		Help: "Spans by what became of them: exported, dropped because too many waited for the collector, or failed because it did not take them.",
	}, []string{"result"})
	r.MustRegister(spans)
	return &spanCounts{spans.WithLabelValues("exported"), spans.WithLabelValues("dropped"), spans.WithLabelValues("failed")}
}

// newSpanExport returns what spans are given to. headers are those for the collector, whose values are secrets.
func newSpanExport(to sdktrace.SpanExporter, counts *spanCounts, headers map[string]string, log *slog.Logger) *spanExport {
	e := &spanExport{exporter: to, counts: counts, secrets: slices.Collect(maps.Values(headers)), log: log}
	e.SpanProcessor = sdktrace.NewBatchSpanProcessor(batchExporter{e},
		sdktrace.WithMaxQueueSize(queuedSpans), sdktrace.WithMaxExportBatchSize(exportSpans), sdktrace.WithExportTimeout(exportTimeout))
	return e
}

// OnEnd implements sdktrace.SpanProcessor.
func (e *spanExport) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if e.waiting.Add(1) > queuedSpans {
		e.waiting.Add(-1)
		e.counts.dropped.Inc()
		return
	}
	e.SpanProcessor.OnEnd(s)
}

// batchExporter is what the processor calls.
type batchExporter struct{ of *spanExport }

// ExportSpans implements sdktrace.SpanExporter. It logs an outage of the collector once, and keeps it from OpenTelemetry's global error
// handler.
func (b batchExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e := b.of
	err := e.exporter.ExportSpans(ctx, spans)
	n := len(spans)
	e.waiting.Add(-int64(n))
	if err != nil {
		e.counts.failed.Add(float64(n))
		if !e.failing.Swap(true) {
			e.log.Warn("traces cannot be exported and are dropped; deliveries go on", "error", e.says(err))
		}
		return nil
	}
	e.counts.exported.Add(float64(n))
	if e.failing.Swap(false) {
		e.log.Info("traces are exported again")
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (b batchExporter) Shutdown(ctx context.Context) error { return b.of.exporter.Shutdown(ctx) }

// says is an error for the log.
func (e *spanExport) says(err error) string {
	text := fmt.Sprint(err)
	for _, secret := range e.secrets {
		text = strings.ReplaceAll(text, secret, "<secret>")
	}
	return webhook.CleanLine(text, maxExportError)
}
