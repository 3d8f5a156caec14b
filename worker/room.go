package worker

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// roomCheck is how often events that wait for room at their endpoints are looked at.
const roomCheck = 5 * time.Millisecond

// noRoom makes an event wait while none of its endpoints has room for another that is started. It then waits for the endpoint for which the
// fewest do, so that one that hangs delays it for no longer than the others. Without this, a burst to a receiver that hangs would become as
// many workflows, and the events of others would wait for the CPU.
//
// An endpoint without room answers soon, or counts as slow, so nothing waits for long.
func noRoom(room func(webhook.EndpointID) int) func(*lines, *store.Dispatch) *webhook.EndpointID {
	return func(l *lines, e *store.Dispatch) (shortest *webhook.EndpointID) {
		if isOld(e) {
			return nil
		}
		for i := range e.Deliveries {
			id := &e.Deliveries[i].EndpointID
			if l.busy[*id] < room(*id) {
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

// tend takes those events out of the lines that are to be put off, and lets those begin that may. waiting: others still wait.
func (l *lines) tend(putOff func(*store.Dispatch) time.Duration) (released []outcome, waiting bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id := range l.lined {
		for len(l.lined[id]) > 0 {
			after := putOff(l.lined[id][0])
			if after == 0 {
				break
			}
			first := l.takeFirst(id)
			l.inLine.add(first.TenantID, -1)
			released = append(released, outcome{key: first.EventKey, after: after})
		}
		l.advance(id)
	}
	if len(released) > 0 {
		l.some.Broadcast() // their tenants may have a turn
	}
	return released, len(l.lined) > 0
}
