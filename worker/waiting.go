package worker

import (
	"slices"
	"sync"

	"waybill/store"
	"waybill/turns"
)

// waitingPlace is how many events of all tenants together wait in memory for their dispatch, of one alone half of them. It is low enough to
// dispatch all of them within a lease.
const waitingPlace = 1024

// waiting are the events that wait in memory for their dispatch. Tenants take turns and share the room, so one that publishes faster than
// its events are dispatched leaves the rest of its own to the relay, and delays no other's.
type waiting struct {
	mu     sync.Mutex
	some   sync.Cond
	lines  turns.Lines[waiter]
	closed bool
}

// waiter is an event that waits. One that had to wait for an endpoint comes back once it has room there, as one that has begun.
type waiter struct {
	event store.Dispatch
	begun bool
}

func newWaiting() *waiting {
	w := &waiting{}
	w.some.L = &w.mu
	return w
}

// hasRoom reports whether new events of a tenant may wait here. It leaves a part of the tenant's share for those that are stored at this
// moment.
func (w *waiting) hasRoom(tenant string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hasRoomLocked(tenant)
}

func (w *waiting) hasRoomLocked(tenant string) bool {
	return turns.Fits(2*w.lines.Of(tenant), w.lines.Len(), waitingPlace)
}

// offer adds an event, unless its tenant has its share.
func (w *waiting) offer(e *store.Dispatch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || !turns.Fits(w.lines.Of(e.TenantID), w.lines.Len(), waitingPlace) {
		return false
	}
	w.add(e)
	return true
}

// put adds an event whatever its tenant has. It is for the relay, which asks for room before it claims.
func (w *waiting) put(e *store.Dispatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.add(e)
	}
}

func (w *waiting) isFull() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lines.Len() >= waitingPlace
}

// crowded returns the tenants whose new events have no room.
func (w *waiting) crowded() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(w.lines.Tenants(), w.hasRoomLocked)
}

func (w *waiting) add(e *store.Dispatch) {
	w.lines.Add(e.TenantID, waiter{event: *e})
	w.some.Signal()
}

// closeLocked ends the dispatching, and returns what waits.
func (w *waiting) closeLocked() (left []store.Dispatch) {
	w.closed = true
	w.some.Broadcast()
	for {
		one, ok := w.lines.Next(nil)
		if !ok {
			return left
		}
		left = append(left, one.event)
	}
}
