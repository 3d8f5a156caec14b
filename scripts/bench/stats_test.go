package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, test := range []struct {
		name   string
		sorted []int
		p      float64
		want   int
	}{
		{"of nothing", nil, 99, 0},
		{"of one", []int{7}, 1, 7},
		{"median of an odd number", []int{1, 2, 9}, 50, 2},
		{"median of an even number", []int{1, 2, 3, 9}, 50, 2},
		{"p95 of a hundred", hundred, 95, 95},
		{"p99 of a hundred", hundred, 99, 99},
		{"p99 of ten is the greatest", hundred[:10], 99, 10},
		{"the least", hundred, 0, 1},
		{"the greatest", hundred, 100, 100},
	} {
		require.Equal(t, test.want, percentile(test.sorted, test.p), test.name)
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	runs := []float64{30, 10, 20}
	require.Equal(t, summary{Median: 20, Min: 10, Max: 30, Runs: []float64{30, 10, 20}}, summarize(runs))
	require.Equal(t, []float64{30, 10, 20}, runs, "the order of the runs is kept")
	require.Equal(t, 15.0, summarize([]float64{10, 20}).Median)
	require.Equal(t, summary{}, summarize(nil))
}

func TestSummarizeAll(t *testing.T) {
	t.Parallel()
	all := summarizeAll([]figures{{delivered: 100, lost: 0}, {delivered: 120, lost: 1}, {delivered: 110}})
	require.Equal(t, 110.0, all[delivered].Median)
	require.Equal(t, []float64{0, 1}, all[lost].Runs, "a run without the metric does not count as zero")
}

func TestFigures_AddLatencies(t *testing.T) {
	t.Parallel()
	took := make([]time.Duration, 200)
	for i := range took {
		took[len(took)-1-i] = time.Duration(i+1) * 500 * time.Microsecond // the slowest first
	}
	f := figures{}
	f.addLatencies(took)
	require.Equal(t, figures{latencyP50: 50, latencyP95: 95, latencyP99: 99}, f)
}

func TestRatio(t *testing.T) {
	t.Parallel()
	require.Equal(t, 0.5, ratio(90, 180))
	require.Zero(t, ratio(90, 0))
}
