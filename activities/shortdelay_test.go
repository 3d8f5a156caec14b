package activities_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
)

// soon asks for an attempt that is repeated after delays.
func soon(delays ...time.Duration) activities.AttemptInput {
	in := input()
	in.Policy.Schedule = nil
	for _, d := range delays {
		in.Policy.Schedule = append(in.Policy.Schedule, webhook.Duration(d))
	}
	return in
}

// failing answers 503 to the first n requests, and counts all.
func failing(n int64, requests *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) <= n {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}
}

const quarter = 250 * time.Millisecond

// A delay of about a second passes inside the task, once: whoever waits for the task is to wait no longer.
func TestActivities_Attempt_retriesSoon(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in       activities.AttemptInput
		fails    int64
		status   webhook.Status
		attempts []int
		delay    time.Duration
	}{
		"delivered then":     {in: soon(quarter), fails: 1, status: webhook.StatusDelivered, attempts: []int{1, 2}},
		"exhausted then":     {in: soon(quarter), fails: 2, status: webhook.StatusExhausted, attempts: []int{1, 2}},
		"retried once":       {in: soon(quarter, quarter), fails: 3, status: webhook.StatusRetrying, attempts: []int{1, 2}, delay: quarter},
		"the longest":        {in: soon(1100 * time.Millisecond), fails: 1, status: webhook.StatusDelivered, attempts: []int{1, 2}},
		"longer":             {in: soon(10 * time.Second), fails: 1, status: webhook.StatusRetrying, attempts: []int{1}, delay: 10 * time.Second},
		"a person's attempt": {in: func() activities.AttemptInput { in := soon(quarter); in.Manual = true; return in }(), fails: 1, status: webhook.StatusRetrying, attempts: []int{1}},
		"another lane": {
			in: func() activities.AttemptInput { in := soon(quarter); in.Lane = activities.LaneIsolated; return in }(), fails: 1,
			status: webhook.StatusRetrying, attempts: []int{1}, delay: quarter,
		},
		"a wide event's": {
			in: func() activities.AttemptInput { in := soon(quarter); in.Wide = true; return in }(), fails: 1,
			status: webhook.StatusRetrying, attempts: []int{1}, delay: quarter,
		},
		"after others": {
			in: func() activities.AttemptInput {
				in := soon(time.Hour, quarter)
				in.Number, in.Scheduled = 4, 1 // attempts 2 and 3 were a person's
				return in
			}(), fails: 2, status: webhook.StatusExhausted, attempts: []int{4, 5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			b := setupInBubble(t, failing(c.fails, &requests))
			synctest.Test(t, func(t *testing.T) {
				b.inBubble()
				out, err := b.attempt(t, c.in)
				require.NoError(t, err)
				require.Equal(t, c.status, out.Status)
				numbers := []int{out.Attempt.Number}
				for _, a := range out.Missing {
					numbers = append(numbers, a.Number)
				}
				require.Equal(t, c.attempts, numbers)
				require.InDelta(t, c.delay, out.Delay, float64(time.Second), "less what passed since the attempt")
				require.EqualValues(t, len(c.attempts), requests.Load())
				require.Len(t, b.store.recorded, len(c.attempts))
				if len(c.attempts) == 2 {
					first, second := b.store.recorded[0], b.store.recorded[1]
					require.False(t, second.Attempt.StartedAt.Before(*first.NextAttemptAt), "never early")
					require.WithinDuration(t, *first.NextAttemptAt, second.Attempt.StartedAt, 10*time.Second)
				}
			})
		})
	}
}

// What the database says after the delay counts: an endpoint that was disabled meanwhile gets nothing.
func TestActivities_Attempt_retriesSoonUnlessDisabled(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	b := setup(t, failing(1, &requests))
	b.store.onRecord = func(_ context.Context, r *store.Record) (*webhook.Delivery, error) {
		d := b.store.sending.Delivery
		d.Status, d.Attempts, d.NextAttemptAt = r.Status, r.Attempt.Number, r.NextAttemptAt
		at, disabled := r.At, *b.store.sending.Endpoint
		disabled.DisabledAt = &at
		b.store.sending.Endpoint, b.store.sending.Delivery = &disabled, d
		return &d, nil
	}
	b.store.onHold = func() (*webhook.Delivery, error) {
		d := b.store.sending.Delivery
		d.Status, d.Reason, d.Queued = webhook.StatusHeld, "because", true
		return &d, nil
	}
	out, err := b.attempt(t, soon(quarter))
	require.NoError(t, err)
	require.Equal(t, webhook.StatusHeld, out.Status)
	require.Equal(t, "because", out.Reason)
	require.True(t, out.Queued)
	require.Equal(t, 1, out.Attempt.Number)
	require.Empty(t, out.Missing)
	require.EqualValues(t, 1, requests.Load())
}

// A second attempt that takes long is left to the workflow, which joins it.
func TestActivities_Attempt_retriesSoonAndSlowly(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	b := setupInBubble(t, failing(1, &requests))
	synctest.Test(t, func(t *testing.T) {
		var posts atomic.Int64
		release := make(chan struct{})
		b.options.Queue, b.options.Patience = "own", time.Second
		b.options.Failpoint = func(name string) {
			if name == "before-post" && posts.Add(1) == 2 {
				<-release
			}
		}
		b.inBubble()
		in := soon(quarter)
		out, err := b.attempt(t, in)
		require.NoError(t, err)
		require.Equal(t, webhook.StatusRetrying, out.Status)
		require.Equal(t, 1, out.Attempt.Number)
		require.Empty(t, out.Missing)
		require.Zero(t, out.Delay, "at once")
		in.Number = 2
		out, err = b.attempt(t, in)
		require.NoError(t, err)
		require.Equal(t, "own", out.FollowOn)
		close(release)
		value, err := b.env.ExecuteActivity(b.acts.Follow, in)
		require.NoError(t, err)
		require.NoError(t, value.Get(&out))
		require.Equal(t, webhook.StatusDelivered, out.Status)
		require.EqualValues(t, 2, requests.Load())
	})
}

// As many delays pass in tasks as the process has room for. The others are left to timers. The end of the worker ends those that pass.
func TestActivities_Attempt_retriesSoonWithinLimits(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	b := setupInBubble(t, failing(2, &requests))
	synctest.Test(t, func(t *testing.T) {
		waiting := make(chan struct{}, 2)
		b.options.ShortDelays = 1
		b.options.Failpoint = func(name string) {
			if name == "short-delay" {
				waiting <- struct{}{}
			}
		}
		b.inBubble()
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		b.env.SetWorkerOptions(worker.Options{BackgroundActivityContext: ctx})
		first := make(chan struct{})
		go func() {
			defer close(first)
			_, _ = b.env.ExecuteLocalActivity(b.acts.Attempt, soon(1100*time.Millisecond)) // a worker that ends may take the result or not
		}()
		<-waiting

		other := *b
		other.env = new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
		activities.Register(other.env, b.acts)
		in := soon(0, quarter)
		in.Number = 2
		out, err := other.attempt(t, in)
		require.NoError(t, err)
		require.Equal(t, webhook.StatusRetrying, out.Status)
		require.InDelta(t, quarter, out.Delay, float64(time.Second), "less what passed since the attempt")

		stop()
		<-first
		in.Number = 3
		in.Policy.Schedule = append(in.Policy.Schedule, webhook.Duration(quarter))
		out, err = other.attempt(t, in)
		require.NoError(t, err)
		require.Equal(t, webhook.StatusDelivered, out.Status)
		require.EqualValues(t, 3, requests.Load(), "nothing was sent when the delay was cut short")
	})
}
