package activities_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

// A queue and an event's workflow never attempt the same delivery.
func TestActivities_Attempt_ofWhatTheQueueOwns(t *testing.T) {
	t.Parallel()
	b := setup(t, unreachable(t))
	b.store.sending.Delivery.Status, b.store.sending.Delivery.Queued = webhook.StatusRetrying, true
	for _, lane := range []activities.Lane{activities.LaneFast, activities.LaneIsolated} {
		in := input()
		in.Lane = lane
		out, err := b.attempt(t, in)
		require.NoError(t, err)
		require.True(t, out.Queued)
		require.Equal(t, webhook.StatusRetrying, out.Status)
		require.Nil(t, out.Attempt)
	}
}

// A hold hands the delivery over.
func TestActivities_Attempt_handsOver(t *testing.T) {
	t.Parallel()
	b := setup(t, unreachable(t))
	at := time.Now()
	b.store.sending.Endpoint.DisabledAt = &at
	b.store.onHold = func() (*webhook.Delivery, error) {
		return &webhook.Delivery{Status: webhook.StatusHeld, Reason: "it moves", Queued: true}, nil
	}
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.True(t, out.Queued)
	require.Equal(t, "it moves", out.Reason)
	require.Contains(t, out.Host, "127.0.0.1")
}

// A test is one attempt, whatever the state of the endpoint and its policy, and says nothing of the endpoint's health.
func TestActivities_Attempt_ofATest(t *testing.T) {
	t.Parallel()
	b := setup(t, answer(500))
	at := time.Now()
	b.store.sending.Endpoint.DisabledAt = &at
	b.store.sending.Endpoint.AutoDisable = &webhook.AutoDisable{Failures: 1}
	b.store.sending.Delivery.Test = true
	out, err := b.attempt(t, input())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusExhausted, out.Status)
	require.Nil(t, b.store.recorded[0].AutoDisable)
	require.Empty(t, b.engine.told)
}

// The failure that completes a streak disables the endpoint, after it is recorded.
func TestActivities_Attempt_disablesAfterAStreak(t *testing.T) {
	t.Parallel()
	since, last := time.Now().Add(-time.Hour), time.Now()
	for name, c := range map[string]struct {
		own    *webhook.AutoDisable
		streak *webhook.Streak
		told   []string
	}{
		"reached":             {nil, &webhook.Streak{Failures: 10, Since: &since, LastFailureAt: &last}, []string{"disable failing: 10"}},
		"not yet":             {nil, &webhook.Streak{Failures: 9, Since: &since, LastFailureAt: &last}, nil},
		"too quick":           {nil, &webhook.Streak{Failures: 99, Since: &last, LastFailureAt: &last}, nil},
		"the endpoint's rule": {&webhook.AutoDisable{Failures: 3}, &webhook.Streak{Failures: 3, Since: &last, LastFailureAt: &last}, []string{"disable failing: 3"}},
		"off":                 {&webhook.AutoDisable{Off: true}, &webhook.Streak{Failures: 99, Since: &since, LastFailureAt: &last}, nil},
		"a success":           {nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var points []string
			b := setup(t, answer(500), func(o *activities.Options) {
				o.Failpoint = func(name string) { points = append(points, name) }
				o.Dialects["plain"].AutoDisable = &webhook.AutoDisable{Failures: 10, Span: webhook.Duration(10 * time.Minute)}
			})
			b.store.sending.Endpoint.AutoDisable, b.store.streak = c.own, c.streak
			b.engine.onDisable = func() error { return fmt.Errorf("a fault that is only logged") }
			out, err := b.attempt(t, input())
			require.NoError(t, err)
			require.Equal(t, webhook.StatusRetrying, out.Status)
			require.Equal(t, c.told, b.engine.told)
			require.Equal(t, c.told != nil, slices.Contains(points, "before-auto-disable"))
		})
	}
}
