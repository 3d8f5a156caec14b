package postgres_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// BenchmarkRecordAttempt is what the happy path pays, and what one pays whose attempts fail: groups of first attempts to eight endpoints.
// It also reports what one group writes to the log of the database.
func BenchmarkRecordAttempt(bench *testing.B) {
	for _, status := range []webhook.Status{webhook.StatusDelivered, webhook.StatusRetrying} {
		benchmarkRecordAttempt(bench, status)
	}
}

func benchmarkRecordAttempt(bench *testing.B, status webhook.Status) {
	for _, size := range []int{1, 64} {
		bench.Run(fmt.Sprintf("%s, group of %d", status, size), func(bench *testing.B) {
			b := setup(bench)
			b.tenant("acme")
			var endpoints []webhook.EndpointID
			for range 8 {
				endpoints = append(endpoints, b.endpoint("acme").ID)
			}
			groups := make([][]*store.Record, bench.N)
			for i := range groups {
				groups[i] = b.pendingRecords(endpoints, size, status)
			}
			bench.ResetTimer()
			for _, group := range groups {
				postgres.RecordRun(bench, b.Store, group)
			}
			bench.ReportMetric(float64(bench.Elapsed().Microseconds())/float64(bench.N)/1000, "ms/group")
			bench.ReportMetric(float64(b.walOfRecords(endpoints, size, status)), "wal-bytes/group")
		})
	}
}

// walOfRecords is the least of what some groups write to the log of the database, to which others write at the same time.
func (b *bundle) walOfRecords(endpoints []webhook.EndpointID, size int, status webhook.Status) int {
	b.t.Helper()
	var written []int
	for range 50 {
		group := b.pendingRecords(endpoints, size, status)
		before := postgres.WALPosition(b.t, b.Store)
		postgres.RecordRun(b.t, b.Store, group)
		written = append(written, postgres.WALPosition(b.t, b.Store)-before)
	}
	return slices.Min(written)
}

// pendingRecords inserts n deliveries of acme, and returns the record of each one's first attempt. One that failed goes to its endpoint's
// queue, as in express mode.
func (b *bundle) pendingRecords(endpoints []webhook.EndpointID, n int, status webhook.Status) []*store.Record {
	b.t.Helper()
	out := make([]*store.Record, n)
	tx := b.db.MustBegin()
	for i := range out {
		id := webhook.NewID[webhook.DeliveryID](uuid.Must(uuid.NewV7()))
		tx.MustExec(`
			INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, created_at, updated_at)
			VALUES ($1::uuid, 'acme', $1::uuid, $1::text, 'order.confirmed', $2, now(), now())`, id.UUID(), endpoints[i%len(endpoints)])
		out[i] = record("acme", id, 1, status)
		out[i].Queued = status == webhook.StatusRetrying
	}
	require.NoError(b.t, tx.Commit())
	return out
}
