package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
)

func TestCountWaiting(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	got, err := b.CountWaiting(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, &store.Waiting{}, got)

	for range 4 {
		b.publish(publication("acme", ""))
	}
	b.exec(`UPDATE dispatches SET set_aside_at = now() WHERE event_key = (SELECT min(event_key::text)::uuid FROM dispatches)`)
	for position := range 3 {
		b.exec(`INSERT INTO outbox_quarantine (position, event_key, tenant_id, event_type, data, bytes, created_at, code, reason, quarantined_at)
			VALUES ($1, gen_random_uuid(), 'acme', 'a.b', '1', 1, now(), 'invalid', 'r', now())`, position+1)
	}
	got, err = b.CountWaiting(t.Context(), 10)
	require.NoError(t, err)
	var oldest time.Time
	require.NoError(t, b.db.Get(&oldest, `SELECT created_at FROM events ORDER BY id OFFSET 1 LIMIT 1`))
	require.True(t, oldest.Equal(*got.OldestAt), "what is set aside is not the oldest")
	got.OldestAt = nil
	require.Equal(t, &store.Waiting{Events: 4, SetAside: 1, Quarantined: 3}, got)

	got, err = b.CountWaiting(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, []int{2, 1, 2}, []int{got.Events, got.SetAside, got.Quarantined}, "no further than it was to count")

	plan := postgres.ExplainGeneric(t, b.Store, postgres.SelectWaiting)
	require.NotContains(t, plan, "Seq Scan", plan)
	require.NotContains(t, plan, "Sort", plan)
}
