package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

func TestCancelDeliveriesOfDeleted(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.Timeout = 2 * time.Second })
	b.tenant("acme")
	e := b.endpoint("acme")
	statuses := map[webhook.DeliveryID]webhook.Status{}
	for _, status := range []webhook.Status{webhook.StatusRetrying, webhook.StatusRetrying, webhook.StatusExhausted, webhook.StatusDelivered} {
		id := b.delivery().ID
		b.record(record("acme", id, 1, status))
		statuses[id] = status
	}
	pending := b.delivery().ID
	held := b.held(e.ID).ID
	cancel := func(limit int) ([]store.HeldDelivery, bool) {
		canceled, more, err := b.CancelDeliveriesOfDeleted(t.Context(), "acme", e.ID, "the endpoint was deleted", now(), limit)
		require.NoError(t, err)
		return canceled, more
	}
	canceled, _ := cancel(10)
	require.Empty(t, canceled, "the endpoint is only disabled")

	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	other, _, err := b.CancelDeliveriesOfDeleted(t.Context(), "other", e.ID, "stolen", now(), 10)
	require.NoError(t, err)
	require.Empty(t, other, "another tenant has no such endpoint")
	var told []webhook.DeliveryID
	for range 2 {
		page, more := cancel(2)
		require.True(t, more, "others wait, and an attempt may be recorded at this moment")
		for _, d := range page {
			told = append(told, d.ID)
		}
	}
	require.Len(t, told, 2)
	require.NotContains(t, told, held, "no workflow waits for it")
	require.Eventually(t, func() bool {
		canceled, more := cancel(2)
		return len(canceled) == 0 && !more
	}, 10*time.Second, 50*time.Millisecond)

	require.Equal(t, 3, b.count(`SELECT sum(canceled) FROM delivery_stats`))
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE queue_due_at IS NOT NULL`))
	statuses[held] = webhook.StatusHeld
	for id, before := range statuses {
		d, err := b.Delivery(t.Context(), "acme", id)
		require.NoError(t, err)
		if before.Settled() {
			require.Equal(t, before, d.Status)
			continue
		}
		require.Equal(t, webhook.StatusCanceled, d.Status)
		require.Equal(t, "the endpoint was deleted", d.Reason)
		require.Nil(t, d.NextAttemptAt)
	}
	d, err := b.Delivery(t.Context(), "acme", pending)
	require.NoError(t, err)
	require.Equal(t, webhook.StatusPending, d.Status, "its first attempt finds out")
}

// An attempt that is in flight while its endpoint is deleted must not be followed by another.
func TestRecordAttempt_ofADeletedEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	failed, delivered := b.delivery().ID, b.delivery().ID
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	d := b.record(record("acme", failed, 1, webhook.StatusRetrying))
	require.Equal(t, webhook.StatusCanceled, d.Status)
	require.Equal(t, "the endpoint was deleted", d.Reason)
	require.Nil(t, d.NextAttemptAt)
	require.Equal(t, webhook.StatusDelivered, b.record(record("acme", delivered, 1, webhook.StatusDelivered)).Status)
}

// What a process of an earlier version settled without telling the queue does not stop the others, and leaves the queue.
func TestCancelDeliveriesOfDeleted_SettledInTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	settled, waiting := b.held(e.ID).ID, b.held(e.ID).ID
	b.exec(`UPDATE deliveries SET status = 'canceled', held_at = NULL WHERE id = $1`, settled)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	for tries := 0; b.find(waiting).Status != webhook.StatusCanceled; tries++ {
		require.Less(t, tries, 5)
		_, more, err := b.CancelDeliveriesOfDeleted(t.Context(), "acme", e.ID, "the endpoint was deleted", now(), 1)
		require.NoError(t, err)
		require.True(t, more)
	}
	require.Zero(t, b.state(e.ID).Waiting)
	require.Equal(t, "out of order", b.find(settled).Reason, "only what waits is canceled")
}

// The clock of the process that deletes may be wrong by an hour: that neither ends the wait for records nor makes it an hour.
func TestCancelDeliveriesOfDeleted_WrongClock(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.Timeout = time.Second })
	b.tenant("acme")
	for _, wrong := range []time.Duration{-time.Hour, time.Hour} {
		e := b.endpoint("acme")
		require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now().Add(wrong)))
		more := func() bool {
			_, more, err := b.CancelDeliveriesOfDeleted(t.Context(), "acme", e.ID, "the endpoint was deleted", now(), 10)
			require.NoError(t, err)
			return more
		}
		require.True(t, more(), wrong)
		require.Eventually(t, func() bool { return !more() }, 10*time.Second, 50*time.Millisecond, wrong)
	}
}
