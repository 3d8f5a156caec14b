package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// pair is one event at one endpoint, by name.
type pair struct{ event, endpoint string }

// evidence is all that is known when a run is over.
type evidence struct {
	bodies   map[string]string // of what was sent, by event
	accepted map[string]bool
	log      map[pair]*row
	stored   map[string]bool
	arrivals map[pair][]arrival
	disables []disabled
	refusals int // answers 503
	windows  []window
	// timeless: the log's times are from clocks that disagree, so they say nothing about delays.
	timeless bool
}

// judge compares the ledgers with the log.
func (r *run) judge(ctx context.Context) (*verdict, error) {
	v := &verdict{kills: r.kills}
	e, err := r.gather(ctx, v)
	if err != nil {
		return nil, err
	}
	v.sent, v.accepted, v.deliveries = len(e.bodies), len(e.accepted), len(e.log)
	for event := range e.bodies {
		if !e.stored[event] {
			if e.accepted[event] {
				v.lost++
				v.wrong("lost: %s was answered 202 and is not stored", event)
			}
			continue
		}
		for _, b := range r.scenario.endpoints {
			e.judgePair(v, pair{event, b.name}, &b)
		}
	}
	e.unexpected(v)
	e.judgeDisabled(v)
	if v.duplicates > 0 && v.kills == 0 {
		v.wrong("%d duplicates, and nothing was killed", v.duplicates)
	}
	if most := v.kills * e.inFlight(); v.duplicates > most {
		v.wrong("%d duplicates are more than %d kills can explain", v.duplicates, v.kills)
	}
	if r.scenario.refuses && e.refusals == 0 {
		v.wrong("nothing was answered 503, so nothing is shown")
	}
	if v.accepted == 0 {
		v.wrong("nothing was accepted, so nothing is shown")
	}
	return v, nil
}

func (r *run) gather(ctx context.Context, v *verdict) (*evidence, error) {
	e := &evidence{
		bodies: map[string]string{}, accepted: map[string]bool{}, stored: map[string]bool{}, arrivals: map[pair][]arrival{}, windows: r.windows,
		timeless: len(r.scenario.skews) > 1,
	}
	all, err := readLedger[sent](r.path("sent"))
	if err != nil {
		return nil, err
	}
	sentAt := map[string]time.Time{}
	for _, s := range all {
		sentAt[s.Event] = s.At
		if !s.Withdrawn {
			e.bodies[s.Event] = s.Body
		}
	}
	answers, err := readLedger[answered](r.path("answers"))
	if err != nil {
		return nil, err
	}
	for _, a := range answers {
		switch a.Status {
		case http.StatusAccepted:
			e.accepted[a.Event] = true
		case http.StatusServiceUnavailable:
			e.refusals++
		case 0:
		default:
			v.wrong("%s was answered %d: only 202, 503 and no answer make sense", a.Event, a.Status)
		}
	}
	arrived, err := readLedger[arrival](r.path("arrivals"))
	if err != nil {
		return nil, err
	}
	for _, a := range arrived {
		p := pair{a.Event, a.Endpoint}
		e.arrivals[p] = append(e.arrivals[p], a)
	}
	if e.disables, err = readLedger[disabled](r.path("disables")); err != nil {
		return nil, err
	}
	if e.log, err = r.readLog(ctx, v); err != nil {
		return nil, err
	}
	if err := errors.Join(r.checkOutbox(ctx, v), r.checkClocks(ctx, v, sentAt), r.checkPartitions(ctx, v)); err != nil {
		return nil, err
	}
	for p := range e.log {
		e.stored[p.event] = true
	}
	return e, nil
}

// judgePair judges one event at one endpoint.
func (e *evidence) judgePair(v *verdict, p pair, b *behavior) {
	d, arrived := e.log[p], e.arrivals[p]
	if d == nil {
		v.wrong("%v has no delivery", p)
		return
	}
	if !slices.Contains(b.settles, d.status) {
		v.wrong("%v stands as %s after %d attempts", p, d.status, d.attempts)
	}
	for _, a := range arrived {
		if a.Body != e.bodies[p.event] {
			v.wrong("%v: arrival %d has another body", p, a.Number)
		}
		if !a.Signed {
			v.wrong("%v: arrival %d is not signed", p, a.Number)
		}
	}
	judgeAttempts(v, p, d, b)
	if !e.timeless {
		judgeDelays(v, p, d, b)
	}
	judgeArrivals(v, p, d, b, arrived)
	e.compare(v, p, d)
	if d.status == "delivered" && !slices.ContainsFunc(arrived, func(a arrival) bool { return a.Status/100 == 2 }) {
		v.lost++
		v.wrong("lost: %v stands as delivered and never arrived", p)
	}
}

// slack is how early a timer may be, including the rounding of the log.
const slack = 5 * time.Millisecond

// judgeAttempts holds the rows to the retry policy.
func judgeAttempts(v *verdict, p pair, d *row, b *behavior) {
	if len(d.made) != d.attempts {
		v.wrong("%v counts %d attempts and has %d rows", p, d.attempts, len(d.made))
	}
	if len(d.made) > len(b.schedule)+1 && !b.reopened {
		v.wrong("%v was attempted %d times, the policy has %d", p, len(d.made), len(b.schedule)+1)
		return
	}
	if d.status == "exhausted" && len(d.made) != len(b.schedule)+1 && !b.reopened {
		v.wrong("%v is exhausted after %d attempts, the policy has %d", p, len(d.made), len(b.schedule)+1)
	}
	for i, a := range d.made {
		if a.number != i+1 {
			v.wrong("%v has the attempt %d in the place of %d", p, a.number, i+1)
			return
		}
		if delivered := a.outcome == "delivered"; delivered != (d.status == "delivered" && i == len(d.made)-1) {
			v.wrong("%v, %s, has attempt %d as %s", p, d.status, a.number, a.outcome)
		}
	}
}

// judgeDelays holds the times in the log to the retry policy.
func judgeDelays(v *verdict, p pair, d *row, b *behavior) {
	for i, a := range d.made {
		if i == 0 || i > len(b.schedule) {
			continue
		}
		before := d.made[i-1]
		delay, _ := time.ParseDuration(b.schedule[i-1]) // ours
		if gap := a.started.Sub(before.started.Add(before.duration)); gap < delay-slack {
			v.wrong("%v: attempt %d came %s after the one before, the policy has %s", p, a.number, gap, delay)
		}
	}
}

// judgeArrivals holds the times at the receiver, the only clock that a receiver goes by, to the retry policy. Requests that
// were never recorded are in between: of all arrivals some must keep the delays, as many as were recorded.
func judgeArrivals(v *verdict, p pair, d *row, b *behavior, arrived []arrival) {
	if b.reopened {
		return // a person decides when
	}
	apart := 0
	var last time.Time
	for _, a := range slices.SortedFunc(slices.Values(arrived), func(a, b arrival) int { return a.At.Compare(b.At) }) {
		if apart > len(b.schedule) {
			return
		}
		if apart > 0 {
			delay, _ := time.ParseDuration(b.schedule[apart-1]) // ours
			if a.At.Sub(last) < delay-slack {
				continue
			}
		}
		apart, last = apart+1, a.At
	}
	if apart < len(d.made) && !slices.ContainsFunc(d.made, func(a attemptRow) bool { return a.status == 0 }) {
		v.wrong("%v: only %d of %d arrivals are as far apart as the policy has it, for %d attempts: %s", p, apart, len(arrived), len(d.made), timeline(d, arrived))
	}
}

// timeline prints the arrivals beside the log's attempts, in the order of their times.
func timeline(d *row, arrived []arrival) string {
	happened := map[time.Time][]string{}
	for _, a := range arrived {
		happened[a.At] = append(happened[a.At], fmt.Sprintf("arrival %d, answered %d", a.Number, a.Status))
	}
	for _, a := range d.made {
		happened[a.started] = append(happened[a.started], fmt.Sprintf("attempt %d begins, takes %s, status %d", a.number, a.duration, a.status))
	}
	var lines []string
	for _, at := range slices.SortedFunc(maps.Keys(happened), time.Time.Compare) {
		lines = append(lines, at.UTC().Format("15:04:05.000000 ")+strings.Join(happened[at], "; "))
	}
	return strings.Join(lines, ", ")
}

// compare looks for rows without arrival and arrivals without row.
func (e *evidence) compare(v *verdict, p pair, d *row) {
	arrived := e.arrivals[p]
	var answeredRows, goodRows, good, near int
	for _, a := range d.made {
		if a.status > 0 {
			answeredRows++
		}
		if a.outcome == "delivered" {
			goodRows++
		}
	}
	for _, a := range arrived {
		if a.Status/100 == 2 {
			good++
		}
		if e.inWindow(a.At) {
			near++
		}
	}
	if answeredRows > len(arrived) || goodRows > good {
		v.wrong("%v has %d answers in the log, %d of them 2xx, and %d arrivals, %d of them answered 2xx", p, answeredRows, goodRows, len(arrived), good)
	}
	v.duplicates += max(0, good-1)
	extra := max(0, len(arrived)-len(d.made))
	v.unrecorded += extra
	if extra > near {
		v.wrong("%v: %d arrivals are not in the log, %d of all came near a kill", p, extra, near)
	}
}

func (e *evidence) inWindow(at time.Time) bool {
	return slices.ContainsFunc(e.windows, func(w window) bool { return !at.Before(w.from) && !at.After(w.to) })
}

// inFlight is the largest number of arrivals in one window. No kill can have had more attempts in flight.
func (e *evidence) inFlight() int {
	most := 0
	for _, w := range e.windows {
		n := 0
		for _, arrived := range e.arrivals {
			for _, a := range arrived {
				if !a.At.Before(w.from) && !a.At.After(w.to) {
					n++
				}
			}
		}
		most = max(most, n)
	}
	return most
}

// unexpected finds arrivals and deliveries of what was never sent or is not stored.
func (e *evidence) unexpected(v *verdict) {
	for p := range e.arrivals {
		if e.log[p] == nil {
			v.wrong("unexpected: %v arrived and is not in the log", p)
		}
	}
	for p := range e.log {
		if _, known := e.bodies[p.event]; !known {
			v.wrong("unexpected: %v is in the log and was never sent", p)
		}
	}
}
