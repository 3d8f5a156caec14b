package worker

import (
	"context"
	"maps"
	"slices"
	"time"

	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

const (
	// roomCheck is how often events that wait for room at their endpoints are looked at.
	roomCheck = 5 * time.Millisecond
	// roomWait is how long an event waits for room before it goes back to dispatches. Those behind it in its tenant's line wait as long for
	// their turn, and as long again for room, all within a lease. Otherwise the relay would bring events that wait here once more.
	roomWait = claimLease / 3
	// roomEndpoints bounds the work to look for room, during which nobody's events can be queued. An event to more endpoints is wide: it does
	// not wait here, but for a worker that has few of them at a time.
	roomEndpoints = workflows.WideDeliveries
)

// noRoom makes an event wait while none of its endpoints has room for another that is started. It then waits for the endpoint for which the
// fewest do, so that one that hangs delays it for no longer than the others. Without this, a burst to a receiver that hangs would become as
// many workflows, and the events of others would wait for the CPU.
//
// An endpoint without room answers soon, or counts as slow, so nothing waits for long, unless attempts wait for the database: see roomWait.
// What comes later passes none that waits for an endpoint already.
func noRoom(room func(webhook.EndpointID) int) func(*lines, *waiter) *webhook.EndpointID {
	return func(l *lines, w *waiter) (shortest *webhook.EndpointID) {
		if isOld(&w.event) || len(w.event.Deliveries) > roomEndpoints {
			return nil
		}
		for i := range w.event.Deliveries {
			id := &w.event.Deliveries[i].EndpointID
			if isNext := !w.since.IsZero() || len(l.lined[*id]) == 0; isNext && l.busy[*id] < room(*id) {
				return nil
			}
			if shortest == nil || len(l.lined[*id]) < len(l.lined[*shortest]) {
				shortest = id
			}
		}
		return shortest
	}
}

// leaveStart ends the turn of an event that was started. Those that wait for its endpoints have to wait until they are looked at: its
// attempt begins a moment after the start, and room does not count it yet.
func (l *lines) leaveStart(e *store.Dispatch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(e)
}

// tendLines lets events start as soon as one of their endpoints has room, and releases those whose endpoints turn out to be slow.
func (d *Dispatcher) tendLines(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-d.starting.someLined:
		case <-ctx.Done():
		}
		for waiting := true; waiting && ctx.Err() == nil; {
			var released []outcome
			released, waiting = d.starting.tend(d.putOff)
			for _, o := range released {
				d.outcomes <- o
			}
			select {
			case <-time.After(roomCheck):
			case <-ctx.Done():
			}
		}
	}
}

// tend takes those events out of the lines that are to be put off or have waited too long, and lets those begin that may. waiting: others
// still wait.
func (l *lines) tend(putOff func(*store.Dispatch) time.Duration) (released []outcome, waiting bool) {
	for _, id := range l.waitedFor() {
		released = append(released, l.tendOne(id, putOff)...) // each by itself, so that others get the lock in between
	}
	return released, len(l.waitedFor()) > 0
}

// waitedFor returns the endpoints that events wait for.
func (l *lines) waitedFor() []webhook.EndpointID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.lined))
}

func (l *lines) tendOne(id webhook.EndpointID, putOff func(*store.Dispatch) time.Duration) (released []outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.lined[id]) > 0 {
		first := l.lined[id][0]
		after := putOff(&first.event)
		if after == 0 && time.Since(first.since) < roomWait {
			break
		}
		l.takeFirst(id)
		l.inLine.add(first.event.TenantID, -1)
		released = append(released, outcome{key: first.event.EventKey, after: after})
	}
	l.advance(id)
	if len(released) > 0 {
		l.some.Broadcast() // their tenants may have a turn
	}
	return released
}
