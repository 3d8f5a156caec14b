package main

import (
	"math"
	"slices"
	"time"
)

// percentile returns the smallest value that at least p percent of the values do not exceed (the nearest rank), 0 of
// none. The values must be sorted; p is from 0 to 100.
func percentile[T any](sorted []T, p float64) T {
	if len(sorted) == 0 {
		var none T
		return none
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// summary is one figure over several runs.
type summary struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"`
}

// summarize returns the median, which for an even number of runs is the mean of the two in the middle, and the spread.
func summarize(runs []float64) summary {
	if len(runs) == 0 {
		return summary{}
	}
	sorted := slices.Sorted(slices.Values(runs))
	upper := len(sorted) / 2
	median := sorted[upper]
	if len(sorted)%2 == 0 {
		median = (sorted[upper-1] + sorted[upper]) / 2
	}
	return summary{Median: median, Min: sorted[0], Max: sorted[len(sorted)-1], Runs: runs}
}

// metric names a figure, in the JSON output too.
type metric string

// The metrics. Rates are per second, durations in milliseconds, memory in MiB; CPU is in milliseconds per delivery, per
// accepted event where nothing is delivered, or per second where nothing is published.
const (
	accepted   metric = "accepted_per_s"
	delivered  metric = "delivered_per_s"
	latencyP50 metric = "p50_ms"
	latencyP95 metric = "p95_ms"
	latencyP99 metric = "p99_ms"
	lost       metric = "lost"
	duplicates metric = "duplicates"
	refused    metric = "refused"
)

func cpuOf(process string) metric { return metric("cpu_ms_" + process) }
func rssOf(process string) metric { return metric("peak_rss_mib_" + process) }

// figures are the metrics of one run.
type figures map[metric]float64

// addLatencies sorts the durations and adds their percentiles.
func (f figures) addLatencies(took []time.Duration) {
	slices.Sort(took)
	f[latencyP50] = milliseconds(percentile(took, 50))
	f[latencyP95] = milliseconds(percentile(took, 95))
	f[latencyP99] = milliseconds(percentile(took, 99))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// summarizeAll returns the summary of every metric that the runs have.
func summarizeAll(runs []figures) map[metric]summary {
	values := map[metric][]float64{}
	for _, run := range runs {
		for m, v := range run {
			values[m] = append(values[m], v)
		}
	}
	all := make(map[metric]summary, len(values))
	for m, v := range values {
		all[m] = summarize(v)
	}
	return all
}

// ratio returns a over b, 0 when there is no b.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
