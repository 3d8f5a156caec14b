package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// delivered is the evidence of one event that the flaky endpoint took at the second attempt, with nothing wrong.
func delivered(p pair) (*evidence, behavior) {
	at := time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)
	b := flaky
	b.schedule = []string{"1s", "1s"}
	return &evidence{
		bodies: map[string]string{p.event: "sum"}, accepted: map[string]bool{p.event: true}, stored: map[string]bool{p.event: true},
		log: map[pair]*row{p: {event: p.event, endpoint: p.endpoint, status: "delivered", attempts: 2, made: []attemptRow{
			{1, 503, "retryable", at, 10 * time.Millisecond}, {2, 200, "delivered", at.Add(1010 * time.Millisecond), 10 * time.Millisecond},
		}}},
		arrivals: map[pair][]arrival{p: {
			{Event: p.event, Endpoint: p.endpoint, Body: "sum", Signed: true, Number: 1, Status: 503, At: at},
			{Event: p.event, Endpoint: p.endpoint, Body: "sum", Signed: true, Number: 2, Status: 200, At: at.Add(1010 * time.Millisecond)},
		}},
	}, b
}

func TestOracle_SeesEachFault(t *testing.T) {
	t.Parallel()
	p := pair{"e1", "flaky"}
	for says, spoil := range map[string]func(e *evidence, d *row){
		"has no delivery":         func(e *evidence, _ *row) { delete(e.log, p) },
		"stands as pending":       func(_ *evidence, d *row) { d.status = "pending" },
		"another body":            func(e *evidence, _ *row) { e.arrivals[p][1].Body = "other" },
		"is not signed":           func(e *evidence, _ *row) { e.arrivals[p][0].Signed = false },
		"never arrived":           func(e *evidence, _ *row) { e.arrivals[p] = nil },
		"2 of them 2xx":           func(_ *evidence, d *row) { d.made[0].outcome = "delivered" },
		"counts 3 attempts":       func(_ *evidence, d *row) { d.attempts = 3 },
		"in the place of 2":       func(_ *evidence, d *row) { d.made[1].number = 3 },
		"the policy has 1s":       func(_ *evidence, d *row) { d.made[1].started = d.made[0].started.Add(time.Second) },
		"the policy has 3":        func(_ *evidence, d *row) { d.status = "exhausted" },
		"attempted 4 times":       func(_ *evidence, d *row) { d.made = append(d.made, d.made...) },
		"1 arrivals are not in":   func(e *evidence, _ *row) { e.arrivals[p] = append(e.arrivals[p], e.arrivals[p][1]) },
		"only 1 of 2 arrivals":    func(e *evidence, _ *row) { e.arrivals[p][1].At = e.arrivals[p][0].At.Add(900 * time.Millisecond) },
		"has attempt 1 as delive": func(_ *evidence, d *row) { d.made[0].outcome = "delivered" },
	} {
		e, b := delivered(p)
		spoil(e, e.log[p])
		var v verdict
		e.judgePair(&v, p, &b)
		require.True(t, slices.ContainsFunc(v.faults, func(fault string) bool { return strings.Contains(fault, says) }), "%s: %v", says, v.faults)
	}
	e, b := delivered(p)
	var v verdict
	e.judgePair(&v, p, &b)
	require.Empty(t, v.faults)
}

// A request that a killed process could not record is no fault, and counts as a duplicate.
func TestOracle_NearKill(t *testing.T) {
	t.Parallel()
	p := pair{"e1", "flaky"}
	e, b := delivered(p)
	extra := e.arrivals[p][1]
	e.arrivals[p] = append(e.arrivals[p], extra)
	e.windows = []window{{extra.At.Add(-time.Second), extra.At.Add(time.Second)}}
	var v verdict
	e.judgePair(&v, p, &b)
	require.Empty(t, v.faults)
	require.Equal(t, 1, v.duplicates)
	require.Equal(t, 1, v.unrecorded)
}

// Requests that were never recorded may be anywhere among those that keep the delays.
func TestOracle_DelaysBesidesUnrecorded(t *testing.T) {
	t.Parallel()
	p := pair{"e1", "flaky"}
	e, b := delivered(p)
	for i, after := range []time.Duration{50 * time.Millisecond, 900 * time.Millisecond} {
		extra := e.arrivals[p][0]
		extra.At, extra.Number = extra.At.Add(after), 3+i
		e.arrivals[p] = append(e.arrivals[p], extra)
	}
	var v verdict
	judgeArrivals(&v, p, e.log[p], &b, e.arrivals[p])
	require.Empty(t, v.faults)
}

func TestOracle_SeesArrivalsAfterDisabling(t *testing.T) {
	t.Parallel()
	p := pair{"e1", "flaky"}
	e, _ := delivered(p)
	last := e.arrivals[p][1].At
	e.disables = []disabled{{p.endpoint, last.Add(-time.Second)}, {"healthy", last.Add(-time.Hour)}}
	var v verdict
	e.judgeDisabled(&v)
	require.Empty(t, v.faults)
	e.disables[0].At = last.Add(-time.Second - time.Millisecond)
	e.judgeDisabled(&v)
	require.Len(t, v.faults, 1)
}

func TestOracle_SeesTheUnexpected(t *testing.T) {
	t.Parallel()
	p := pair{"e1", "flaky"}
	e, _ := delivered(p)
	delete(e.bodies, p.event)
	var v verdict
	e.unexpected(&v)
	require.Len(t, v.faults, 1)
	delete(e.log, p)
	e.unexpected(&v)
	require.Len(t, v.faults, 2)
}

func TestCompareRequests(t *testing.T) {
	t.Parallel()
	p, q := pair{"e1", "goaway"}, pair{"e2", "goaway"}
	log := map[pair]*row{p: {made: make([]attemptRow, 2)}, q: {made: make([]attemptRow, 38)}}
	for requests, faults := range map[[2]int]int{{2, 38}: 0, {1, 37}: 0, {3, 38}: 1, {3, 37}: 1, {1, 36}: 1} {
		var v verdict
		compareRequests(&v, map[pair]int{p: requests[0], q: requests[1]}, log)
		require.Len(t, v.faults, faults, "%d requests", requests)
	}
}
