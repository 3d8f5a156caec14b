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

// drain relays until there is nothing more to claim, at the pace of the dispatcher. While starts fail it claims a single
// event as a probe.
func (r *Relay) drain(ctx context.Context) error {
	round := 0 // events of this round of turns
	for ctx.Err() == nil {
		if r.dispatcher.isFull() {
			r.await(ctx, func() bool { return !r.dispatcher.isFull() })
			continue
		}
		claim, probe := store.DispatchClaim{Limit: claimLimit, Lease: claimLease, After: r.last}, r.dispatcher.down.Load()
		if probe {
			claim.Limit = 1
		}
		claim.Without = r.dispatcher.crowded()
		events, last, err := r.dispatches.ClaimDispatches(ctx, claim)
		if err != nil {
			return err
		}
		r.last = last
		if len(events) > 0 {
			r.dispatcher.failpoint("after-claim")
		}
		if probe && len(events) > 0 && r.dispatcher.sendBack(&events[0]) {
			continue // its failure would say nothing about the engine
		}
		for i := range events {
			r.dispatcher.lineOf(&events[i]).put(&events[i])
		}
		round += len(events)
		switch {
		case r.dispatcher.down.Load():
			return nil
		case last != "":
			continue
		case round == 0 && len(claim.Without) == 0:
			return nil
		case round == 0:
			r.await(ctx, func() bool { return r.hasRoom(claim.Without) })
		}
		round = 0
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
