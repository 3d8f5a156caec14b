package activities_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/testsuite"

	"waybill/activities"
	"waybill/webhook"
)

// A second call for an attempt in flight gets its result, and the receiver gets no second request. Express mode asks the
// way the fast lane does.
func TestActivities_Attempt_joinsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	lanes := []activities.Lane{activities.LaneFast, activities.LaneIsolated}
	for _, first := range lanes {
		for _, second := range lanes {
			t.Run(string(second)+" joins "+string(first), func(t *testing.T) {
				t.Parallel()
				var arrivals atomic.Int32
				b := setupInBubble(t, func(http.ResponseWriter, *http.Request) { arrivals.Add(1) })
				synctest.Test(t, func(t *testing.T) { joins(t, b, first, second) })
				require.EqualValues(t, 1, arrivals.Load())
				require.Len(t, b.store.recorded, 1)
			})
		}
	}
}

// setupInBubble is setup for activities that run in a bubble of synctest.
func setupInBubble(t *testing.T, receive http.HandlerFunc) *bundle {
	b := setup(t, receive)
	b.store.sending.Endpoint.URL = serveBubble(t, receive) + "/hook?token=s3cret-query"
	b.options.Registerer = nil // for the activities that the test makes in its bubble
	return b
}

// inBubble makes the activities anew, so that they go by the clock of the bubble that calls it.
func (b *bundle) inBubble() {
	b.registry = prometheus.NewRegistry()
	b.options.Registerer = b.registry
	b.acts, b.env = activities.New(b.options), new(testsuite.WorkflowTestSuite).NewTestActivityEnvironment()
	activities.Register(b.env, b.acts)
}

// serveBubble returns the URL of a receiver that speaks HTTP/1.1 and closes the connection with the answer, because the clock of a bubble
// stands while one is open.
func serveBubble(t *testing.T, receive http.HandlerFunc) string {
	s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		receive(w, r)
	})
	return s.URL
}

func joins(t *testing.T, b *bundle, first, second activities.Lane) {
	release := make(chan struct{})
	b.options.Failpoint = func(string) { <-release }
	b.options.Queue, b.options.Patience = "own-queue", time.Minute
	acts := activities.New(b.options)
	results := make(chan *activities.AttemptResult)
	for _, lane := range []activities.Lane{first, second, second} {
		go func() {
			in := input()
			in.Lane = lane
			out, err := acts.Attempt(context.Background(), in)
			if err != nil {
				t.Error(err)
			}
			results <- out
		}()
		synctest.Wait() // it is about to send, or waits for the one that is
	}
	close(release)
	want := <-results
	require.Equal(t, webhook.StatusDelivered, want.Status)
	require.Equal(t, want, <-results)
	require.Equal(t, want, <-results)
}

// An attempt that waits for the fast lane without success does not prevent the isolated lane, which has a free slot, from
// making it.
func TestActivities_Attempt_isolatedDoesNotSpill(t *testing.T) {
	t.Parallel()
	b := setupInBubble(t, answer(204))
	b.options.FastLimit, b.options.FastWait = 1, time.Minute
	b.options.Queue, b.options.Patience = "own-queue", time.Hour
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var passes atomic.Int32
		b.options.Failpoint = func(string) {
			if passes.Add(1) == 1 {
				<-release
			}
		}
		acts := activities.New(b.options)
		ended := make(chan *activities.AttemptResult)
		attempt := func(number int, lane activities.Lane) {
			in := input()
			in.Number, in.Lane = number, lane
			out, err := acts.Attempt(context.Background(), in)
			if err != nil {
				t.Error(err)
			}
			ended <- out
		}
		go attempt(1, activities.LaneFast)
		synctest.Wait()
		go attempt(2, activities.LaneFast)
		synctest.Wait()
		go attempt(2, activities.LaneIsolated)
		fast, isolated := <-ended, <-ended
		if !fast.Spilled {
			fast, isolated = isolated, fast
		}
		require.True(t, fast.Spilled)
		require.Equal(t, webhook.StatusDelivered, isolated.Status)
		close(release)
		require.Equal(t, webhook.StatusDelivered, (<-ended).Status)
	})
}

// A panic is an internal fault: it is logged, the process survives, and the attempt can be made again.
func TestActivities_Attempt_survivesAPanic(t *testing.T) {
	t.Parallel()
	for _, where := range []string{"before-post", "after-response", "after-record"} {
		for name, ask := range map[string]func(*testing.T, *bundle) (*activities.AttemptResult, error){
			"fast":     func(t *testing.T, b *bundle) (*activities.AttemptResult, error) { return b.attempt(t, input()) },
			"isolated": func(t *testing.T, b *bundle) (*activities.AttemptResult, error) { return b.attempt(t, isolated()) },
			"express": func(_ *testing.T, b *bundle) (*activities.AttemptResult, error) {
				return b.acts.Attempt(context.Background(), input())
			},
		} {
			t.Run(name+" "+where, func(t *testing.T) {
				t.Parallel()
				b := setupInBubble(t, answer(204))
				b.options.FastLimit, b.options.IsolatedLimit = 1, 1
				panics(where)(&b.options)
				synctest.Test(t, func(t *testing.T) {
					b.inBubble()
					_, err := ask(t, b)
					requirePanic(t, b, err)
					out, err := ask(t, b)
					require.NoError(t, err, "the only slot is free")
					require.Equal(t, webhook.StatusDelivered, out.Status)
				})
			})
		}
	}
}

func TestActivities_Follow_survivesAPanic(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := setup(t, holding(release), panics("after-response"),
		func(o *activities.Options) { o.Queue, o.Patience, o.FastLimit = "own-queue", time.Millisecond, 1 })
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, "own-queue", out.FollowOn)
	close(release)
	_, err = b.env.ExecuteActivity(b.acts.Follow, input())
	requirePanic(t, b, err)

	out, err = b.attempt(t, isolated())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
}

// An attempt that ended in an internal fault and is kept for Follow is made again by the next call.
func TestActivities_Attempt_doesNotJoinAFault(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := setup(t, holding(release), panics("after-response"),
		func(o *activities.Options) { o.Queue, o.Patience, o.FastLimit = "own-queue", time.Millisecond, 1 })
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, "own-queue", out.FollowOn)
	close(release)
	require.NoError(t, activities.Drain(t.Context(), b.acts))
	out, err = b.attempt(t, isolated())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
}

// A result that is kept for Follow, which never came, is not the answer to an attempt that is asked for later: the endpoint may have
// been enabled since.
func TestActivities_Attempt_doesNotJoinTheHeld(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(204), func(o *activities.Options) { o.Queue, o.Patience = "own-queue", time.Millisecond })
	enabled, release := *b.store.sending.Endpoint, make(chan struct{})
	disabled := enabled
	disabled.DisabledAt = &time.Time{}
	b.store.sending.Endpoint = &disabled
	b.store.onHold = func() (*webhook.Delivery, error) {
		<-release
		return &webhook.Delivery{Status: webhook.StatusHeld}, nil
	}
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, "own-queue", out.FollowOn)
	close(release)
	require.NoError(t, activities.Drain(t.Context(), b.acts))
	b.store.sending.Endpoint = &enabled
	out, err = b.attempt(t, isolated())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status)
}

// panics makes the first pass of a failpoint panic.
func panics(where string) func(*activities.Options) {
	return func(o *activities.Options) {
		var passes atomic.Int32
		o.Failpoint = func(name string) {
			if name == where && passes.Add(1) == 1 {
				panic("boom")
			}
		}
	}
}

func isolated() activities.AttemptInput {
	in := input()
	in.Lane = activities.LaneIsolated
	return in
}

// requirePanic checks that a panic became an error that is retried, a line of the log with the stack, and a count.
func requirePanic(t *testing.T, b *bundle, err error) {
	t.Helper()
	requireType(t, err, "internal", false)
	require.NotContains(t, err.Error(), "boom", "the cause is for the log")
	require.Contains(t, b.logged.String(), "panic: boom")
	require.Contains(t, b.logged.String(), "inflight_test.go", "the stack")
	require.NoError(t, testutil.GatherAndCompare(b.registry, strings.NewReader(`
# HELP waybill_attempt_panics_total Attempts that ended in a panic of Waybill itself; they are made again.
# TYPE waybill_attempt_panics_total counter
waybill_attempt_panics_total 1
`), "waybill_attempt_panics_total"))
}
