package activities_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"

	"waybill/activities"
	"waybill/webhook"
)

func TestActivities_Attempt_spills(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}, 2), make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		holding(release)(w, r)
	}, func(o *activities.Options) { o.FastLimit, o.IsolatedLimit = 1, 1 })
	results := make(chan *activities.AttemptResult, 2)
	for number, lane := range []activities.Lane{activities.LaneFast, activities.LaneIsolated} {
		go func() {
			in := input()
			in.Number, in.Lane = number+2, lane
			out, _ := b.acts.Attempt(context.Background(), in)
			results <- out
		}()
		received(t, entered)
	}
	reads := b.store.reads
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.True(t, out.Spilled)
	require.Positive(t, out.Delay, "the isolated lane is full as well")

	in := input()
	in.Lane = activities.LaneIsolated
	_, err = b.attempt(t, in)
	requireType(t, err, "busy", false)
	require.GreaterOrEqual(t, applicationError(t, err).NextRetryDelay(), time.Second)
	require.Equal(t, reads, b.store.reads, "the database is left alone")
	close(release)
	for range 2 {
		out := received(t, results)
		require.NotNil(t, out)
		require.Equal(t, webhook.StatusDelivered, out.Status)
	}
}

func TestActivities_Attempt_givesItsSlotBack(t *testing.T) {
	t.Parallel()
	b := setupInBubble(t, answer(204))
	b.options.FastLimit, b.options.IsolatedLimit = 1, 1
	synctest.Test(t, func(t *testing.T) {
		b.inBubble()
		for range 3 {
			for _, lane := range []activities.Lane{activities.LaneFast, activities.LaneIsolated} {
				in := input()
				in.Lane = lane
				out, err := b.attempt(t, in)
				require.NoError(t, err)
				require.Equal(t, webhook.StatusDelivered, out.Status)
			}
		}
	})
}

// How quick one answer was decides the lane of the next attempt.
func TestActivities_Attempt_spillsToASlowEndpoint(t *testing.T) {
	t.Parallel()
	var hangs atomic.Bool
	b := setup(t, func(_ http.ResponseWriter, r *http.Request) {
		if hangs.Load() {
			<-r.Context().Done()
		}
	})
	timeout := webhook.Duration(200 * time.Millisecond)
	b.store.sending.Endpoint.Timeout = &timeout
	attempt := func(lane activities.Lane) *activities.AttemptResult {
		in := input()
		in.Lane = lane
		out, err := b.attempt(t, in)
		require.NoError(t, err)
		return out
	}
	hangs.Store(true)
	require.False(t, attempt(activities.LaneFast).Spilled)
	require.True(t, attempt(activities.LaneFast).Spilled)
	hangs.Store(false)
	timeout = webhook.Duration(10 * time.Second) // a busy machine may take more than what the receiver was let hang for
	spilled, isolated := 1, 0
	out := attempt(activities.LaneFast)
	for ; out.Spilled && isolated < 100; out = attempt(activities.LaneFast) { // on a busy machine a good answer may be slow as well
		spilled++
		require.Equal(t, webhook.StatusDelivered, attempt(activities.LaneIsolated).Status)
		isolated++
	}
	require.Positive(t, isolated)
	require.Equal(t, webhook.StatusDelivered, out.Status)
	require.NoError(t, testutil.GatherAndCompare(b.registry, strings.NewReader(fmt.Sprintf(`
# HELP waybill_attempts_total Attempts made, by outcome, class of error (empty: none) and lane.
# TYPE waybill_attempts_total counter
waybill_attempts_total{error_class="",lane="fast",outcome="delivered"} 1
waybill_attempts_total{error_class="",lane="isolated",outcome="delivered"} %d
waybill_attempts_total{error_class="http_status",lane="fast",outcome="rejected"} 0
waybill_attempts_total{error_class="http_status",lane="isolated",outcome="rejected"} 0
`+zeros("auth", "blocked", "connect", "dns", "http_status", "protocol", "redirect", "tls")+`
waybill_attempts_total{error_class="timeout",lane="fast",outcome="retryable"} 1
waybill_attempts_total{error_class="timeout",lane="isolated",outcome="retryable"} 0
# HELP waybill_attempts_spilled_total Attempts for which the fast lane had no free slot.
# TYPE waybill_attempts_spilled_total counter
waybill_attempts_spilled_total %d
`, isolated, spilled)), "waybill_attempts_total", "waybill_attempts_spilled_total"))
}

// zeros are the series of error classes that did not occur: created, so that a graph shows them.
func zeros(classes ...string) string {
	var out strings.Builder
	for _, class := range classes {
		for _, lane := range []string{"fast", "isolated"} {
			fmt.Fprintf(&out, "waybill_attempts_total{error_class=%q,lane=%q,outcome=\"retryable\"} 0\n", class, lane)
		}
	}
	return out.String()
}

func TestActivities_Attempt_beatsInTheIsolatedLane(t *testing.T) {
	t.Parallel()
	var beats atomic.Int64
	enough := make(chan struct{})
	b := setup(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-enough:
		case <-r.Context().Done():
		}
	}, func(o *activities.Options) { o.HeartbeatEvery = 5 * time.Millisecond })
	b.env.SetOnActivityHeartbeatListener(func(*activity.Info, converter.EncodedValues) {
		if beats.Add(1) == 1 {
			close(enough)
		}
	})
	in := input()
	in.Lane = activities.LaneIsolated
	out, err := b.attempt(t, in)
	require.NoError(t, err)
	require.Equal(t, webhook.StatusDelivered, out.Status, "the receiver answers only after a heartbeat")
	require.Positive(t, beats.Load())
}
