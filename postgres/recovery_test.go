package postgres_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/store"
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

func (b *bundle) heldOf(tenant string, id webhook.EndpointID) []store.HeldDelivery {
	b.t.Helper()
	held, err := b.HeldDeliveries(b.t.Context(), tenant, id, webhook.DeliveryID{}, 1000)
	require.NoError(b.t, err)
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
	require.Empty(t, b.heldOf("acme", e.ID))
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
	require.Equal(t, []store.HeldDelivery{{ID: held.ID, EventID: held.EventID}}, b.heldOf("acme", e.ID))
	require.NoError(t, b.ReleaseDeliveries(t.Context(), "acme", e.ID, []webhook.DeliveryID{held.ID}, now()))
	require.Empty(t, b.heldOf("acme", e.ID))
	require.Len(t, b.due(), 1)
	require.NoError(t, b.RecoveryDone(t.Context(), "acme", e.ID, 0))
	require.Empty(t, b.due())
}

func TestHeldDeliveries_Pages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e, neighbor := b.endpoint("acme"), b.endpoint("acme")
	var want []store.HeldDelivery
	for range 5 {
		d := b.held(e.ID)
		want = append(want, store.HeldDelivery{ID: d.ID, EventID: d.EventID})
	}
	b.held(neighbor.ID)
	var got []store.HeldDelivery
	var after webhook.DeliveryID
	for {
		page, err := b.HeldDeliveries(t.Context(), "acme", e.ID, after, 2)
		require.NoError(t, err)
		got = append(got, page...)
		if len(page) < 2 {
			break
		}
		after = page[1].ID
	}
	require.Equal(t, want, got)
	require.Empty(t, b.heldOf("other", e.ID))
}

func TestReleaseDeliveries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	e, neighbor := b.endpoint("acme"), b.endpoint("acme")
	fresh, tried, theirs := b.held(e.ID), b.held(e.ID), b.held(neighbor.ID)
	b.record(record("acme", tried.ID, 1, webhook.StatusRetrying))
	_, err := b.HoldDelivery(t.Context(), "acme", tried.ID, now())
	require.NoError(t, err)
	ids := []webhook.DeliveryID{fresh.ID, tried.ID, theirs.ID}

	require.NoError(t, b.ReleaseDeliveries(t.Context(), "acme", e.ID, ids, now()))
	require.Len(t, b.heldOf("acme", e.ID), 2, "the endpoint is disabled")
	_, _, err = b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()})
	require.NoError(t, err)
	require.NoError(t, b.ReleaseDeliveries(t.Context(), "other", e.ID, ids, now()))
	require.Len(t, b.heldOf("acme", e.ID), 2)
	require.NoError(t, b.ReleaseDeliveries(t.Context(), "acme", e.ID, ids, now()))
	for id, want := range map[webhook.DeliveryID]webhook.Status{
		fresh.ID: webhook.StatusPending, tried.ID: webhook.StatusRetrying, theirs.ID: webhook.StatusHeld,
	} {
		d, err := b.Delivery(t.Context(), "acme", id)
		require.NoError(t, err)
		require.Equal(t, want, d.Status)
		require.Equal(t, want == webhook.StatusHeld, d.Reason != "")
	}
	require.Len(t, b.heldOf("acme", neighbor.ID), 1)
	require.NoError(t, b.ReleaseDeliveries(t.Context(), "acme", e.ID, nil, now()))
}

func TestRecoveryDone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.held(e.ID)
	on, _, err := b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()})
	require.NoError(t, err)
	require.NoError(t, b.RecoveryDone(t.Context(), "other", e.ID, on.Version))
	require.NoError(t, b.RecoveryDone(t.Context(), "acme", e.ID, on.Version-1))
	require.Len(t, b.due(), 1)
	_, _, err = b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{Reason: "again", At: now()})
	require.NoError(t, err)
	require.Empty(t, b.due(), "while it is disabled, nothing is to be woken")
	again, _, err := b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()})
	require.NoError(t, err)
	require.NoError(t, b.RecoveryDone(t.Context(), "acme", e.ID, on.Version))
	require.Len(t, b.due(), 1, "a recovery of before knows nothing of this one")
	require.NoError(t, b.RecoveryDone(t.Context(), "acme", e.ID, again.Version))
	require.Empty(t, b.due())
}

// Whatever the order in which holding and enabling meet: after the enabling, each delivery is held and listed for the
// recovery, or it is not held at all.
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
		var listed []store.HeldDelivery
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
			listed = b.heldOf("acme", e.ID)
		})
		wg.Wait()
		if t.Failed() {
			return
		}
		isListed := map[webhook.DeliveryID]bool{}
		for _, h := range listed {
			isListed[h.ID] = true
		}
		for i, id := range ids {
			held := answers[i].Status == webhook.StatusHeld
			require.Equal(t, held, isListed[id], "round %d: a delivery that is held is one that the recovery sees", round)
			sawHeld, sawMissed = sawHeld || held, sawMissed || !held
		}
		require.NoError(t, b.ReleaseDeliveries(t.Context(), "acme", e.ID, ids, now()))
		require.Empty(t, b.heldOf("acme", e.ID))
	}
	require.True(t, sawHeld, "the race was never won by the holder")
	require.True(t, sawMissed, "the race was never won by the enabling")
}
