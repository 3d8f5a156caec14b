package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// What cannot be attempted waits as long again as it has waited since its last change, within bounds.
func TestPostponeQueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	ids := []webhook.DeliveryID{b.held(e.ID).ID, b.held(e.ID).ID, b.held(e.ID).ID}
	b.enable(e.ID)
	for i, age := range []time.Duration{0, 10 * time.Minute, 24 * time.Hour} {
		b.exec(`UPDATE deliveries SET updated_at = now() - $2::bigint * interval '1 millisecond' WHERE id = $1`, ids[i], age.Milliseconds())
	}
	holder := uuid.NewString()
	_, err := b.ClaimQueued(t.Context(), "acme", e.ID, holder, lease, 3)
	require.NoError(t, err)
	require.NoError(t, b.PostponeQueued(t.Context(), uuid.NewString(), ids, time.Second, time.Second), "another holder's leases stay")
	require.NoError(t, b.PostponeQueued(t.Context(), holder, nil, time.Second, time.Second))
	require.NoError(t, b.PostponeQueued(t.Context(), holder, ids, time.Minute, time.Hour))
	for i, want := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour} {
		var due time.Duration
		require.NoError(t, b.db.Get(&due, `SELECT (extract(epoch FROM queue_due_at - now()) * 1000000000)::bigint FROM deliveries WHERE id = $1`, ids[i]))
		require.InDelta(t, want, due, float64(20*time.Second))
	}
	require.InDelta(t, time.Minute, *b.state(e.ID).DueIn, float64(20*time.Second))
	require.Empty(t, b.claimQueue(e.ID, 3))
}

// A holder keeps what it attempts for longer; what another holds, or nobody any more, stays as it is.
func TestRenewQueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.held(e.ID).ID
	b.enable(e.ID)
	holder := uuid.NewString()
	_, err := b.ClaimQueued(t.Context(), "acme", e.ID, holder, time.Second, 1)
	require.NoError(t, err)
	renew := func(holder string) {
		require.NoError(t, b.RenewQueued(t.Context(), holder, []webhook.DeliveryID{id}, time.Hour))
	}
	renew(uuid.NewString())
	require.Less(t, *b.state(e.ID).DueIn, time.Minute)
	renew(holder)
	require.InDelta(t, time.Hour, *b.state(e.ID).DueIn, float64(20*time.Second))
	require.NoError(t, b.ReleaseQueued(t.Context(), holder, []webhook.DeliveryID{id}))
	renew(holder)
	require.Zero(t, *b.state(e.ID).DueIn)
	require.NoError(t, b.RenewQueued(t.Context(), holder, nil, time.Hour))
}

// The queue of a disabled endpoint shows that an attempt is under way until its lease has ended.
func TestQueueState_leased(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.held(e.ID)
	b.enable(e.ID)
	require.Len(t, b.claimQueue(e.ID, 1), 1)
	require.False(t, b.state(e.ID).Leased, "which nobody asks while it is enabled")
	b.disable(e.ID, "again")
	require.True(t, b.state(e.ID).Leased)
	b.exec(`UPDATE deliveries SET queue_due_at = now() - interval '1 second'`)
	require.False(t, b.state(e.ID).Leased)
}

// What an attempt depends on says who owns the delivery, and whether it is a test.
func TestSending_owner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	d := b.delivery()
	sending := func() webhook.Delivery {
		s, err := b.Sending(t.Context(), store.Target{Tenant: "acme", DeliveryID: d.ID, EndpointID: e.ID})
		require.NoError(t, err)
		return s.Delivery
	}
	require.False(t, sending().Queued)
	require.False(t, sending().Test)
	b.exec(`UPDATE deliveries SET queue_due_at = now(), test = true`)
	require.True(t, sending().Queued)
	require.True(t, sending().Test)
}
