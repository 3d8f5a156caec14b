package main

import "fmt"

// verdict is one target and what was measured.
type verdict struct {
	Mode  string  `json:"mode"`
	What  string  `json:"what"`
	Value float64 `json:"value"`
	// Bound is what Value is to reach, or not to exceed where AtMost.
	Bound  float64 `json:"bound"`
	AtMost bool    `json:"at_most"`
}

// Met reports whether the target was reached.
func (v verdict) Met() bool {
	if v.AtMost {
		return v.Value <= v.Bound
	}
	return v.Value >= v.Bound
}

// String is a line for a person.
func (v verdict) String() string {
	verb, result := "at least", "reached"
	if v.AtMost {
		verb = "at most"
	}
	if !v.Met() {
		result = "MISSED"
	}
	return fmt.Sprintf("%-8s %s: %.2f, to be %s %v: %s", v.Mode, v.What, v.Value, verb, v.Bound, result)
}

// target is what a mode is to reach. value returns false for what was not measured.
type target struct {
	mode   string // empty: both
	what   string
	atMost bool
	bound  float64
	value  func(look) (float64, bool)
}

// look reads the medians of one mode.
type look func(key string, m metric) (float64, bool)

func of(key string, m metric) func(look) (float64, bool) {
	return func(l look) (float64, bool) { return l(key, m) }
}

// over is one figure divided by another.
func over(key, base string, m metric) func(look) (float64, bool) {
	return func(l look) (float64, bool) {
		a, ok := l(key, m)
		b, okToo := l(base, m)
		return ratio(a, b), ok && okToo && b > 0
	}
}

// steadyShare is how many workflows are to be deleted for each that starts: with fewer they become more and more, and the figures are not
// of a steady state.
const steadyShare = 0.95

// perDelivered is how many workflows were deleted for each that delivered.
func perDelivered(key string) func(look) (float64, bool) {
	return func(l look) (float64, bool) {
		a, ok := l(key, deleted)
		b, okToo := l(key, delivered)
		return ratio(a, b), ok && okToo && b > 0
	}
}

// targets are those that the benchmark was made for. They hold for two cores that carry everything, the load included.
func targets() []target {
	return []target{
		{modeWorkflow, "one endpoint, delivered over the floor's", false, 0.80, over(rowOne, floorOne, delivered)},
		{modeWorkflow, "ten endpoints, deliveries over one endpoint's", false, 5, over(rowTen, rowOne, delivered)},
		{modeWorkflow, "p50 ms at 20 events/s", true, 20, of(rowRate, latencyP50)},
		{modeWorkflow, "p99 ms at 20 events/s", true, 60, of(rowRate, latencyP99)},
		{modeWorkflow, "the floor's CPU of an event without deletions over that with", false, 0.75, over(floorHalf, floorDeleting, cpuSum)},
		{modeWorkflow, "CPU of an event without deletions over that with", false, 0.75, over(rowHalf, rowDeleting, cpuSum)},
		{modeWorkflow, "the floor with deletions, deleted over started", false, steadyShare, perDelivered(floorDeleting)},
		{modeWorkflow, "with deletions, deleted over delivered", false, steadyShare, perDelivered(rowDeleting)},
		{modeExpress, "CPU ms per delivery, one endpoint", true, 1.0, of(rowOne, cpuSum)},
		{modeExpress, "one endpoint, delivered/s", false, 1600, of(rowOne, delivered)},
		{modeExpress, "ten endpoints, delivered/s", false, 2200, of(rowTen, delivered)},
		{modeExpress, "p50 ms at 20 events/s", true, 4, of(rowRate, latencyP50)},
		{modeExpress, "p99 ms at 20 events/s", true, 10, of(rowRate, latencyP99)},
		{"", "accept alone, events/s", false, 2000, of(rowAcceptSingle, accepted)},
		{"", "accept alone in batches, events/s", false, 6000, of(rowAcceptBatch, accepted)},
		{"", "healthy p99 beside a hanging neighbor over its quiet p99", true, 2, over(rowBeside, rowQuiet, latencyP99)},
		{"", "healthy p99 beside bursts to a hanging neighbor over its quiet p99", true, 2, over(rowBurst, rowQuiet, latencyP99)},
		{"", "healthy p99 beside a failing neighbor over its quiet p99", true, 2, over(rowFailing, rowQuiet, latencyP99)},
		{"", "healthy p99 beside an endpoint that is down over its quiet p99", true, 2, over(rowOutage, rowOutageQuiet, latencyP99)},
		{"", "a tenant's p99 beside one that publishes 20 times as much, over its quiet p99", true, 2, over(rowTenantFlood, rowTenantQuiet, latencyP99)},
		{"", "a tenant's events refused meanwhile", true, 0, of(rowTenantFlood, refused)},
		{"", "a tenant's p99 beside another's crowd of publishers over its quiet p99", true, 2, over(rowTenantCrowd, rowTenantQuiet, latencyP99)},
		{"", "a tenant's events refused meanwhile, too", true, 0, of(rowTenantCrowd, refused)},
		{"", "a tenant's p99 beside one whose endpoints all hang over its quiet p99", true, 2, over(rowTenantHanging, rowTenantQuiet, latencyP99)},
		{"", "a tenant's p99 beside events to 10,000 endpoints over its quiet p99", true, 2, over(rowTenantFanOut, rowTenantQuiet, latencyP99)},
		{"", "a tenant's p99 beside another's recoveries and retries over its quiet p99", true, 2, over(rowTenantRecovery, rowTenantQuiet, latencyP99)},
		{"", "a tenant's p99 with SQL beside 20,000 events of another's transaction over its quiet p99", true, 2, over(rowTenantImport, rowTenantSQL, latencyP99)},
		{"", "throughput beside the full backlog over that beside none", false, 0.8, over(rowManyWaiting, rowNoneWaiting, delivered)},
		{"", "p95 ms of the slowest queries of the full log, others at work", true, 50, of(rowLogFull, logWorst)},
		{"", "p95 ms of the slowest queries of the full log", true, 50, of(rowLogAsked, logWorst)},
		{"", "p95 ms of the slowest page of the dashboard, with 10,000 endpoints and the full log", true, 100, of(rowLogAsked, pageWorst)},
	}
}

// cpuSum is of Waybill and its stores.
const cpuSum metric = "cpu_ms_sum"

// maxPeak is how many MiB `waybill serve` may ever take.
const maxPeak = 256

// judge compares what was measured with the targets.
func (r *report) judge(modes []string) {
	r.Targets = nil
	for _, mode := range modes {
		lookUp := func(key string, m metric) (float64, bool) { return r.look(mode, key, m) }
		for _, t := range targets() {
			if t.mode != "" && t.mode != mode {
				continue
			}
			if v, ok := t.value(lookUp); ok {
				r.Targets = append(r.Targets, verdict{mode, t.what, v, t.bound, t.atMost})
			}
		}
		if peak, ok := r.PeakRSS[mode]; ok {
			r.Targets = append(r.Targets, verdict{mode, "RSS MiB of waybill serve, throughout", peak, maxPeak, true})
		}
	}
}

func (r *report) look(mode, key string, m metric) (float64, bool) {
	if m != cpuSum {
		return r.find(mode, key, m)
	}
	for _, row := range r.Rows {
		if row.Mode == mode && row.Key == key {
			return row.cpu()
		}
	}
	return 0, false
}
