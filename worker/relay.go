package worker

import (
	"context"
	"log/slog"
	"time"

	"waybill/store"
)

// Intervals of the relay.
const (
	pollInterval = time.Second
	// claimLease is how long a claimed event belongs to this process.
	claimLease = 30 * time.Second
	claimLimit = 128
)

// Relay finds the events that the dispatcher did not start, because Temporal was down or a process was killed between
// accept and start. It claims those that have waited longest first, and gives them to the dispatcher.
type Relay struct {
	dispatches Dispatches
	dispatcher *Dispatcher
	log        *slog.Logger
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
	for ctx.Err() == nil {
		limit, probe := claimLimit, r.dispatcher.down.Load()
		if probe {
			limit = 1
		}
		events, err := r.dispatches.ClaimDispatches(ctx, limit, claimLease)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			r.dispatcher.failpoint("after-claim")
		}
		if probe && len(events) > 0 && r.dispatcher.sendBack(&events[0]) {
			continue // its failure would say nothing about the engine
		}
		if !r.give(ctx, events) || len(events) < limit || r.dispatcher.down.Load() {
			return nil
		}
	}
	return nil
}

// give hands events to the dispatcher, as fast as it takes them.
func (r *Relay) give(ctx context.Context, events []store.Dispatch) bool {
	for _, e := range events {
		select {
		case r.dispatcher.queue <- e:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
