package activities_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
)

// A retry can be due before the drain has taken the end of the attempt before it. The drain waits for both.
func TestActivities_Drain_nextBeforeTheEnd(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	q.endpoint.URL = serveBubble(t, answer(500))
	synctest.Test(t, func(t *testing.T) {
		next := make(chan struct{})
		var posts atomic.Int32
		b.options.Failpoint = func(name string) {
			switch {
			case name == "before-post" && posts.Add(1) == 2:
				close(next)
				time.Sleep(time.Second)
			case name == "after-record":
				<-next
			}
		}
		q.add(queued(1)...)
		out, err := drainInBubble(t, b)
		require.NoError(t, err)
		require.Equal(t, activities.QueueEmpty, out.End)
		require.Equal(t, 2, out.Attempts)
	})
}

// What a fault leaves of an attempt that was recorded takes the lease from none that was claimed since.
func TestActivities_Drain_faultAfterTheNextBegan(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	q.endpoint.URL = serveBubble(t, answer(500))
	synctest.Test(t, func(t *testing.T) {
		next := make(chan struct{})
		var posts, records atomic.Int32
		b.options.Failpoint = func(name string) {
			switch {
			case name == "before-post" && posts.Add(1) == 2:
				close(next)
				time.Sleep(time.Second)
			case name == "after-record" && records.Add(1) == 1:
				<-next
				panic("a bug")
			}
		}
		q.add(queued(1)...)
		out, err := drainInBubble(t, b)
		require.NoError(t, err)
		require.Equal(t, activities.QueueEmpty, out.End)
		require.Equal(t, 1, out.Attempts, "of the first nothing is known but its record")
		require.Empty(t, q.postponed)
		require.Len(t, q.records, 2)
	})
}

// A database that fails as an attempt reads what to send, and as the next ones are claimed, leaves no lease that lasts as long as a request.
func TestActivities_Drain_databaseGoesDown(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	synctest.Test(t, func(t *testing.T) {
		q.whileReading = func() {
			q.mu.Lock()
			q.down = true
			q.mu.Unlock()
			time.Sleep(time.Second)
		}
		q.bad[queuedID(1)] = errDown
		q.add(queued(1)...)
		_, err := drainInBubble(t, b)
		require.Error(t, err)
		q.requireNoLeases(t)
	})
}

// A database that is down and a receiver that hangs keep a drain for its grace once.
func TestActivities_Drain_waitsOnceForWhatHangs(t *testing.T) {
	t.Parallel()
	b, q := setupQueue(t, unreachable(t))
	q.endpoint.URL = serveBubble(t, answer(204))
	synctest.Test(t, func(t *testing.T) {
		b.options.Failpoint = func(name string) {
			if name == "before-post" {
				time.Sleep(time.Minute)
			}
		}
		q.bad[queuedID(1)] = errDown
		q.add(queued(2)...)
		began := time.Now()
		_, err := drainInBubble(t, b)
		require.Error(t, err)
		require.WithinDuration(t, began.Add(5*time.Second), time.Now(), time.Second)
		require.NoError(t, activities.Drain(t.Context(), b.acts))
	})
}

// drainInBubble drains by the clock of the bubble that calls it.
func drainInBubble(t *testing.T, b *bundle) (*activities.DrainResult, error) {
	t.Helper()
	b.inBubble()
	return b.acts.Drain(t.Context(), activities.DrainInput{Tenant: "acme", EndpointID: endpointID})
}
