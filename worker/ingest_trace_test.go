package worker_test

import (
	"context"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"waybill/schemas"
	"waybill/store"
	"waybill/tracing"
	"waybill/webhook"
	"waybill/worker"
)

// rowByRow is an outbox whose first step fails for all its rows and then tries each alone. The third goes into quarantine, and the fourth is
// left to the next step.
type rowByRow struct {
	t     *testing.T
	mu    sync.Mutex
	steps int
	// traces are what each try of the first row was told to keep.
	traces []webhook.Traceparent
}

func (r *rowByRow) IngestOutbox(_ context.Context, in store.Ingestion) (store.Ingested, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps++
	rows := map[int][]int{1: {1, 2, 3, 4, 1, 2, 3, 4}, 2: {4}}[r.steps]
	for _, n := range rows {
		p, err := in.Prepare(&webhook.OutboxRow{Key: key(n), TenantID: "acme", Type: "item.sold", Data: []byte(`{}`), CreatedAt: time.Now()},
			&webhook.Tenant{ID: "acme", Dialect: "rheo"}, nil)
		require.NoError(r.t, err)
		if n == 1 {
			r.traces = append(r.traces, p.Traceparent)
		}
	}
	switch r.steps {
	case 1:
		in.Left(key(3), webhook.Errorf(webhook.CodeInvalid, "not an event"))
		in.Left(key(4), nil)
		return store.Ingested{Published: 2, Quarantined: 1}, nil
	case 2:
		return store.Ingested{Published: 1}, nil
	}
	return store.Ingested{}, nil
}

func (r *rowByRow) ListenOutbox(ctx context.Context, _ func()) { <-ctx.Done() }

// A row has one span, however often its step tries it, and one that does not become an event says so.
func TestIngester_OneSpanOfARow(t *testing.T) {
	t.Parallel()
	data, err := fs.ReadFile(schemas.Dialects(), "rheo.json")
	require.NoError(t, err)
	rheo, err := webhook.ParseDialect(data)
	require.NoError(t, err)
	spans := tracetest.NewSpanRecorder()
	outbox := &rowByRow{t: t}
	stop := background(t, worker.NewIngester(worker.IngesterOptions{
		Outbox: outbox, Schemas: anyData{}, Dialects: map[string]*webhook.Dialect{"rheo": rheo}, MaxBytes: 1000, Logger: slog.New(slog.DiscardHandler),
		Tracer: tracing.New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)), 1),
	}).Run)
	eventually(t, func() bool {
		outbox.mu.Lock()
		defer outbox.mu.Unlock()
		return outbox.steps >= 3
	})
	stop()
	of, failed := map[string]int{}, map[string]bool{}
	for _, s := range spans.Ended() {
		for _, a := range s.Attributes() {
			if s.Name() == "accept" && a.Key == "waybill.event.id" {
				of[a.Value.AsString()]++
				failed[a.Value.AsString()] = s.Status().Code == codes.Error
			}
		}
	}
	require.Equal(t, map[string]int{key(1).String(): 1, key(2).String(): 1, key(3).String(): 1, key(4).String(): 1}, of)
	require.Equal(t, map[string]bool{key(1).String(): false, key(2).String(): false, key(3).String(): true, key(4).String(): false}, failed)
	require.Equal(t, outbox.traces[0], outbox.traces[1])
	require.NotEmpty(t, outbox.traces[0])
}
