package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// grace is how long deliveries are late in these tests before they are stalled.
const grace = 10 * time.Minute

// stallRule is of the dialect "standard", which the tenants of these tests have.
var stallRule = store.StallRule{After: grace, Holds: map[string]time.Duration{"standard": time.Hour, "other": time.Minute}}

// agedUUIDs makes ids of a moment ago, as if events had been accepted then.
func agedUUIDs(age time.Duration) func(*postgres.Options) {
	return func(o *postgres.Options) {
		o.NewUUID = func() [16]byte { return agedUUID(age) }
	}
}

func agedUUID(age time.Duration) [16]byte { return uuidAt(time.Now().Add(-age)) }

func (b *bundle) sweep(limit int) {
	b.t.Helper()
	for more := true; more; {
		var err error
		more, err = b.SweepDeliveries(b.t.Context(), grace, limit)
		require.NoError(b.t, err)
	}
}

// stalled returns the stalled deliveries in order, and checks that CountStalled agrees.
func (b *bundle) stalled() []webhook.DeliveryID {
	b.t.Helper()
	found, err := b.StalledDeliveries(b.t.Context(), stallRule, store.Stalled{}, 100)
	require.NoError(b.t, err)
	n, err := b.CountStalled(b.t.Context(), stallRule)
	require.NoError(b.t, err)
	require.Len(b.t, found, n)
	var ids []webhook.DeliveryID
	for _, d := range found {
		ids = append(ids, d.ID)
	}
	return ids
}

// dispatched publishes an event of "acme" whose workflow was started, and returns its only delivery.
func (b *bundle) dispatched() webhook.DeliveryID {
	b.t.Helper()
	p := publication("acme", "")
	d := b.publish(p).Deliveries[0]
	require.NoError(b.t, b.DeleteDispatches(b.t.Context(), []webhook.EventKey{p.Event.Key}))
	return d.ID
}

func (b *bundle) retrying(due time.Time) webhook.DeliveryID {
	b.t.Helper()
	id := b.dispatched()
	r := record("acme", id, 1, webhook.StatusRetrying)
	r.NextAttemptAt = &due
	b.record(r)
	return id
}

func TestStalledDeliveries_Retrying(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	late := now().Add(-grace - time.Minute)
	second, first := b.retrying(late), b.retrying(late.Add(-time.Hour))
	b.retrying(now().Add(time.Hour))
	b.retrying(now().Add(-time.Minute))
	delivered, canceled := b.retrying(late), b.retrying(late)
	b.record(record("acme", delivered, 2, webhook.StatusDelivered))
	_, err := b.CancelDelivery(t.Context(), "acme", canceled, "enough", now())
	require.NoError(t, err)
	require.Equal(t, []webhook.DeliveryID{first, second}, b.stalled())

	page, err := b.StalledDeliveries(t.Context(), stallRule, store.Stalled{}, 1)
	require.NoError(t, err)
	require.Equal(t, late.Add(-time.Hour), page[0].Since)
	require.Equal(t, "acme", page[0].TenantID)
	require.Equal(t, webhook.StatusRetrying, page[0].Status)
	page, err = b.StalledDeliveries(t.Context(), stallRule, page[0], 1)
	require.NoError(t, err)
	require.Equal(t, second, page[0].ID)
	page, err = b.StalledDeliveries(t.Context(), stallRule, page[0], 1)
	require.NoError(t, err)
	require.Empty(t, page)

	_, err = b.db.Exec(`DELETE FROM events`)
	require.NoError(t, err)
	require.Empty(t, b.stalled(), "retention removed the events")
}

func TestStalledDeliveries_Pending(t *testing.T) {
	t.Parallel()
	aged := setup(t, agedUUIDs(grace+time.Minute))
	aged.tenant("acme")
	aged.endpoint("acme")
	old := func() *webhook.Publication {
		p := publication("acme", "")
		p.CreatedAt = p.CreatedAt.Add(-grace - time.Minute)
		return p
	}
	waiting, settled := old(), old()
	var lost []webhook.DeliveryID
	for range 3 {
		p := old()
		lost = append(lost, aged.publish(p).Deliveries[0].ID)
		require.NoError(t, aged.DeleteDispatches(t.Context(), []webhook.EventKey{p.Event.Key}))
	}
	aged.publish(waiting)
	aged.record(record("acme", aged.publish(settled).Deliveries[0].ID, 1, webhook.StatusDelivered))
	fresh := postgrestest.Open(t, func() postgres.Options { o := aged.opts; o.NewUUID = nil; return o }())
	_, err := fresh.Accept(t.Context(), publication("acme", ""))
	require.NoError(t, err)

	require.Empty(t, aged.stalled())
	aged.sweep(2)
	require.ElementsMatch(t, lost, aged.stalled())
	require.Equal(t, 4, aged.count(`SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL`), "neither the settled nor the fresh")
	require.NoError(t, aged.DeleteDispatches(t.Context(), []webhook.EventKey{waiting.Event.Key}))
	require.Len(t, aged.stalled(), 4, "what waited for its start when it was swept is found afterwards")
	aged.record(record("acme", lost[0], 1, webhook.StatusDelivered))
	require.Len(t, aged.stalled(), 3)
	require.Equal(t, 3, aged.count(`SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL`))
}

// Each delivery is looked at once by each sweep, by whichever process; one that was committed with an old id is found by
// the second.
func TestSweepDeliveries_IsKept(t *testing.T) {
	t.Parallel()
	b := setup(t, agedUUIDs(grace+30*time.Minute))
	b.tenant("acme")
	b.endpoint("acme")
	b.dispatched()
	b.sweep(10)
	place := `SELECT position::text FROM reconciler_sweeps ORDER BY behind`
	var before, after []string
	require.NoError(t, b.db.Select(&before, place))
	require.NotEqual(t, before[0], before[1], "the second sweep is an hour behind")

	o := b.opts
	o.NewUUID = func() [16]byte { return agedUUID(grace + 50*time.Minute) }
	behind := postgrestest.Open(t, o)
	_, err := behind.Accept(t.Context(), publication("acme", ""))
	require.NoError(t, err)
	other := postgrestest.Open(t, b.opts)
	more, err := other.SweepDeliveries(t.Context(), grace, 10)
	require.NoError(t, err)
	require.False(t, more)
	require.NoError(t, b.db.Select(&after, place))
	require.Equal(t, before, after, "nothing is looked at twice")
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL`))
	_, err = other.SweepDeliveries(t.Context(), grace-20*time.Minute, 10) // as if twenty minutes had passed
	require.NoError(t, err)
	require.Equal(t, 2, b.count(`SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL`))
}

// A sweep that another process is at is left to it.
func TestSweepDeliveries_AtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, agedUUIDs(2*time.Hour))
	b.tenant("acme")
	b.endpoint("acme")
	b.dispatched()
	lock := b.beginBlocking(`SELECT * FROM reconciler_sweeps FOR UPDATE`)
	b.sweep(10)
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL`))
	require.NoError(t, lock.Rollback())
	b.sweep(10)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL`))
}

func TestStalledDeliveries_Held(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	over, waiting := b.held(e.ID), b.held(e.ID)
	since := func(id webhook.DeliveryID, age time.Duration) {
		_, err := b.db.Exec(`UPDATE deliveries SET held_at = $2 WHERE id = $1`, id, now().Add(-age))
		require.NoError(t, err)
	}
	since(over.ID, time.Hour+grace+time.Minute)
	since(waiting.ID, time.Hour+time.Minute)
	require.Empty(t, b.stalled(), "the endpoint's queue owns them")
	b.exec(`UPDATE deliveries SET queue_due_at = NULL`) // as a process of an earlier version holds
	require.Equal(t, []webhook.DeliveryID{over.ID}, b.stalled())
	forGood := store.StallRule{After: grace}
	n, err := b.CountStalled(t.Context(), forGood)
	require.NoError(t, err)
	require.Zero(t, n, "held for good")
}

func TestClaimReconciler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	other := postgrestest.Open(t, b.opts)
	one, two := uuid.NewString(), uuid.NewString()
	claim := func(s *postgres.Store, holder string, lease time.Duration) bool {
		mine, err := s.ClaimReconciler(t.Context(), holder, lease)
		require.NoError(t, err)
		return mine
	}
	require.True(t, claim(b.Store, one, time.Hour))
	require.False(t, claim(other, two, time.Hour))
	require.True(t, claim(b.Store, one, time.Nanosecond))
	require.Eventually(t, func() bool { return claim(other, two, time.Hour) }, 10*time.Second, time.Millisecond)
	require.False(t, claim(b.Store, one, time.Hour))
	require.True(t, claim(other, two, 0))
	require.True(t, claim(b.Store, one, time.Hour), "it was given back")
}

func TestEventState_readsTheLog(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	retry := &webhook.RetryPolicy{Schedule: []webhook.Duration{1}}
	failing, off := b.endpoint("acme", func(e *webhook.Endpoint) { e.Retry = retry }), b.endpoint("acme")
	p := publication("acme", "order-1")
	sent := b.publish(p)
	b.record(record("acme", sent.Deliveries[0].ID, 1, webhook.StatusRetrying))
	_, _, err := b.DisableEndpoint(t.Context(), "acme", off.ID, webhook.Change{Reason: "off", At: now()})
	require.NoError(t, err)
	held, err := b.HoldDelivery(t.Context(), "acme", sent.Deliveries[1].ID, now())
	require.NoError(t, err)

	s, err := b.EventState(t.Context(), p.Event.Key)
	require.NoError(t, err)
	require.Equal(t, b.accepted[0], s.Dispatch, "as it was started")
	require.Equal(t, failing.ID, s.Log[0].EndpointID)
	require.Len(t, s.Log[0].Attempts, 1)
	require.Equal(t, map[webhook.DeliveryID]bool{held.ID: true}, s.Queued)
	require.Empty(t, s.HeldAt)
	require.False(t, s.Settled())
	b.exec(`UPDATE deliveries SET queue_due_at = NULL`) // as a process of an earlier version holds
	s, err = b.EventState(t.Context(), p.Event.Key)
	require.NoError(t, err)
	require.Equal(t, map[webhook.DeliveryID]time.Time{held.ID: held.UpdatedAt}, s.HeldAt)
	require.Empty(t, s.Queued)
	b.exec(`UPDATE deliveries SET queue_due_at = created_at WHERE status = 'held'`)
	_, err = b.CancelDelivery(t.Context(), "acme", sent.Deliveries[0].ID, "enough", now())
	require.NoError(t, err)
	s, err = b.EventState(t.Context(), p.Event.Key)
	require.NoError(t, err)
	require.True(t, s.Settled(), "the endpoint's queue has the other delivery")
	_, err = b.CancelDelivery(t.Context(), "acme", held.ID, "enough", now())
	require.NoError(t, err)
	s, err = b.EventState(t.Context(), p.Event.Key)
	require.NoError(t, err)
	require.True(t, s.Settled())
	require.Empty(t, s.HeldAt)
	require.Empty(t, s.Queued)
	_, err = b.EventState(t.Context(), publication("acme", "").Event.Key)
	requireCode(t, webhook.CodeNotFound, err)
}

func TestUnknownEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	chosen, made, never := publication("acme", "order-1"), publication("acme", ""), publication("acme", "")
	b.publish(chosen)
	b.publish(made)
	unknown := []store.EventRef{
		{TenantID: "acme", EventID: "order-2"}, {TenantID: "other", EventID: "order-1"}, {TenantID: "other", EventID: made.Event.ID},
		{TenantID: "acme", EventID: never.Event.ID}, {EventID: "by hand, \"quoted\""},
	}
	known := []store.EventRef{{TenantID: "acme", EventID: "order-1"}, {TenantID: "acme", EventID: made.Event.ID}}
	got, err := b.UnknownEvents(t.Context(), append(known, unknown...))
	require.NoError(t, err)
	require.ElementsMatch(t, unknown, got)
	got, err = b.UnknownEvents(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, got)
}
