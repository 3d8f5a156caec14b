package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// mostOpen is how many calls made at a rate may be open at once. Each has a connection, and a process has so many files.
const mostOpen = 4096

var errTooManyOpen = fmt.Errorf("the call was not made: %d were open already, so that what is measured is overloaded", mostOpen)

// publish is one call that publishes: it returns the events that were accepted, how many were refused, and why.
type publish func(ctx context.Context) (ids []eventID, refused int, err error)

// traffic says how calls are made.
type traffic struct {
	calls int
	// concurrency is how many calls run at once, each followed by the next: a closed loop.
	concurrency int
	// perSecond makes calls at a fixed rate instead, however long each takes.
	perSecond float64
	// lasting ends a closed loop after that time; 0: calls says when it ends.
	lasting time.Duration
	// wait, where set, comes before each call, and is no part of what the call takes.
	wait func(context.Context) error
}

// published is one accepted event and the call that published it.
type published struct {
	event            eventID
	called, answered time.Time
}

// sent is what came of some traffic.
type sent struct {
	events  []published
	refused int
	// refusal is why an event was refused, nil when none was.
	refusal error
	began   time.Time
}

// drive makes the calls. Refused events are no error, unless all are.
func (t traffic) drive(ctx context.Context, call publish) (*sent, error) {
	out := &sent{began: time.Now()}
	var mu sync.Mutex
	refuse := func(n int, why error) {
		out.refused += n
		if why != nil && out.refusal == nil {
			out.refusal = why
		}
	}
	one := func() {
		if t.wait != nil && t.wait(ctx) != nil {
			return // the context is done
		}
		called := time.Now()
		ids, refused, err := call(ctx)
		answered := time.Now()
		mu.Lock()
		defer mu.Unlock()
		for _, id := range ids {
			out.events = append(out.events, published{event: id, called: called, answered: answered})
		}
		refuse(refused, err)
	}
	if t.perSecond > 0 {
		t.atRate(ctx, one, func() {
			mu.Lock()
			defer mu.Unlock()
			refuse(1, errTooManyOpen)
		})
	} else {
		t.inLoop(ctx, one)
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(out.events) == 0 {
		return nil, errors.Join(errors.New("no event was accepted"), out.refusal)
	}
	return out, nil
}

// driven is what drive returned.
type driven struct {
	sent *sent
	err  error
}

// driveAside makes the calls while something else is done.
func (t traffic) driveAside(ctx context.Context, call publish) <-chan driven {
	done := make(chan driven, 1)
	go func() {
		out, err := t.drive(ctx, call)
		done <- driven{out, err}
	}()
	return done
}

func (t traffic) inLoop(ctx context.Context, one func()) {
	var workers sync.WaitGroup
	began := time.Now()
	var begun atomic.Int64
	for range t.concurrency {
		workers.Go(func() {
			for ctx.Err() == nil && t.goesOn(time.Since(began), begun.Add(1)) {
				one()
			}
		})
	}
	workers.Wait()
}

// goesOn reports whether the closed loop makes its n-th call, from 1.
func (t traffic) goesOn(since time.Duration, n int64) bool {
	if t.lasting > 0 {
		return since < t.lasting
	}
	return n <= int64(t.calls)
}

// atRate makes the calls at their times, and refuses those for which too many are open.
func (t traffic) atRate(ctx context.Context, one, refuse func()) {
	open := make(chan struct{}, mostOpen)
	var calls sync.WaitGroup
	defer calls.Wait()
	interval := time.Duration(float64(time.Second) / t.perSecond)
	timer := time.NewTimer(0)
	defer timer.Stop()
	due := time.Now()
	for range t.calls {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		select {
		case open <- struct{}{}:
			calls.Go(func() {
				defer func() { <-open }()
				one()
			})
		default:
			refuse()
		}
		// Calls start at planned times, so that a late call does not delay those after it.
		due = due.Add(interval)
		timer.Reset(time.Until(due))
	}
}

// accepting returns the figures of the calls alone: latencies are from a call to its answer.
func (s *sent) accepting() figures {
	f := s.rates()
	took := make([]time.Duration, len(s.events))
	for i, p := range s.events {
		took[i] = p.answered.Sub(p.called)
	}
	f.addLatencies(took)
	return f
}

func (s *sent) rates() figures {
	last := s.began
	for _, p := range s.events {
		last = later(last, p.answered)
	}
	return figures{accepted: perSecond(len(s.events), last.Sub(s.began)), refused: float64(s.refused)}
}

// delivering returns the figures of events each of which was to arrive at every sink: latencies are from a call to the
// first arrival that the sink accepted.
func (s *sent) delivering(sinks []*sink) figures {
	f := s.rates()
	f[lost], f[duplicates] = 0, 0
	last := s.began
	var took []time.Duration
	for _, p := range s.events {
		for _, sink := range sinks {
			a := sink.find(p.event)
			if a.accepted == 0 {
				f[lost]++
				continue
			}
			f[duplicates] += float64(a.accepted - 1)
			took = append(took, a.at.Sub(p.called))
			last = later(last, a.at)
		}
	}
	f[delivered] = perSecond(len(took), last.Sub(s.began))
	f.addLatencies(took)
	return f
}

// took returns how long deliveries took whose events were published between two moments.
func (s *sent) took(sinks []*sink, from, to time.Time) []time.Duration {
	var all []time.Duration
	for _, p := range s.events {
		if p.called.Before(from) || !p.called.Before(to) {
			continue
		}
		for _, sink := range sinks {
			if a := sink.find(p.event); a.accepted > 0 {
				all = append(all, a.at.Sub(p.called))
			}
		}
	}
	return all
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func perSecond(n int, took time.Duration) float64 { return ratio(float64(n), took.Seconds()) }
