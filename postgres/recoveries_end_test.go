package postgres_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/webhook"
)

func TestRecovery_Cancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.publish(publication("acme", ""))
	e := b.endpoint("acme")
	attempted, leased := b.unsent(e.ID, webhook.StatusExhausted), b.unsent(e.ID, webhook.StatusExhausted)
	failed, canceled := b.unsent(e.ID, webhook.StatusExhausted), b.unsent(e.ID, webhook.StatusCanceled)
	r := b.start(recovery(e.ID, missedToo))
	require.Equal(t, 5, b.advance(e.ID, 10))
	made := b.queued(e.ID)[0]
	b.attempted(attempted, webhook.StatusRetrying)
	b.exec(`UPDATE deliveries SET queue_lease = gen_random_uuid(), queue_due_at = now() + interval '1 minute' WHERE id = $1`, leased)

	got, err := b.CancelRecovery(t.Context(), "acme", r.ID, now())
	require.NoError(t, err)
	require.Equal(t, webhook.RecoveryCanceled, got.Status)
	require.NotNil(t, got.FinishedAt)
	require.Equal(t, []int64{5, 2, 0, 1}, []int64{got.Matched, got.Sent, got.Delivered, got.Failed})
	for id, want := range map[webhook.DeliveryID]webhook.Status{
		attempted: webhook.StatusRetrying, leased: webhook.StatusRetrying, failed: webhook.StatusExhausted, canceled: webhook.StatusCanceled, made: webhook.StatusCanceled,
	} {
		require.Equal(t, want, b.find(id).Status)
	}
	require.ElementsMatch(t, []webhook.DeliveryID{attempted, leased}, b.queued(e.ID))
	require.Contains(t, b.find(made).Reason, "recovery was canceled")
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE status IN ('exhausted', 'canceled') AND next_attempt_at IS NOT NULL`))
	_, err = b.CancelRecovery(t.Context(), "acme", r.ID, now())
	requireCode(t, webhook.CodeConflict, err)
	_, err = b.CancelRecovery(t.Context(), "other", r.ID, now())
	requireCode(t, webhook.CodeNotFound, err)
	b.start(recovery(e.ID))
}

// The process that canceled died after its first transaction: the queue goes on.
func TestRecovery_CancelIsFinishedByTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	for range 3 {
		b.unsent(e.ID, webhook.StatusExhausted)
	}
	r := b.start(recovery(e.ID))
	require.Equal(t, 3, b.advance(e.ID, 10))
	b.exec(`UPDATE recoveries SET status = 'canceled', phase = 'withdrawing', position = '00000000-0000-0000-0000-000000000000', finished_at = now()`)
	require.Zero(t, b.advance(e.ID, 10))
	require.Empty(t, b.queued(e.ID))
	got := b.findRecovery(r.ID)
	require.Equal(t, []int64{0, 0, 0}, []int64{got.Sent, got.Delivered, got.Failed})
	require.Equal(t, 0, b.count(`SELECT count(*) FROM recoveries WHERE phase = 'withdrawing'`))
}

func TestRecovery_TellsTheOperator(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.OperatorTenant = "ops" })
	b.tenant("acme")
	b.tenant("ops")
	e, own := b.endpoint("acme"), b.endpoint("ops")
	r := b.start(recovery(e.ID))
	b.advance(e.ID, 10)
	mine := b.start(recovery(own.ID, func(r *webhook.Recovery) { r.TenantID = "ops" }))
	_, err := b.CancelRecovery(t.Context(), "ops", mine.ID, now())
	require.NoError(t, err)
	var told []struct {
		Tenant string `db:"tenant_id"`
		Type   string `db:"event_type"`
		Data   []byte `db:"data"`
	}
	require.NoError(t, b.db.Select(&told, `SELECT tenant_id, event_type, data FROM outbox`))
	require.Len(t, told, 1)
	require.Equal(t, []string{"ops", "recovery.completed"}, []string{told[0].Tenant, told[0].Type})
	var data map[string]any
	require.NoError(t, json.Unmarshal(told[0].Data, &data))
	require.Equal(t, map[string]any{
		"tenant": "acme", "endpoint_id": e.ID.String(), "recovery_id": r.ID.String(), "status": "completed",
		"matched": 0.0, "sent": 0.0, "delivered": 0.0, "failed": 0.0,
	}, data)
}
