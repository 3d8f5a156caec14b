package worker

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"waybill/store"
)

// Intervals of the relay.
const (
	pollInterval = time.Second
	// claimLease is how long a claimed event belongs to this process.
	claimLease = 30 * time.Second
	claimLimit = 128
	// roomInterval is how often the relay looks whether there is room.
	roomInterval = 5 * time.Millisecond
)

// Relay finds the events that the dispatcher did not start, because Temporal was down, a process was killed between
// accept and start, or their tenant had its share of the dispatcher's memory. Tenants take turns, and of each those that have waited longest
// are claimed first.
type Relay struct {
	dispatches Dispatches
	dispatcher *Dispatcher
	log        *slog.Logger
	// last is the tenant whose turn was last.
	last string
}

// NewRelay returns a Relay that feeds the dispatcher.
func NewRelay(dispatches Dispatches, d *Dispatcher, log *slog.Logger) *Relay {
	return &Relay{dispatches: dispatches, dispatcher: d, log: log}
}

// Run relays until the context is done.
func (r *Relay) Run(ctx context.Context) {
	every(ctx, pollInterval, reporting(ctx, r.log, "dispatches cannot be claimed; still trying", r.drain))
}

// drain relays until there is nothing more to claim, at the pace of the dispatcher. While starts fail it relays what express mode
// delivers, which needs none, for the time between two polls at most, and then tries a single event that needs one.
func (r *Relay) drain(ctx context.Context) error {
	if !r.dispatcher.down.Load() {
		return r.relay(ctx, false)
	}
	if r.dispatcher.express != nil {
		if err := r.relay(ctx, true); err != nil {
			return err
		}
	}
	return r.probe(ctx)
}

// relay relays as long as starts fail, or do not, as at the beginning. While they fail, or no more events may wait for theirs, it claims
// those of express mode alone.
func (r *Relay) relay(ctx context.Context, startsFail bool) error {
	d := r.dispatcher
	round, until := 0, time.Now().Add(pollInterval) // events of this round of turns
	for ctx.Err() == nil && d.down.Load() == startsFail && (!startsFail || time.Now().Before(until)) {
		noStarts := startsFail || d.starting.isFull()
		if d.isFull(noStarts) {
			r.await(ctx, func() bool { return !d.isFull(startsFail || d.starting.isFull()) })
			continue
		}
		claim := store.DispatchClaim{Limit: claimLimit, Without: d.crowded(), ExpressOnly: noStarts && !d.express.everybody}
		events, err := r.claim(ctx, claim)
		if err != nil {
			return err
		}
		for i := range events {
			r.take(&events[i], noStarts)
		}
		round += len(events)
		switch {
		case r.last != "":
			continue
		case round == 0 && len(claim.Without) == 0 && noStarts == startsFail:
			return nil
		case round == 0:
			r.await(ctx, func() bool { return r.hasRoom(claim.Without) || noStarts && !startsFail && !d.starting.isFull() })
		}
		round = 0
	}
	return nil
}

// claim leases events, and notes whose turn was last.
func (r *Relay) claim(ctx context.Context, c store.DispatchClaim) ([]store.Dispatch, error) {
	c.Lease, c.After = claimLease, r.last
	events, last, err := r.dispatches.ClaimDispatches(ctx, c)
	if err != nil {
		return nil, err
	}
	r.last = last
	if len(events) > 0 {
		r.dispatcher.failpoint("after-claim")
	}
	return events, nil
}

// take lets a claimed event wait for its dispatch, or gives it back when it needs a start and must not wait for one.
func (r *Relay) take(e *store.Dispatch, noStarts bool) {
	if noStarts && !r.dispatcher.express.takes(e) {
		r.dispatcher.leave(outcome{key: e.EventKey, after: pollInterval})
		return
	}
	r.dispatcher.lineOf(e).put(e)
}

// probe claims events one by one, until one of them tells whether starts still fail.
func (r *Relay) probe(ctx context.Context) error {
	d := r.dispatcher
	for ctx.Err() == nil && !d.starting.isFull() && !d.isFull(false) {
		events, err := r.claim(ctx, store.DispatchClaim{Limit: 1, Without: d.crowded()})
		if err != nil || len(events) == 0 {
			return err
		}
		e := &events[0]
		if !d.express.takes(e) && d.sendBack(e) {
			continue // its failure would say nothing about the engine
		}
		d.lineOf(e).put(e)
		if !d.express.takes(e) {
			return nil
		}
	}
	return nil
}

// hasRoom reports whether one of the tenants has room again.
func (r *Relay) hasRoom(crowded []string) bool {
	now := r.dispatcher.crowded()
	return slices.ContainsFunc(crowded, func(tenant string) bool { return !slices.Contains(now, tenant) })
}

// await waits until there is room, at most until the next poll.
func (r *Relay) await(ctx context.Context, room func() bool) {
	ctx, cancel := context.WithTimeout(ctx, pollInterval)
	defer cancel()
	ticker := time.NewTicker(roomInterval)
	defer ticker.Stop()
	for ctx.Err() == nil && !room() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}
