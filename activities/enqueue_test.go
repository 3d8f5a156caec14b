package activities_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

// express is the input of an attempt that leaves what it does not settle to the endpoint's queue.
func express() activities.AttemptInput {
	in := input()
	in.QueueRetries = true
	return in
}

// queueing makes the store's deliveries belong to the queue once a record, or a call, says so.
func queueing(b *bundle) {
	b.store.onRecord = func(_ context.Context, r *store.Record) (*webhook.Delivery, error) {
		d := b.store.sending.Delivery
		d.Status, d.Attempts, d.NextAttemptAt, d.Queued = r.Status, r.Attempt.Number, r.NextAttemptAt, r.Queued
		return &d, nil
	}
	b.store.onQueue = func(webhook.DeliveryID, time.Duration) (bool, error) { return true, nil }
}

func wake() string { return "wake acme " + endpointID.String() }

// A delivery that fails belongs to its endpoint's queue, which is awake then.
func TestActivities_Attempt_leavesRetriesToTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(500))
	queueing(b)
	out, err := b.acts.Attempt(t.Context(), express())
	require.NoError(t, err)
	require.True(t, out.Queued)
	require.Equal(t, webhook.StatusRetrying, out.Status)
	require.True(t, b.store.recorded[0].Queued)
	require.Equal(t, "00000000-0000-0000-0000-000000000000", b.store.recorded[0].Holder)
	require.Empty(t, b.engine.told, "whoever asked for the attempt wakes the queue")
}

// What is delivered wakes nobody, and neither does what is held.
func TestActivities_Attempt_wakesNoQueueForNothing(t *testing.T) {
	t.Parallel()
	b := setupInBubble(t, answer(204))
	queueing(b)
	synctest.Test(t, func(t *testing.T) {
		b.inBubble()
		out, err := b.acts.Attempt(t.Context(), express())
		require.NoError(t, err)
		require.Equal(t, webhook.StatusDelivered, out.Status)
		require.False(t, b.store.recorded[0].Queued, "it never waited in the queue")
		b.store.onSending = func() (*store.Sending, error) {
			s := b.store.sending
			s.Delivery.Status, s.Delivery.Queued = webhook.StatusHeld, true
			return &s, nil
		}
		out, err = b.acts.Attempt(t.Context(), express())
		require.NoError(t, err)
		require.Equal(t, webhook.StatusHeld, out.Status)
		require.Empty(t, b.engine.told)
	})
}

// Many failures of an endpoint wake its queue once: something is due in it, so it stays awake.
func TestWakeQueue(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := setup(t, answer(500), func(o *activities.Options) { o.Now = func() time.Time { return now } })
	wakeFor := func(delay time.Duration) bool {
		asked, err := activities.WakeQueue(t.Context(), b.acts, "acme", endpointID, delay)
		require.NoError(t, err)
		return asked
	}
	require.True(t, wakeFor(time.Minute))
	var wakes sync.WaitGroup
	for range 50 {
		wakes.Go(func() { _, _ = activities.WakeQueue(context.Background(), b.acts, "acme", endpointID, 2*time.Minute) })
	}
	wakes.Wait()
	require.Equal(t, []string{wake()}, b.engine.told)
	require.True(t, wakeFor(time.Second), "something is due sooner")
	now = now.Add(time.Second)
	require.True(t, wakeFor(time.Minute), "what was due may have left the queue by now")
	require.Len(t, b.engine.told, 3)
}

// A wake that failed is made again at once.
func TestWakeQueue_fails(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(500))
	b.engine.onWake = func() error { return errDown }
	asked, err := activities.WakeQueue(t.Context(), b.acts, "acme", endpointID, time.Minute)
	require.Equal(t, webhook.CodeUnavailable, webhook.ErrorCode(err))
	require.True(t, asked)
	b.engine.onWake = nil
	_, err = activities.WakeQueue(t.Context(), b.acts, "acme", endpointID, time.Minute)
	require.NoError(t, err)
	require.Equal(t, []string{wake()}, b.engine.told)
}

// An event's workflow whose attempt was left to the queue by express mode wakes it, or has the attempt fail, so that Temporal repeats it.
func TestActivities_Attempt_whoseQueueCannotBeWoken(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(500))
	b.engine.onWake = func() error { return errDown }
	due := time.Now().Add(time.Minute)
	b.store.onSending = func() (*store.Sending, error) {
		s := b.store.sending
		s.Delivery.Status, s.Delivery.Attempts, s.Delivery.Queued, s.Delivery.NextAttemptAt = webhook.StatusRetrying, 1, true, &due
		return &s, nil
	}
	b.store.onRecorded = func(int) ([]webhook.AttemptSummary, error) { return []webhook.AttemptSummary{{Number: 1}}, nil }
	_, err := b.attempt(t, input())
	requireType(t, err, "unavailable", false)
	b.engine.onWake = nil
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.True(t, out.Queued)
	require.InDelta(t, time.Minute, out.Delay, float64(bounded), "since now, whenever it was recorded")
	require.Empty(t, b.store.recorded)
	require.Equal(t, []string{wake()}, b.engine.told)
}

// setupBusy has an endpoint each lane of which has one slot, and the fast one is taken until the test ends.
func setupBusy(t *testing.T) *bundle {
	t.Helper()
	entered, release := make(chan struct{}, 1), make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		holding(release)(w, r)
	}, func(o *activities.Options) { o.FastLimit, o.IsolatedLimit = 1, 1 })
	queueing(b)
	first := make(chan error, 1)
	go func() {
		in := express()
		in.Number = 2
		_, err := b.acts.Attempt(context.Background(), in)
		first <- err
	}()
	received(t, entered)
	t.Cleanup(func() {
		close(release)
		require.NoError(t, received(t, first))
	})
	return b
}

// What there is no slot for waits in the queue.
func TestActivities_Attempt_queuesWhatHasNoSlot(t *testing.T) {
	t.Parallel()
	b := setupBusy(t)
	out, err := b.acts.Attempt(t.Context(), express())
	require.NoError(t, err)
	require.Equal(t, &activities.AttemptResult{Status: webhook.StatusPending, Queued: true, Delay: time.Second}, out)
}

// What somebody has settled, or held, since the attempt was asked for is as they left it.
func TestActivities_Attempt_queuesNothingThatIsSettled(t *testing.T) {
	t.Parallel()
	b := setupBusy(t)
	b.store.onQueue = func(webhook.DeliveryID, time.Duration) (bool, error) { return false, nil }
	b.store.onDelivery = func() (*webhook.Delivery, error) {
		return &webhook.Delivery{Status: webhook.StatusCanceled, Reason: "a person"}, nil
	}
	out, err := b.acts.Attempt(t.Context(), express())
	require.NoError(t, err)
	require.Equal(t, &activities.AttemptResult{Status: webhook.StatusCanceled, Reason: "a person"}, out)
	require.Empty(t, b.engine.told)
}
