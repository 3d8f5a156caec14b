package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// The server's clock in these tests says 2026-05-27 14:32.
func TestStats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	endpoint := b.endpoint("acme")
	at := time.Date(2026, 5, 27, 14, 0, 0, 0, time.UTC)
	b.store.cells = []store.StatsCell{
		{At: at.Add(-2 * time.Hour), StatusCode: 0, Duration: -1, Canceled: 4},
		{At: at.Add(-2 * time.Hour), StatusCode: 0, Duration: 30, Attempts: 1},
		{At: at, StatusCode: 200, Duration: webhook.DurationBucket(12), Attempts: 6, Delivered: 6},
		{At: at, StatusCode: 503, Duration: webhook.DurationBucket(100), Attempts: 3, Exhausted: 1},
		{At: at.Add(time.Hour), StatusCode: 200, Duration: webhook.DurationBucket(12), Attempts: 2, Delivered: 2}, // a clock that is ahead
	}
	a := b.admin("GET", "/v1/tenants/acme/stats", "").want(200)
	got := into[struct {
		Window      string
		Since       time.Time
		Deliveries  map[string]int64
		Attempts    int64
		SuccessRate float64          `json:"success_rate"`
		DurationMS  map[string]int64 `json:"duration_ms"`
		StatusCodes map[string]int64 `json:"status_codes"`
		Series      []struct {
			At                time.Time
			Delivered, Failed int64
		}
	}](a)
	require.Equal(t, "24h", got.Window)
	require.Equal(t, time.Date(2026, 5, 26, 15, 0, 0, 0, time.UTC), got.Since)
	require.Equal(t, map[string]int64{"delivered": 8, "exhausted": 1, "canceled": 4, "held": 3, "retrying": 2, "pending": 1}, got.Deliveries)
	require.Equal(t, int64(12), got.Attempts)
	require.InDelta(t, 8.0/12, got.SuccessRate, 1e-9)
	require.Equal(t, map[string]int64{"200": 8, "503": 3, "none": 1}, got.StatusCodes)
	require.InDelta(t, 12, got.DurationMS["p50"], 5)
	require.InDelta(t, 100, got.DurationMS["p95"], 40)
	require.Less(t, got.DurationMS["p99"], int64(200), "what got no answer took no time to answer")
	require.Len(t, got.Series, 24)
	for i, span := range got.Series {
		require.Equal(t, got.Since.Add(time.Duration(i)*time.Hour), span.At)
	}
	require.Equal(t, int64(1), got.Series[21].Failed)
	require.Equal(t, int64(8), got.Series[23].Delivered)
	require.Equal(t, int64(3), got.Series[23].Failed)

	id := parseID[webhook.EndpointID](t, endpoint)
	for _, tc := range []struct {
		window string
		spans  int
		asked  statsQuestion
	}{
		{"1h", 12, statsQuestion{id, time.Date(2026, 5, 27, 13, 35, 0, 0, time.UTC), 5 * time.Minute}},
		{"24h", 24, statsQuestion{id, time.Date(2026, 5, 26, 15, 0, 0, 0, time.UTC), time.Hour}},
		{"7d", 28, statsQuestion{id, time.Date(2026, 5, 20, 18, 0, 0, 0, time.UTC), 6 * time.Hour}},
	} {
		a := b.admin("GET", "/v1/tenants/acme/endpoints/"+endpoint+"/stats?window="+tc.window, "").want(200)
		require.Len(t, into[struct{ Series []object }](a).Series, tc.spans)
		require.Equal(t, tc.asked, b.store.statsAsked[len(b.store.statsAsked)-1])
	}
}

// The server's clock in these tests says 2026-05-27 14:32.
func TestListEndpoints_Stats(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	busy, quiet, next := b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme")
	ids := []webhook.EndpointID{parseID[webhook.EndpointID](t, busy), parseID[webhook.EndpointID](t, quiet)}
	at := time.Date(2026, 5, 27, 14, 0, 0, 0, time.UTC)
	var durations webhook.DurationCounts
	durations[webhook.DurationBucket(12)] = 19
	durations[webhook.DurationBucket(100)] = 1
	b.store.endpointStats = map[webhook.EndpointID]store.EndpointStats{ids[0]: {Durations: durations, Spans: []store.StatsSpan{
		{At: at.Add(-23 * time.Hour), Attempts: 5, Delivered: 2},
		{At: at, Attempts: 10, Delivered: 10},
		{At: at.Add(time.Hour), Attempts: 5, Delivered: 4}, // a clock that is ahead
	}}}
	type stats struct {
		Delivered, Failed int64
		SuccessRate       *float64 `json:"success_rate"`
		P95               *int64   `json:"p95_ms"`
		Series            []struct {
			At                time.Time
			Delivered, Failed int64
		}
	}
	got := into[struct {
		Data []struct {
			ID    string
			Stats stats
		}
	}](b.admin("GET", "/v1/tenants/acme/endpoints?stats=24h&limit=2", "").want(200))
	require.Len(t, got.Data, 2)
	require.Equal(t, busy, got.Data[0].ID)
	of := got.Data[0].Stats
	require.Equal(t, []int64{16, 4}, []int64{of.Delivered, of.Failed})
	require.InDelta(t, 0.8, *of.SuccessRate, 1e-9)
	require.InDelta(t, 12, *of.P95, 5)
	require.Len(t, of.Series, 24)
	require.Equal(t, at.Add(-23*time.Hour), of.Series[0].At)
	require.Equal(t, int64(3), of.Series[0].Failed)
	require.Equal(t, []int64{14, 1}, []int64{of.Series[23].Delivered, of.Series[23].Failed})

	require.Equal(t, quiet, got.Data[1].ID)
	nothing := got.Data[1].Stats
	require.Zero(t, nothing.Delivered+nothing.Failed)
	require.Nil(t, nothing.SuccessRate)
	require.Nil(t, nothing.P95)
	require.Len(t, nothing.Series, 24)

	since := at.Add(-23 * time.Hour)
	require.Equal(t, []statsQuestion{{ids[0], since, time.Hour}, {ids[1], since, time.Hour}}, b.store.statsAsked, "of the page alone, not of %s", next)
	require.Equal(t, 1, b.store.called("EndpointStats"))

	plain := into[struct{ Data []object }](b.admin("GET", "/v1/tenants/acme/endpoints", "").want(200))
	require.NotContains(t, plain.Data[0], "stats")
	require.Equal(t, 1, b.store.called("EndpointStats"))
	require.Equal(t, "query: stats is 1h, 24h or 7d", b.admin("GET", "/v1/tenants/acme/endpoints?stats=30d", "").problem(422, webhook.CodeInvalid).Detail)
	b.admin("GET", "/v1/tenants/acme/endpoints?stats=", "").problem(422, webhook.CodeInvalid)
}

func TestStats_OfNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	got := into[object](b.admin("GET", "/v1/tenants/acme/stats?window=1h", "").want(200))
	require.NotContains(t, got, "success_rate")
	require.NotContains(t, got, "duration_ms")
	require.Equal(t, object{}, got["status_codes"])
	require.Len(t, got["series"], 12)

	require.Equal(t, "query: window is 1h, 24h or 7d", b.admin("GET", "/v1/tenants/acme/stats?window=30d", "").problem(422, webhook.CodeInvalid).Detail)
	b.admin("GET", "/v1/tenants/acme/endpoints/ep_0197122f3c4b7d1e8f00112233445566/stats", "").problem(404, webhook.CodeNotFound)
}
