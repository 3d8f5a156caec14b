package activities

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestStatusClass(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]string{
		0: "none", 100: "other", 199: "other", 200: "2xx", 299: "2xx", 301: "3xx", 400: "4xx", 404: "4xx", 409: "4xx", 410: "410", 411: "4xx", 429: "429",
		499: "4xx", 500: "5xx", 599: "5xx", 600: "other", 999: "other",
	} {
		require.Equal(t, want, statusClass(code), code)
	}
}

// Whatever an attempt brings, it is counted in the series that are there from the start. An answer that broke off is none.
func TestMetrics_Attempt(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	m := newMetrics(r)
	before, err := testutil.GatherAndCount(r)
	require.NoError(t, err)
	m.attempt(LaneFast, false, &Response{StatusCode: 200}, webhook.Verdict{Outcome: webhook.OutcomeDelivered})
	m.attempt(LaneIsolated, false, &Response{StatusCode: 200, ErrorClass: webhook.ErrorTimeout}, webhook.Verdict{Outcome: webhook.OutcomeRetryable, ErrorClass: webhook.ErrorTimeout})
	m.attempt("made up", false, &Response{StatusCode: 777}, webhook.Verdict{Outcome: "odd", ErrorClass: "odd"})
	after, err := testutil.GatherAndCount(r)
	require.NoError(t, err)
	require.Equal(t, before, after)
	for status, want := range map[string]float64{"2xx": 1, "none": 1, "other": 1, "5xx": 0} {
		require.Equal(t, want, testutil.ToFloat64(m.answers[status]), status)
	}
}

func BenchmarkMetrics_Attempt(b *testing.B) {
	m := newMetrics(prometheus.NewRegistry())
	answer, verdict := &Response{StatusCode: 200}, webhook.Verdict{Outcome: webhook.OutcomeDelivered}
	b.ReportAllocs()
	for b.Loop() {
		m.attempt(LaneFast, false, answer, verdict)
	}
}
