package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// The queue goes on with the schedule where the workflow was, which does not count manual attempts.
func TestHoldDelivery_handsOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.delivery().ID
	for n, manual := range []bool{false, true, false} {
		r := record("acme", id, n+1, webhook.StatusRetrying)
		r.Attempt.Manual = manual
		b.record(r)
	}
	d, err := b.HoldDelivery(t.Context(), "acme", id, now())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusRetrying, d.Status, "the endpoint is enabled")
	require.False(t, d.Queued)
	b.disable(e.ID, "out of order")
	at := now()
	d, err = b.HoldDelivery(t.Context(), "acme", id, at)
	require.NoError(t, err)
	require.Equal(t, webhook.StatusHeld, d.Status)
	require.Equal(t, "out of order", d.Reason)
	require.Equal(t, &at, d.HeldAt)
	require.True(t, d.Queued)
	again, err := b.HoldDelivery(t.Context(), "acme", id, at.Add(time.Hour))
	require.NoError(t, err)
	require.Equal(t, d, again)
	b.enable(e.ID)
	claimed := b.claimQueue(e.ID, 10)
	require.Len(t, claimed, 1)
	require.Equal(t, 3, claimed[0].Attempts)
	require.Equal(t, 1, claimed[0].Uncounted)
	require.False(t, claimed[0].Asked)
	require.Equal(t, webhook.StatusRetrying, b.find(id).Status)
}

func TestHoldDelivery_testIsNotHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.delivery().ID
	b.exec(`UPDATE deliveries SET test = true`)
	b.disable(e.ID, "x")
	d, err := b.HoldDelivery(t.Context(), "acme", id, now())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusPending, d.Status)
	require.False(t, d.Queued)
}

// What a process of an earlier version holds comes to the queue.
func TestAdoptHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	var held []store.AdoptedDelivery
	for range 3 {
		held = append(held, store.AdoptedDelivery{TenantID: "acme", EventID: b.held(e.ID).EventID, EndpointID: e.ID})
	}
	adopt := func() []store.AdoptedDelivery {
		adopted, err := b.AdoptHeld(t.Context(), 2)
		require.NoError(t, err)
		return adopted
	}
	require.Empty(t, adopt(), "the queue has them")
	b.exec(`UPDATE deliveries SET queue_due_at = NULL`)
	require.Zero(t, b.state(e.ID).Waiting)
	require.ElementsMatch(t, held[:2], adopt())
	require.Equal(t, held[2:], adopt())
	require.Empty(t, adopt())
	require.Equal(t, 3, b.state(e.ID).Waiting)
}

func TestExpireHeld(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e, on := b.endpoint("acme"), b.endpoint("acme")
	var old []webhook.DeliveryID
	for range 3 {
		old = append(old, b.held(e.ID).ID)
	}
	young, waits := b.held(e.ID).ID, b.held(on.ID).ID
	b.enable(on.ID)
	b.exec(`UPDATE deliveries SET held_at = now() - interval '73 hours' WHERE id <> $1`, young)
	expire := func(holds map[string]time.Duration) bool {
		more, err := b.ExpireHeld(t.Context(), holds, now(), 2)
		require.NoError(t, err)
		return more
	}
	require.False(t, expire(nil))
	require.False(t, expire(map[string]time.Duration{"another": time.Hour}))
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE status <> 'held'`))
	holds := map[string]time.Duration{"another": time.Minute, "standard": 72 * time.Hour}
	require.True(t, expire(holds))
	require.False(t, expire(holds))
	for _, id := range old {
		d := b.find(id)
		require.Equal(t, webhook.StatusCanceled, d.Status)
		require.Equal(t, "held for longer than 72h", d.Reason)
		require.False(t, d.Queued)
	}
	require.Equal(t, webhook.StatusHeld, b.find(young).Status)
	require.Equal(t, webhook.StatusHeld, b.find(waits).Status, "its endpoint is enabled: it waits for its turn")
	require.Equal(t, 3, b.count(`SELECT sum(canceled) FROM delivery_stats WHERE endpoint_id = $1 AND attempts = 0 AND duration = -1`, e.ID))
}

func TestCancelDelivery_leavesTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.held(e.ID).ID
	d, err := b.CancelDelivery(t.Context(), "acme", id, "enough", now())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusCanceled, d.Status)
	require.False(t, d.Queued)
	require.Zero(t, b.state(e.ID).Waiting)
	_, err = b.CancelDelivery(t.Context(), "acme", id, "again", now())
	requireCode(t, webhook.CodeConflict, err)
	require.Equal(t, 1, b.count(`SELECT sum(canceled) FROM delivery_stats WHERE at = date_bin('5 minutes', $1, 'epoch')`, d.UpdatedAt))

	b.enable(e.ID)
	test := b.publish(publication("acme", "")).Deliveries[0].ID
	b.exec(`UPDATE deliveries SET test = true WHERE id = $1`, test)
	_, err = b.CancelDelivery(t.Context(), "acme", test, "enough", now())
	require.NoError(t, err)
	require.Equal(t, 1, b.count(`SELECT sum(canceled) FROM delivery_stats`), "a test is in no statistics")
}
