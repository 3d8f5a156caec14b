package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/webhook"
)

// settled is what the metric says.
func settled(t *testing.T, r *prometheus.Registry, delivered, exhausted, canceled string) {
	t.Helper()
	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`
# HELP waybill_deliveries_settled_total Deliveries settled, by status. One that was opened again counts each time; tests do not count.
# TYPE waybill_deliveries_settled_total counter
waybill_deliveries_settled_total{status="canceled"} `+canceled+`
waybill_deliveries_settled_total{status="delivered"} `+delivered+`
waybill_deliveries_settled_total{status="exhausted"} `+exhausted+`
`), "waybill_deliveries_settled_total"))
}

// latencies returns the histogram of what the first attempt, or a later one, delivered.
func latencies(t *testing.T, r *prometheus.Registry, attempt string) *dto.Histogram {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "waybill_delivery_latency_seconds" && m.GetLabel()[0].GetValue() == attempt {
				return m.GetHistogram()
			}
		}
	}
	require.FailNow(t, "there is no such histogram", attempt)
	return nil
}

func TestMetrics_Settled(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	b := setup(t, func(o *postgres.Options) { o.Registerer = r })
	settled(t, r, "0", "0", "0")
	b.tenant("acme")
	e := b.endpoint("acme")

	first := b.dispatched()
	b.record(record("acme", first, 1, webhook.StatusDelivered))
	b.record(record("acme", first, 1, webhook.StatusDelivered)) // the same attempt again
	later := b.retrying(now())
	settled(t, r, "1", "0", "0")
	b.record(record("acme", later, 2, webhook.StatusDelivered))
	exhausted := b.retrying(now())
	b.record(record("acme", exhausted, 2, webhook.StatusExhausted))
	settled(t, r, "2", "1", "0")

	// Of what a person cancels, only what was not settled counts, and an attempt that ends afterwards settles nothing more.
	given := b.dispatched()
	_, err := b.CancelDelivery(t.Context(), "acme", given, "obsolete", now())
	require.NoError(t, err)
	_, err = b.CancelDelivery(t.Context(), "acme", given, "obsolete", now())
	require.Error(t, err)
	b.record(record("acme", given, 1, webhook.StatusExhausted))
	settled(t, r, "2", "1", "1")

	// What is held for too long, and what waits for an endpoint that is deleted.
	b.held(e.ID)
	b.exec(`UPDATE deliveries SET held_at = now() - interval '2 hours' WHERE status = 'held'`)
	_, err = b.ExpireHeld(t.Context(), map[string]time.Duration{"standard": time.Hour}, now(), 10)
	require.NoError(t, err)
	settled(t, r, "2", "1", "2")
	b.held(e.ID)
	err = b.DeleteEndpoint(t.Context(), "acme", e.ID, now())
	require.NoError(t, err)
	_, _, err = b.CancelDeliveriesOfDeleted(t.Context(), "acme", e.ID, "deleted", now(), 10)
	require.NoError(t, err)
	settled(t, r, "2", "1", "3")

	require.EqualValues(t, 1, latencies(t, r, "first").GetSampleCount())
	require.EqualValues(t, 1, latencies(t, r, "later").GetSampleCount())

	// What an endpoint's queue delivers with the first attempt was held, or missed, for as long as people took.
	on := b.endpoint("acme")
	waited := b.held(on.ID)
	b.enable(on.ID)
	require.Len(t, b.claimQueue(on.ID, 1), 1)
	queued := record("acme", waited.ID, 1, webhook.StatusDelivered)
	queued.Queued = true
	b.record(queued)
	settled(t, r, "3", "1", "3")
	require.EqualValues(t, 1, latencies(t, r, "first").GetSampleCount())
	require.EqualValues(t, 2, latencies(t, r, "later").GetSampleCount())
	require.NotNil(t, latencies(t, r, "first").Schema, "native, too")
	require.NotEmpty(t, latencies(t, r, "first").GetBucket(), "and classic")
	problems, err := testutil.GatherAndLint(r)
	require.NoError(t, err)
	require.Empty(t, problems)
}
