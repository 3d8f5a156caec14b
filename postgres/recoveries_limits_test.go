package postgres_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

func TestRecovery_HasLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.fillUnsent(e.ID, webhook.MaxRecovery+1, "'exhausted'")
	r := recovery(e.ID)
	err := b.CreateRecovery(t.Context(), r, nil)
	requireCode(t, webhook.CodeInvalid, err)
	require.ErrorContains(t, err, fmt.Sprintf("matches %d deliveries", webhook.MaxRecovery+1))
	require.Equal(t, int64(webhook.MaxRecovery+1), must(b.CountRecovery(t.Context(), r)).Matched)
	b.exec(`DELETE FROM deliveries WHERE id = (SELECT id FROM deliveries LIMIT 1)`)
	b.start(r)
	require.Equal(t, int64(webhook.MaxRecovery), r.Matched)
}

func TestRecoveries_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e, other := b.endpoint("acme"), b.endpoint("acme")
	var ids []webhook.RecoveryID
	for range 3 {
		r := b.start(recovery(e.ID, func(r *webhook.Recovery) { r.Rate, r.Reason, r.EventTypes = 7, "outage", []string{"a.*"} }))
		b.advance(e.ID, 10)
		ids = append(ids, r.ID)
	}
	running := b.start(recovery(other.ID))
	slices.Reverse(ids)
	list := func(endpoint webhook.EndpointID, page store.Page) (found []webhook.RecoveryID) {
		t.Helper()
		for _, r := range must(b.Recoveries(t.Context(), "acme", store.RecoveryFilter{EndpointID: endpoint, Page: page})) {
			found = append(found, r.ID)
		}
		return found
	}
	require.Equal(t, append([]webhook.RecoveryID{running.ID}, ids...), list(webhook.EndpointID{}, store.Page{Limit: 10}))
	require.Equal(t, ids, list(e.ID, store.Page{Limit: 10}))
	require.Equal(t, ids[1:2], list(e.ID, store.Page{Limit: 1, After: ids[0].String()}))
	require.Empty(t, must(b.Recoveries(t.Context(), "other", store.RecoveryFilter{Page: store.Page{Limit: 10}})))
	got := b.findRecovery(ids[0])
	require.Equal(t, 7, got.Rate)
	require.Equal(t, "outage", got.Reason)
	require.Equal(t, []string{"a.*"}, got.EventTypes)
	require.Equal(t, webhook.RecoveryCompleted, got.Status, "nothing matched")
}

// A count reads what was not sent, and not what was delivered; the statement of a page reads about a page.
func TestRecovery_ReadsWhatItIsAbout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.fill(e.ID, 100)
	b.fillUnsent(e.ID, 30_000, "CASE n % 1000 WHEN 0 THEN 'exhausted' ELSE 'delivered' END")
	r := recovery(e.ID)
	query, args := postgres.CountQuery(r)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
	b.start(r)
	require.Equal(t, int64(30), r.Matched)
	query, args = postgres.AdvanceQuery(r, 10)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), 2*mostPages, "it writes, too")
	require.Len(t, b.queued(e.ID), 10)
	plan := postgres.ExplainGeneric(t, b.Store, postgres.UnattemptedQuery)
	require.Regexp(t, `Index Cond: \(endpoint_id = `, plan)
	for _, s := range b.scans(plan) {
		require.Equal(t, []string{"endpoint_id", "queue_due_at", "id"}, s.columns)
	}
}

// A repetition makes no second recovery, and gets the first answer even where the recovery could not be created now.
func TestCreateRecovery_Once(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	once := &store.Once{Scope: "acme", Hash: [32]byte{1}, Digest: [32]byte{2}, Answer: func() ([]byte, error) { return []byte("first"), nil }}
	require.NoError(t, b.CreateRecovery(t.Context(), recovery(e.ID), once))
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	var again *store.Repetition
	require.ErrorAs(t, b.CreateRecovery(t.Context(), recovery(e.ID), once), &again)
	require.Equal(t, "first", string(again.Answer))
	once.Digest = [32]byte{3}
	requireCode(t, webhook.CodeIdempotencyConflict, b.CreateRecovery(t.Context(), recovery(e.ID), once))
	require.Len(t, must(b.Recoveries(t.Context(), "acme", store.RecoveryFilter{EndpointID: e.ID, Page: store.Page{Limit: 10}})), 1)
}
