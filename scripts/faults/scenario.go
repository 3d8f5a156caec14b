package main

import (
	"context"
	"slices"
	"time"
)

// scenario is one way to break things.
type scenario struct {
	name string
	// what says for the table of docs/guarantees.md what happens.
	what      string
	endpoints []behavior
	// command is what the first server runs as; "": serve.
	command string
	// env is added to the environment of the first server.
	env []string
	// rate is how many events a second are begun; 0: perSecond.
	rate int
	// sql has every second event published by waybill.publish.
	sql bool
	// skews are by how much the clocks of the servers are wrong; none: they are right.
	skews []time.Duration
	// refuses: some events must be answered 503, or what was to happen did not.
	refuses bool
	// impossible, unless nil, returns why the scenario cannot be performed here.
	impossible func() error
	// in makes a world for this scenario alone; nil: the suite's. An errNotRun tells why the scenario cannot be performed.
	in func(ctx context.Context, w *world) (*world, error)
	// before prepares what the load is to meet; nil: nothing.
	before func(ctx context.Context, r *run) error
	// faults does the harm while the load goes on, and leaves everything running.
	faults func(ctx context.Context, r *run) error
	// settleWithin bounds the quiet afterwards; 0: 4 minutes.
	settleWithin time.Duration
	// story performs and judges by itself, in place of load, faults and oracle; nil: these do.
	story func(ctx context.Context, r *run) (*verdict, error)
	// also judges what the oracle does not know of, once it has judged the rest; nil: nothing.
	also func(ctx context.Context, r *run, v *verdict) error
}

// scenarios is the table.
func scenarios() []scenario {
	all := []scenario{
		{name: "kill-serve", what: "`serve` is killed six times at random moments", endpoints: usual, faults: killServe(6)},
		{name: "kill-serve-express", what: "the same in express mode", endpoints: usual, env: []string{"WAYBILL_EXPRESS=true"}, faults: killServe(6)},
		{name: "kill-serve-wide", what: "as `kill-serve`, with events to 40 endpoints", endpoints: many(40), rate: widePerSecond, faults: killServe(6)},
		{name: "two-serve", what: "two `serve`, one of them killed at a time, six times", endpoints: usual, faults: twoServe},
		{name: "drain", what: "SIGTERM to one of two `serve` under load, three times", endpoints: usual[:2], faults: rolling},
		{name: "drain-express", what: "the same in express mode", endpoints: usual[:2], env: []string{"WAYBILL_EXPRESS=true"}, faults: rolling},
		{name: "drain-wide", what: "as `drain`, with events to 40 endpoints", endpoints: many(40), rate: widePerSecond, faults: rolling},
		{name: "hostile", what: "receivers hang, reset, close, drip, half-close, answer 1xx for ever, redirect, send 16 MiB, send a gzip bomb", endpoints: append(slices.Clone(hostile), healthy), faults: calm(6 * time.Second)},
	}
	all = append(all, failpointScenarios()...)
	all = append(all, oneRequestScenarios()...)
	all = append(all, cannotStartScenarios()...)
	all = append(all, apartScenarios()...)
	all = append(all, clockScenarios()...)
	all = append(all, disableWaiting(), sqlKillServe(), rollingRestart(), thousandsWaiting())
	all = append(all, autoDisableScenarios()...)
	all = append(all, queueScenarios()...)
	all = append(all, smtpDown(), rotateKillServe())
	all = append(all, restoreScenarios()...)
	all = append(all, standbyScenarios()...)
	all = append(all, engineScenarios()...)
	return append(all, clusterScenarios()...)
}

// crash kills a server and starts it again.
func (r *run) crash(ctx context.Context, s *server, env ...string) error {
	pause(ctx, time.Duration(300+r.rnd.IntN(900))*time.Millisecond)
	at := time.Now()
	if err := s.Kill(); err != nil {
		return err
	}
	r.killed(at)
	return s.start(ctx, env...)
}

// calm does no harm for a while.
func calm(d time.Duration) func(context.Context, *run) error {
	return func(ctx context.Context, _ *run) error {
		pause(ctx, d)
		return ctx.Err()
	}
}

func killServe(times int) func(context.Context, *run) error {
	return func(ctx context.Context, r *run) error {
		for range times {
			if err := r.crash(ctx, r.server, r.scenario.env...); err != nil {
				return err
			}
		}
		return calm(time.Second)(ctx, r)
	}
}

func twoServe(ctx context.Context, r *run) error {
	second, err := r.startServer(ctx, "serve", r.scenario.env...)
	if err != nil {
		return err
	}
	for i := range 6 {
		if err := r.crash(ctx, []*server{r.server, second}[i%2], r.scenario.env...); err != nil {
			return err
		}
	}
	return calm(time.Second)(ctx, r)
}

// rolling replaces servers one after the other, as a deployment does.
func rolling(ctx context.Context, r *run) error {
	old := r.server
	for range 3 {
		next, err := r.startServer(ctx, "serve", r.scenario.env...)
		if err != nil {
			return err
		}
		pause(ctx, 1500*time.Millisecond)
		if err := old.terminate(); err != nil {
			return err
		}
		old = next
	}
	return calm(time.Second)(ctx, r)
}
