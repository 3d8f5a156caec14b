package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

func TestCountTrouble(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	got, err := b.CountTrouble(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, &store.Trouble{}, got)

	for range 3 {
		b.retrying(now().Add(time.Hour))
	}
	b.record(record("acme", b.dispatched(), 1, webhook.StatusExhausted))
	b.record(record("acme", b.dispatched(), 1, webhook.StatusDelivered))
	b.held(e.ID)
	b.held(e.ID)
	b.exec(`DELETE FROM dispatches`)
	b.publish(publication("acme", ""))
	b.exec(`UPDATE events SET created_at = now() - interval '90 seconds' WHERE id = (SELECT event_key FROM dispatches)`)
	b.publish(publication("acme", ""))
	got, err = b.CountTrouble(t.Context(), 10)
	require.NoError(t, err)
	require.InDelta(t, 90, got.OldestSeconds, 20)
	require.Equal(t, []int{3, 2}, []int{got.Retrying, got.Held})

	got, err = b.CountTrouble(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []int{1, 1}, []int{got.Retrying, got.Held}, "no further than it was to count")
	plan := postgres.ExplainGeneric(t, b.Store, postgres.SelectTrouble)
	require.NotContains(t, plan, "Seq Scan", plan)
	require.NotContains(t, plan, "->  Sort", plan)
	require.Contains(t, plan, "next_attempt_at", plan)
	require.Contains(t, plan, "held_at", plan)
}

func TestWorstStreaks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	at := now()
	var all []*webhook.Endpoint
	for failures := range 4 {
		e := b.endpoint("acme")
		b.streak(e, failures, &at, nil)
		all = append(all, e)
	}
	got, err := b.WorstStreaks(t.Context(), 2)
	require.NoError(t, err)
	require.Equal(t, []store.EndpointStreak{
		{EndpointRef: store.EndpointRef{TenantID: "acme", ID: all[3].ID}, Failures: 3}, {EndpointRef: store.EndpointRef{TenantID: "acme", ID: all[2].ID}, Failures: 2},
	}, got)
	err = b.DeleteEndpoint(t.Context(), "acme", all[3].ID, at)
	require.NoError(t, err)
	got, err = b.WorstStreaks(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, got, 2, "one that was deleted, and one that works, have no streak")
}
