package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

func TestReopenDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	e := b.endpoint("acme")
	exhausted, canceled, delivered := b.delivery().ID, b.delivery().ID, b.delivery().ID
	b.record(record("acme", exhausted, 1, webhook.StatusRetrying))
	b.record(record("acme", exhausted, 2, webhook.StatusExhausted))
	_, err := b.CancelDelivery(t.Context(), "acme", canceled, "enough", now())
	require.NoError(t, err)
	b.record(record("acme", delivered, 1, webhook.StatusDelivered))
	for id, want := range map[webhook.DeliveryID]webhook.Status{
		exhausted: webhook.StatusRetrying, canceled: webhook.StatusPending, delivered: webhook.StatusRetrying,
	} {
		at := now()
		attempts := b.find(id).Attempts
		_, err := b.ReopenDelivery(t.Context(), "other", id, webhook.StatusDelivered, at)
		requireCode(t, webhook.CodeNotFound, err)
		d, err := b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, at)
		require.NoError(t, err)
		require.Equal(t, want, d.Status)
		require.WithinDuration(t, at, *d.NextAttemptAt, 10*time.Second)
		require.Empty(t, d.Reason)
		require.True(t, d.Queued)

		twice, err := b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now())
		require.NoError(t, err, "a double click")
		require.Equal(t, d.NextAttemptAt, twice.NextAttemptAt)
		claimed := b.claimQueue(e.ID, 10)
		require.Len(t, claimed, 1)
		require.Equal(t, attempts, claimed[0].Attempts)
		require.Equal(t, attempts, claimed[0].Uncounted, "the whole policy again")
		require.True(t, claimed[0].Asked)

		_, err = b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now())
		require.NoError(t, err)
		require.Empty(t, b.claimQueue(e.ID, 10), "it is being attempted: another is not begun")
	}
}

func TestReopenDelivery_hastens(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.delivery().ID
	b.record(record("acme", id, 1, webhook.StatusExhausted))
	_, err := b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now())
	require.NoError(t, err)
	due := now().Add(time.Hour)
	b.exec(`UPDATE deliveries SET queue_due_at = $1, next_attempt_at = $1, asked = false`, due)
	require.Empty(t, b.claimQueue(e.ID, 1))
	d, err := b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now())
	require.NoError(t, err)
	require.Equal(t, &due, d.NextAttemptAt, "the schedule goes on as if nothing had been asked")
	claimed := b.claimQueue(e.ID, 1)
	require.Len(t, claimed, 1)
	require.True(t, claimed[0].Asked)
}

// The attempt that was under way when a person asked for another may deliver. The receiver does not get it again.
func TestReopenDelivery_deliveredMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	id := b.delivery().ID
	b.record(record("acme", id, 1, webhook.StatusDelivered))
	for _, seen := range webhook.Statuses {
		if seen == webhook.StatusDelivered {
			continue
		}
		_, err := b.ReopenDelivery(t.Context(), "acme", id, seen, now())
		requireCode(t, webhook.CodeConflict, err)
		require.ErrorContains(t, err, "delivered already")
		require.Equal(t, webhook.StatusDelivered, b.find(id).Status)
	}
}

func TestReopenDelivery_refuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	id := b.delivery().ID
	reopen := func() error {
		_, err := b.ReopenDelivery(t.Context(), "acme", id, webhook.StatusDelivered, now())
		return err
	}
	require.ErrorIs(t, reopen(), store.ErrOwnedByWorkflow)
	b.record(record("acme", id, 1, webhook.StatusExhausted))
	for _, c := range []struct{ change, undo, helps string }{
		{`UPDATE deliveries SET test = true`, `UPDATE deliveries SET test = false`, "test the endpoint again"},
		{`UPDATE deliveries SET attempts = 1000`, `UPDATE deliveries SET attempts = 1`, "publish a new event"},
		{`UPDATE endpoints SET disabled_at = now()`, `UPDATE endpoints SET disabled_at = NULL`, "enable it first"},
		{`UPDATE endpoints SET deleted_at = now()`, `UPDATE endpoints SET deleted_at = NULL`, "make a recovery with missed"},
		{`UPDATE deliveries SET event_key = gen_random_uuid()`, `UPDATE deliveries SET event_key = (SELECT id FROM events)`, "publish a new one"},
	} {
		b.exec(c.change)
		err := reopen()
		requireCode(t, webhook.CodeConflict, err)
		require.ErrorContains(t, err, c.helps)
		require.Equal(t, webhook.StatusExhausted, b.find(id).Status, c.change)
		b.exec(c.undo)
	}
	b.exec(`UPDATE deliveries SET attempts = 999`)
	require.NoError(t, reopen(), "one below the limit")
	b.exec(`UPDATE deliveries SET attempts = 1000`)
	requireCode(t, webhook.CodeConflict, reopen())
	b.exec(`UPDATE deliveries SET attempts = 999`)
	require.Equal(t, 1, b.state(e.ID).Waiting)
}
