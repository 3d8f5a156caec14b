package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

const lease = time.Minute

func (b *bundle) enable(id webhook.EndpointID) *webhook.Endpoint {
	b.t.Helper()
	e, changed, err := b.EnableEndpoint(b.t.Context(), "acme", id, webhook.Change{By: "a person", At: now()})
	require.NoError(b.t, err)
	require.True(b.t, changed)
	return e
}

func (b *bundle) disable(id webhook.EndpointID, reason string) *webhook.Endpoint {
	b.t.Helper()
	e, changed, err := b.DisableEndpoint(b.t.Context(), "acme", id, webhook.Change{By: "a person", Reason: reason, At: now()})
	require.NoError(b.t, err)
	require.True(b.t, changed)
	return e
}

func (b *bundle) claimQueue(id webhook.EndpointID, limit int) []store.Queued {
	b.t.Helper()
	claimed, err := b.ClaimQueued(b.t.Context(), "acme", id, uuid.NewString(), lease, limit)
	require.NoError(b.t, err)
	return claimed
}

func (b *bundle) state(id webhook.EndpointID) *store.QueueState {
	b.t.Helper()
	state, err := b.QueueState(b.t.Context(), "acme", id, 1000)
	require.NoError(b.t, err)
	return state
}

func idsOfQueued(queued []store.Queued) []webhook.DeliveryID {
	var ids []webhook.DeliveryID
	for _, q := range queued {
		ids = append(ids, q.ID)
	}
	return ids
}

// What an endpoint held is drained in the order of publication, each delivery by one holder.
func TestClaimQueued_heldOldestFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	e, neighbor := b.endpoint("acme"), b.endpoint("acme")
	var want []webhook.DeliveryID
	for range 3 {
		want = append(want, b.held(e.ID).ID)
	}
	b.held(neighbor.ID)
	require.Empty(t, b.claimQueue(e.ID, 10), "the endpoint is disabled")
	require.Equal(t, 3, b.state(e.ID).Waiting)

	b.enable(e.ID)
	stolen, err := b.ClaimQueued(t.Context(), "other", e.ID, uuid.NewString(), lease, 10)
	require.NoError(t, err)
	require.Empty(t, stolen)
	first := b.claimQueue(e.ID, 2)
	require.Equal(t, want[:2], idsOfQueued(first))
	d := b.find(want[0])
	require.Equal(t, store.Queued{
		ID: d.ID, EventID: d.EventID, EventType: d.EventType, EventKey: first[0].EventKey,
	}, first[0])
	require.Equal(t, d.EventID, first[0].EventKey.String())
	require.Equal(t, webhook.StatusPending, d.Status)
	require.Empty(t, d.Reason)
	require.Nil(t, d.HeldAt)
	require.True(t, d.Queued)
	require.Equal(t, want[2:], idsOfQueued(b.claimQueue(e.ID, 2)), "what is leased is nobody else's")
	require.Empty(t, b.claimQueue(e.ID, 2))
	state := b.state(e.ID)
	require.Equal(t, 3, state.Waiting)
	require.InDelta(t, lease, *state.DueIn, float64(30*time.Second))
}

// What a dead holder leased is due again when the lease ends.
func TestClaimQueued_leaseEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.held(e.ID).ID
	b.enable(e.ID)
	_, err := b.ClaimQueued(t.Context(), "acme", e.ID, uuid.NewString(), time.Millisecond, 10)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(b.claimQueue(e.ID, 10)) == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	b.exec(`UPDATE deliveries SET queue_due_at = now()`)
	require.Empty(t, b.claimQueue(e.ID, 10), "the endpoint is deleted")
	require.Equal(t, 1, b.state(e.ID).Waiting, id)
}

func TestClaimQueued_claimsNeverOverlap(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	const n = 60
	for range n {
		b.held(e.ID)
	}
	b.enable(e.ID)
	elsewhere := postgrestest.Open(t, b.opts)
	var mu sync.Mutex
	seen := map[webhook.DeliveryID]int{}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			for {
				s := b.Store
				if i%2 == 0 {
					s = elsewhere
				}
				claimed, err := s.ClaimQueued(t.Context(), "acme", e.ID, uuid.NewString(), lease, 3)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, q := range claimed {
					seen[q.ID]++
				}
				all := len(seen)
				mu.Unlock()
				if err != nil || all == n {
					return
				}
			}
		})
	}
	wg.Wait()
	require.Len(t, seen, n)
	for id, times := range seen {
		require.Equal(t, 1, times, id)
	}
}

func TestReleaseQueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	var want []webhook.DeliveryID
	for range 3 {
		want = append(want, b.held(e.ID).ID)
	}
	b.enable(e.ID)
	holder := uuid.NewString()
	_, err := b.ClaimQueued(t.Context(), "acme", e.ID, holder, lease, 2)
	require.NoError(t, err)
	require.NoError(t, b.ReleaseQueued(t.Context(), uuid.NewString(), want))
	require.NoError(t, b.ReleaseQueued(t.Context(), holder, nil))
	require.Len(t, b.claimQueue(e.ID, 1), 1, "the third")
	require.Empty(t, b.claimQueue(e.ID, 3), "another holder's leases stay")
	require.NoError(t, b.ReleaseQueued(t.Context(), holder, want))
	require.Equal(t, want[:2], idsOfQueued(b.claimQueue(e.ID, 3)), "in their old order")
}

func TestQueueState(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	e := b.endpoint("acme")
	require.Equal(t, &store.QueueState{Version: 1}, b.state(e.ID))
	_, err := b.QueueState(t.Context(), "other", e.ID, 1)
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.QueueState(t.Context(), "acme", newEndpointID(), 1)
	requireCode(t, webhook.CodeNotFound, err)
	b.held(e.ID)
	state := b.state(e.ID)
	require.True(t, state.Disabled)
	require.Equal(t, 1, state.Waiting)
	require.Zero(t, *state.DueIn)
	b.exec(`
		INSERT INTO recoveries (id, tenant_id, endpoint_id, since, until, statuses, event_types, missed, matched, phase, position, page_at, created_at)
		VALUES (gen_random_uuid(), 'acme', $1, now(), now(), '{}', '{}', false, 0, 'settled', gen_random_uuid(), now(), now())`, e.ID)
	require.True(t, b.state(e.ID).Recovering)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	state = b.state(e.ID)
	require.True(t, state.Deleted)
	require.False(t, state.Recovering, "it was canceled with the endpoint")
}

func TestHoldQueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	var ids []webhook.DeliveryID
	for range 4 {
		ids = append(ids, b.held(e.ID).ID)
	}
	b.enable(e.ID)
	require.Len(t, b.claimQueue(e.ID, 1), 1)
	holder := uuid.NewString()
	released, err := b.ClaimQueued(t.Context(), "acme", e.ID, holder, lease, 3)
	require.NoError(t, err)
	require.NoError(t, b.ReleaseQueued(t.Context(), holder, idsOfQueued(released)))
	hold := func(tenant string, limit int) bool {
		more, err := b.HoldQueued(t.Context(), tenant, e.ID, now(), limit)
		require.NoError(t, err)
		return more
	}
	require.False(t, hold("acme", 10), "the endpoint is enabled")
	b.disable(e.ID, "once more")
	require.False(t, hold("other", 10))
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE status = 'held'`))
	require.True(t, hold("acme", 2))
	require.False(t, hold("acme", 2))
	require.Equal(t, webhook.StatusPending, b.find(ids[0]).Status, "its attempt is under way")
	for _, id := range ids[1:] {
		d := b.find(id)
		require.Equal(t, webhook.StatusHeld, d.Status)
		require.Equal(t, "once more", d.Reason)
		require.Nil(t, d.NextAttemptAt)
		require.True(t, d.Queued)
	}
	b.exec(`UPDATE deliveries SET queue_due_at = now() - interval '1 second' WHERE id = $1`, ids[0])
	require.False(t, hold("acme", 2))
	require.Equal(t, webhook.StatusHeld, b.find(ids[0]).Status, "its holder is dead")
	b.enable(e.ID)
	require.Equal(t, ids, idsOfQueued(b.claimQueue(e.ID, 10)))

	// A process of an earlier version cancels without telling the queue.
	b.exec(`UPDATE deliveries SET status = 'canceled', queue_lease = NULL WHERE id = ANY ($1::uuid[])`, pq.Array([]string{ids[0].UUID(), ids[1].UUID()}))
	b.exec(`UPDATE deliveries SET queue_lease = NULL, queue_due_at = now()`)
	b.disable(e.ID, "at last")
	for tries := 1; hold("acme", 1); tries++ {
		require.Less(t, tries, 10, "settled ones must not stop the others")
	}
	require.Equal(t, webhook.StatusHeld, b.find(ids[3]).Status)
	require.Equal(t, 2, b.state(e.ID).Waiting)
	require.Equal(t, webhook.StatusCanceled, b.find(ids[0]).Status)
}

func TestQueuesToWake(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	on, off, gone, idle := b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme")
	b.disable(on.ID, "x")
	enabled := b.enable(on.ID)
	disabled := b.disable(off.ID, "x")
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", gone.ID, now()))
	due := func() []webhook.EndpointID {
		var ids []webhook.EndpointID
		for {
			var after webhook.EndpointID
			if len(ids) > 0 {
				after = ids[len(ids)-1]
			}
			page, err := b.QueuesToWake(t.Context(), after, 2)
			require.NoError(t, err)
			for _, e := range page {
				require.Equal(t, "acme", e.TenantID)
				ids = append(ids, e.ID)
			}
			if len(page) < 2 {
				return ids
			}
		}
	}
	require.Equal(t, []webhook.EndpointID{on.ID, off.ID, gone.ID}, due(), "not %s", idle.ID)
	woken := func(tenant string, id webhook.EndpointID, version int64) {
		require.NoError(t, b.QueueWoken(t.Context(), tenant, id, version))
	}
	woken("other", on.ID, enabled.Version)
	woken("acme", on.ID, enabled.Version-1)
	require.Len(t, due(), 3)
	woken("acme", on.ID, enabled.Version)
	woken("acme", off.ID, disabled.Version)
	woken("acme", gone.ID, 0)
	require.Empty(t, due())
}

func TestOverdueQueues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	late, fresh, off, unheld, gone, recovering := b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme")
	for _, e := range []*webhook.Endpoint{late, fresh, off, unheld, gone} {
		b.held(e.ID)
	}
	for _, e := range []*webhook.Endpoint{late, fresh, unheld} {
		b.enable(e.ID)
	}
	b.exec(`UPDATE deliveries SET queue_due_at = now() - interval '1 day' WHERE endpoint_id <> $1`, fresh.ID)
	require.Len(t, b.claimQueue(unheld.ID, 1), 1)
	b.disable(unheld.ID, "x")
	b.exec(`UPDATE deliveries SET queue_due_at = now() - interval '1 day' WHERE endpoint_id <> $1`, fresh.ID)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", gone.ID, now()))
	b.exec(`UPDATE endpoints SET disabled_at = disabled_at - interval '1 day', deleted_at = deleted_at - interval '1 day'`)
	for _, e := range []*webhook.Endpoint{recovering, off} {
		b.exec(`
			INSERT INTO recoveries (id, tenant_id, endpoint_id, since, until, statuses, event_types, missed, matched, phase, position, page_at, created_at)
			VALUES (gen_random_uuid(), 'acme', $1, now(), now(), '{}', '{}', false, 0, 'settled', gen_random_uuid(), now() - interval '1 day', now())`, e.ID)
	}
	var got []store.EndpointRef
	for {
		var from webhook.EndpointID
		if len(got) > 0 {
			from = got[len(got)-1].ID
		}
		page, err := b.OverdueQueues(t.Context(), grace, from, 2)
		require.NoError(t, err)
		got = append(got, page...)
		if len(page) < 2 {
			break
		}
	}
	require.Equal(t, []store.EndpointRef{{TenantID: "acme", ID: late.ID}, {TenantID: "acme", ID: unheld.ID}, {TenantID: "acme", ID: gone.ID}, {TenantID: "acme", ID: recovering.ID}}, got)
}

// A delivery that was never attempted goes to the queue, which attempts it once it is due. Any other is left as it is.
func TestQueueDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	e := b.endpoint("acme")
	id := b.publish(publication("acme", "")).Deliveries[0].ID
	queue := func(tenant string, id webhook.DeliveryID, after time.Duration) bool {
		queued, err := b.QueueDelivery(t.Context(), tenant, id, after)
		require.NoError(t, err)
		return queued
	}
	require.False(t, queue("other", id, 0))
	require.Zero(t, b.state(e.ID).Waiting)

	require.True(t, queue("acme", id, time.Minute))
	d := b.find(id)
	require.True(t, d.Queued)
	require.Equal(t, webhook.StatusPending, d.Status)
	require.InDelta(t, time.Minute, *b.state(e.ID).DueIn, float64(20*time.Second))
	require.False(t, queue("acme", id, 0))
	require.Positive(t, *b.state(e.ID).DueIn, "it is queued already")
	require.Empty(t, b.claimQueue(e.ID, 2))
	b.exec(`UPDATE deliveries SET queue_due_at = now() WHERE id = $1`, id)
	claimed := b.claimQueue(e.ID, 2)
	require.Equal(t, []webhook.DeliveryID{id}, idsOfQueued(claimed))
	require.Zero(t, claimed[0].Attempts)
	require.True(t, claimed[0].Scheduled)

	late := record("acme", id, 1, webhook.StatusRetrying)
	next := late.At.Add(time.Minute)
	late.Queued, late.Holder, late.NextAttemptAt = true, uuid.Nil.String(), &next
	_, err := b.RecordAttempt(t.Context(), late)
	require.NoError(t, err)
	require.Empty(t, b.claimQueue(e.ID, 2), "the record of an express attempt that took long leaves the lease as it is")
	require.Equal(t, webhook.StatusPending, b.find(id).Status)

	test := publication("acme", "")
	test.Event.Test = true
	require.False(t, queue("acme", b.publish(test).Deliveries[0].ID, 0), "a disabled endpoint holds what is queued, and no test")

	other := b.publish(publication("acme", "")).Deliveries[0].ID
	_, err = b.RecordAttempt(t.Context(), record("acme", other, 1, webhook.StatusDelivered))
	require.NoError(t, err)
	require.False(t, queue("acme", other, 0))
	require.False(t, b.find(other).Queued)
}

// A first attempt that fails in express mode leaves the delivery to the queue, when it is due by the database's clock.
func TestRecordAttempt_leavesToTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.publish(publication("acme", "")).Deliveries[0].ID
	r := record("acme", id, 1, webhook.StatusRetrying)
	next := r.At.Add(time.Minute)
	r.Queued, r.Holder, r.NextAttemptAt = true, uuid.Nil.String(), &next
	d, err := b.RecordAttempt(t.Context(), r)
	require.NoError(t, err)
	require.True(t, d.Queued)
	require.InDelta(t, time.Minute, *b.state(e.ID).DueIn, float64(20*time.Second))
	b.exec(`UPDATE deliveries SET queue_due_at = now() WHERE id = $1`, id)
	claimed := b.claimQueue(e.ID, 2)
	require.Len(t, claimed, 1)
	require.Equal(t, 1, claimed[0].Attempts)
	require.Zero(t, claimed[0].Uncounted)
	require.True(t, claimed[0].Scheduled, "what was held, or opened again, is not: see TestClaimQueued_heldOldestFirst")
}
