package webhook_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestDurationBucket(t *testing.T) {
	t.Parallel()
	before := 0
	for ms := range int64(200_000) {
		bucket := webhook.DurationBucket(ms)
		require.GreaterOrEqual(t, bucket, before)
		before = bucket
		if bucket < webhook.MaxDurationBucket {
			require.LessOrEqual(t, float64(ms), webhook.DurationBound(bucket)+1e-6, "%d ms", ms)
		}
		if bucket > 0 {
			require.Greater(t, float64(ms), webhook.DurationBound(bucket-1)-1e-6, "%d ms", ms)
		}
	}
	require.Equal(t, webhook.MaxDurationBucket, before)
	require.Zero(t, webhook.DurationBucket(-1))
	require.Greater(t, webhook.DurationBound(webhook.MaxDurationBucket), float64(webhook.MaxTimeout.Milliseconds()), "no attempt takes longer")
}

// A percentile is at most a bucket's width from the truth, which is a factor of 1.4.
func TestDurationCounts_Percentile(t *testing.T) {
	t.Parallel()
	var none webhook.DurationCounts
	_, ok := none.Percentile(0.5)
	require.False(t, ok)

	var even webhook.DurationCounts
	for ms := range int64(1000) {
		even[webhook.DurationBucket(ms)]++
	}
	for p, want := range map[float64]int64{0: 0, 0.5: 500, 0.95: 950, 0.99: 990, 1: 999} {
		got, ok := even.Percentile(p)
		require.True(t, ok)
		require.InEpsilon(t, want+1, got+1, 0.03, "p%v is %d", p, got)
	}
	var one webhook.DurationCounts
	one[webhook.DurationBucket(12)] = 1
	for _, p := range []float64{0.5, 0.99} {
		got, _ := one.Percentile(p)
		require.Greater(t, float64(got), 12/1.42)
		require.Less(t, float64(got), 12*1.42)
	}
	var quick webhook.DurationCounts
	quick[0] = 5
	got, ok := quick.Percentile(0.95)
	require.True(t, ok)
	require.Zero(t, got)
	quick[webhook.MaxDurationBucket] = 1000
	got, _ = quick.Percentile(1)
	require.Equal(t, int64(131071), got)
}

func TestStatsWindow_Since(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 14, 32, 7, 0, time.FixedZone("", 2*3600))
	for i, want := range []string{"2026-05-27T11:35:00Z", "2026-05-26T13:00:00Z", "2026-05-20T18:00:00Z"} {
		w := webhook.StatsWindows[i]
		require.Equal(t, want, w.Since(now).Format(time.RFC3339), w.Name)
		require.Less(t, now.Sub(w.Since(now)), time.Duration(w.Spans)*w.Span)
	}
}
