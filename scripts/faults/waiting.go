package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// besides is how long the load goes on while nothing is done to those that wait.
	besides = 20 * time.Second
	// besidesPerSecond leaves a busy machine the time to be prompt: the scenario is about what waits behind what, and not
	// about throughput.
	besidesPerSecond = 10
	// promptly is how late an event may reach the healthy endpoint. It is a bound of correctness, wide enough for a machine
	// with other work: an event that queues behind those that wait comes minutes late, or never.
	promptly = 10 * time.Second
)

// thousandsWaiting has many events wait for the retry to a dead endpoint while another tenant's is served.
func thousandsWaiting() scenario {
	var w *waiting
	return scenario{
		name: "thousands-waiting", what: "thousands of events wait for a dead endpoint while a healthy one is served, then some are retried",
		endpoints: []behavior{healthy}, rate: besidesPerSecond, env: []string{"WAYBILL_EXPRESS=false"},
		before: func(ctx context.Context, r *run) (err error) {
			w, err = r.haveWaiting(ctx)
			return err
		},
		faults: func(ctx context.Context, r *run) error {
			if err := calm(besides)(ctx, r); err != nil {
				return err
			}
			return w.recover(ctx)
		},
		also: func(ctx context.Context, r *run, v *verdict) error {
			return errors.Join(r.judgePrompt(v), w.judge(ctx, v))
		},
	}
}

// judgePrompt finds what reached the healthy endpoint late. That it arrived at all is the oracle's matter.
func (r *run) judgePrompt(v *verdict) error {
	began := map[string]time.Time{}
	all, err := readLedger[sent](r.path("sent"))
	if err != nil {
		return err
	}
	for _, s := range all {
		began[s.Event] = s.At
	}
	arrived, err := readLedger[arrival](r.path("arrivals"))
	if err != nil {
		return err
	}
	var late []time.Duration
	for _, a := range arrived {
		if a.Number > 1 {
			continue
		}
		by := a.At.Sub(began[a.Event])
		late = append(late, by)
		if by > promptly {
			v.wrong("%s arrived %s after it was sent", a.Event, by.Round(time.Millisecond))
		}
	}
	if len(late) == 0 {
		return nil
	}
	slices.Sort(late)
	r.say("%s: of %d events for the healthy endpoint half arrived within %s, 99 of 100 within %s, all within %s", r.scenario.name, len(late),
		late[len(late)/2].Round(time.Millisecond), late[len(late)*99/100].Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond))
	return nil
}
