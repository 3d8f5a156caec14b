package postgres_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/webhook"
)

// held publishes an event to an endpoint of the tenant "acme", disabled if need be, and returns its held delivery.
func (b *bundle) held(id webhook.EndpointID) *webhook.Delivery {
	b.t.Helper()
	_, _, err := b.DisableEndpoint(b.t.Context(), "acme", id, webhook.Change{Reason: "out of order", At: now()})
	require.NoError(b.t, err)
	p := publication("acme", "")
	p.Only = id
	d, err := b.HoldDelivery(b.t.Context(), "acme", b.publish(p).Deliveries[0].ID, now())
	require.NoError(b.t, err)
	require.Equal(b.t, webhook.StatusHeld, d.Status)
	return d
}

// heldOf lists what an endpoint holds.
func (b *bundle) heldOf(id webhook.EndpointID) []webhook.DeliveryID {
	b.t.Helper()
	var held []webhook.DeliveryID
	require.NoError(b.t, b.db.Select(&held, `SELECT id FROM deliveries WHERE endpoint_id = $1 AND status = 'held' AND held_at IS NOT NULL ORDER BY id`, id))
	return held
}

func TestHoldDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	e := b.endpoint("acme")
	id := b.delivery().ID
	b.record(record("acme", id, 1, webhook.StatusRetrying))

	d, err := b.HoldDelivery(t.Context(), "acme", id, now())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusRetrying, d.Status, "the endpoint is enabled")
	require.NotNil(t, d.NextAttemptAt)
	_, _, err = b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{Reason: "out of order", At: now()})
	require.NoError(t, err)
	_, err = b.HoldDelivery(t.Context(), "other", id, now())
	requireCode(t, webhook.CodeNotFound, err)
	at := now()
	d, err = b.HoldDelivery(t.Context(), "acme", id, at)
	require.NoError(t, err)
	require.Equal(t, webhook.StatusHeld, d.Status)
	require.Equal(t, "out of order", d.Reason)
	require.Nil(t, d.NextAttemptAt)
	require.Equal(t, at, d.UpdatedAt)

	_, err = b.CancelDelivery(t.Context(), "acme", id, "enough", now())
	require.NoError(t, err)
	require.Empty(t, b.heldOf(e.ID))
	d, err = b.HoldDelivery(t.Context(), "acme", id, now())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusCanceled, d.Status, "settled is settled")
}

func TestHoldDelivery_OfADeletedEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	held := b.held(e.ID)
	p := publication("acme", "")
	waiting := b.publish(p).Deliveries[0].ID
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))

	d, err := b.HoldDelivery(t.Context(), "acme", waiting, now())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusPending, d.Status)
	require.Equal(t, []webhook.DeliveryID{held.ID}, b.heldOf(e.ID))
}

// Whatever the order in which holding and enabling meet: after the enabling, each delivery is held and in the endpoint's queue, or it
// is not held at all.
func TestHoldDelivery_RacesWithEnabling(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	elsewhere := postgrestest.Open(t, b.opts)
	var ids []webhook.DeliveryID
	for range 8 {
		ids = append(ids, b.delivery().ID)
	}
	sawHeld, sawMissed := false, false
	for round := 0; round < 60 || (!sawHeld || !sawMissed) && round < 2000; round++ {
		_, _, err := b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{Reason: "x", At: now()})
		require.NoError(t, err)
		answers := make([]*webhook.Delivery, len(ids))
		var listed []webhook.DeliveryID
		var wg sync.WaitGroup
		for i, id := range ids {
			wg.Go(func() {
				d, err := elsewhere.HoldDelivery(t.Context(), "acme", id, now())
				if err != nil {
					t.Error(err)
					return
				}
				answers[i] = d
			})
		}
		wg.Go(func() {
			if _, _, err := b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()}); err != nil {
				t.Error(err)
			}
			listed = b.heldOf(e.ID)
		})
		wg.Wait()
		if t.Failed() {
			return
		}
		isListed := map[webhook.DeliveryID]bool{}
		for _, id := range listed {
			isListed[id] = true
		}
		for i, id := range ids {
			held := answers[i].Status == webhook.StatusHeld
			require.Equal(t, held, isListed[id], "round %d: a delivery that is held is one that the queue sees", round)
			sawHeld, sawMissed = sawHeld || held, sawMissed || !held
		}
		require.Len(t, b.claimQueue(e.ID, len(ids)), len(listed))
		require.Empty(t, b.heldOf(e.ID))
		b.exec(`UPDATE deliveries SET queue_due_at = NULL, queue_lease = NULL`)
	}
	require.True(t, sawHeld, "the race was never won by the holder")
	require.True(t, sawMissed, "the race was never won by the enabling")
}
