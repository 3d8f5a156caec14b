package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// queued is the record of an attempt that the endpoint's queue made.
func queued(id webhook.DeliveryID, number int, status webhook.Status) *store.Record {
	r := record("acme", id, number, status)
	r.Queued = true
	return r
}

// reopened is a delivery of e that had an attempt and was opened again, and that somebody leased.
func (b *bundle) reopened(e *webhook.Endpoint) webhook.DeliveryID {
	b.t.Helper()
	p := publication("acme", "")
	p.Only = e.ID
	id := b.publish(p).Deliveries[0].ID
	b.record(record("acme", id, 1, webhook.StatusExhausted))
	_, err := b.ReopenDelivery(b.t.Context(), "acme", id, webhook.StatusDelivered, now())
	require.NoError(b.t, err)
	require.Len(b.t, b.claimQueue(e.ID, 10), 1)
	return id
}

// What the queue attempted without success waits in the queue for its next attempt.
func TestRecordAttempt_queued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.reopened(e)
	r := queued(id, 2, webhook.StatusRetrying)
	next := now().Add(-time.Second)
	r.NextAttemptAt = &next
	d := b.record(r)
	require.Equal(t, webhook.StatusRetrying, d.Status)
	require.WithinDuration(t, next, *d.NextAttemptAt, 10*time.Second)
	require.True(t, d.Queued)
	again := b.claimQueue(e.ID, 10)
	require.Len(t, again, 1, "its lease has ended")
	require.False(t, again[0].Asked, "one attempt was asked for")
	require.Equal(t, 2, again[0].Attempts)
	require.Equal(t, 1, again[0].Uncounted)

	r = queued(id, 3, webhook.StatusRetrying)
	r.Uncounted, r.NextAttemptAt = true, &next
	b.record(r)
	again = b.claimQueue(e.ID, 10)
	require.Equal(t, 2, again[0].Uncounted, "a manual attempt leaves the schedule")

	d = b.record(queued(id, 4, webhook.StatusExhausted))
	require.Equal(t, webhook.StatusExhausted, d.Status)
	require.False(t, d.Queued)
	require.Zero(t, b.state(e.ID).Waiting)

	id = b.reopened(e)
	d = b.record(queued(id, 2, webhook.StatusDelivered))
	require.Equal(t, webhook.StatusDelivered, d.Status)
	require.False(t, d.Queued)
	require.Zero(t, b.state(e.ID).Waiting)
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE queue_lease IS NOT NULL OR asked`))
}

// An attempt of the queue that fails after its endpoint was disabled leaves the delivery held.
func TestRecordAttempt_queuedOfADisabledEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.reopened(e)
	b.disable(e.ID, "out of order")
	more, err := b.HoldQueued(t.Context(), "acme", e.ID, now(), 10)
	require.NoError(t, err)
	require.False(t, more)
	d := b.record(queued(id, 2, webhook.StatusRetrying))
	require.Equal(t, webhook.StatusHeld, d.Status)
	require.Equal(t, "out of order", d.Reason)
	require.True(t, d.Queued)
	b.enable(e.ID)
	require.Len(t, b.claimQueue(e.ID, 10), 1)
}

// The event's workflow had an attempt under way when the delivery changed hands.
func TestRecordAttempt_lateOfTheWorkflow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.held(e.ID).ID
	d := b.record(record("acme", id, 1, webhook.StatusRetrying))
	require.Equal(t, webhook.StatusHeld, d.Status)
	require.Equal(t, "out of order", d.Reason)
	require.Equal(t, 1, d.Attempts)
	require.Equal(t, 500, d.LastAttempt.StatusCode)
	b.enable(e.ID)
	claimed := b.claimQueue(e.ID, 10)
	require.Len(t, claimed, 1)
	require.Equal(t, 1, claimed[0].Uncounted, "the schedule goes on where it was")

	late := record("acme", id, 2, webhook.StatusExhausted)
	d = b.record(late)
	require.Equal(t, webhook.StatusRetrying, d.Status)
	require.Empty(t, b.claimQueue(e.ID, 10), "the attempt of the queue is under way")
	// Both had the number 2. Each is recorded, once.
	mine := queued(id, 2, webhook.StatusRetrying)
	require.Equal(t, 3, b.record(mine).Attempts)
	require.Equal(t, 3, b.record(mine).Attempts)
	require.Equal(t, 3, b.record(late).Attempts)
	made, err := b.RecordedAttempts(t.Context(), id, 1)
	require.NoError(t, err)
	require.Len(t, made, 3)

	d = b.record(record("acme", id, 4, webhook.StatusDelivered))
	require.Equal(t, webhook.StatusDelivered, d.Status)
	require.False(t, d.Queued)
	require.Zero(t, b.state(e.ID).Waiting)
}

// A delivery that was settled while its attempt was under way stays so, unless the attempt delivered it.
func TestRecordAttempt_settledMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.reopened(e)
	_, err := b.CancelDelivery(t.Context(), "acme", id, "enough", now())
	require.NoError(t, err)
	d := b.record(queued(id, 2, webhook.StatusRetrying))
	require.Equal(t, webhook.StatusCanceled, d.Status)
	require.Equal(t, "enough", d.Reason)
	require.False(t, d.Queued)
	d = b.record(queued(id, 3, webhook.StatusDelivered))
	require.Equal(t, webhook.StatusDelivered, d.Status)
	d = b.record(queued(id, 4, webhook.StatusExhausted))
	require.Equal(t, webhook.StatusDelivered, d.Status)
	d = b.record(queued(id, 4, webhook.StatusDelivered))
	require.Equal(t, 5, d.Attempts, "another attempt, which had the same number")
	require.Equal(t, 1, b.count(`SELECT sum(delivered) FROM delivery_stats`))
}

// A delivery that was canceled and opened again while its last attempt was under way has its whole policy again, and its attempt.
func TestRecordAttempt_openedAgainMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.reopened(e)
	before := queued(id, 2, webhook.StatusExhausted)
	before.Holder = uuid.NewString()
	_, err := b.CancelDelivery(t.Context(), "acme", id, "enough", now())
	require.NoError(t, err)
	_, err = b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now())
	require.NoError(t, err)
	holder := uuid.NewString()
	claimed, err := b.ClaimQueued(t.Context(), "acme", e.ID, holder, lease, 10)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	d := b.record(before)
	require.Equal(t, webhook.StatusRetrying, d.Status)
	require.Equal(t, 2, d.Attempts)
	require.Empty(t, b.claimQueue(e.ID, 10), "the lease of the other stays")
	require.NoError(t, b.ReleaseQueued(t.Context(), holder, idsOfQueued(claimed)))
	claimed, err = b.ClaimQueued(t.Context(), "acme", e.ID, holder, lease, 10)
	require.NoError(t, err)
	require.Equal(t, 2, claimed[0].Uncounted)
	require.True(t, claimed[0].Asked)
	r := queued(id, 3, webhook.StatusExhausted)
	r.Holder = holder
	require.Equal(t, webhook.StatusExhausted, b.record(r).Status)
}

func TestRecordAttempt_URL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	for _, status := range []webhook.Status{webhook.StatusDelivered, webhook.StatusExhausted} {
		r := record("acme", b.delivery().ID, 1, status)
		r.Attempt.URL = "https://receiver.example/hook?a=b"
		b.record(r)
		a, err := b.Attempt(t.Context(), "acme", r.Attempt.ID)
		require.NoError(t, err)
		require.Equal(t, r.Attempt.URL, a.URL)
	}
}

// Records, holds, enables, claims and cancels of the same rows at the same time: none deadlocks, and each attempt is there.
func TestRecordAttempt_besideEverythingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	endpoints := []*webhook.Endpoint{b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme")}
	var ids []webhook.DeliveryID
	for range 12 {
		for _, d := range b.publish(publication("acme", "")).Deliveries {
			ids = append(ids, d.ID)
		}
	}
	var wg sync.WaitGroup
	report := func(err error) {
		if err != nil && webhook.ErrorCode(err) != webhook.CodeConflict {
			t.Error(err)
		}
	}
	for i, id := range ids {
		wg.Go(func() {
			for n := 1; n <= 4; n++ {
				status := webhook.StatusRetrying
				if (n+i)%3 == 0 {
					status = webhook.StatusDelivered
				}
				r := record("acme", id, n, status)
				r.Queued, r.AutoDisable = i%2 == 0, &webhook.AutoDisable{Failures: 5}
				_, err := b.RecordAttempt(t.Context(), r)
				report(err)
				_, err = b.HoldDelivery(t.Context(), "acme", id, now())
				report(err)
				_, err = b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now())
				report(err)
			}
			_, err := b.CancelDelivery(t.Context(), "acme", id, "enough", now())
			report(err)
		})
	}
	for _, e := range endpoints {
		wg.Go(func() {
			for range 10 {
				_, _, err := b.DisableFailing(t.Context(), "acme", e.ID, &webhook.AutoDisable{Failures: 2}, now())
				report(err)
				_, err = b.HoldQueued(t.Context(), "acme", e.ID, now(), 3)
				report(err)
				_, _, err = b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()})
				report(err)
				_, err = b.ClaimQueued(t.Context(), "acme", e.ID, "019b0000-0000-7000-8000-000000000000", time.Millisecond, 5)
				report(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 4*len(ids), b.count(`SELECT count(*) FROM attempts`))
	require.Equal(t, 4*len(ids), b.count(`SELECT sum(attempts) FROM delivery_stats`))
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE queue_due_at IS NOT NULL AND status IN ('delivered', 'exhausted', 'canceled')`))
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE status = 'held' AND queue_due_at IS NULL`))
}
