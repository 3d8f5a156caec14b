package worker

import (
	"slices"
	"sync"
	"time"

	"waybill/store"
	"waybill/turns"
	"waybill/workflows"
)

// waitingPlace is how many events of all tenants together wait in memory for their dispatch, of one alone half of them. It is low enough to
// dispatch all of them within a lease.
const waitingPlace = 1024

// waiting are the events that wait in memory for their dispatch. Tenants take turns and share the room, so one that publishes faster than
// its events are dispatched leaves the rest of its own to the relay, and delays no other's.
type waiting struct {
	mu    sync.Mutex
	some  sync.Cond
	lines turns.Lines[waiter]
	// holds is what tenants hold of waitingPlace with the events that have not begun.
	holds  held
	closed bool
}

// waiter is an event that waits. One that had to wait for an endpoint comes back once it has room there, as one that has begun.
type waiter struct {
	event store.Dispatch
	begun bool
	since time.Time // of the wait for an endpoint; zero: it has not waited for one
}

func newWaiting() *waiting {
	w := &waiting{holds: newHeld()}
	w.some.L = &w.mu
	return w
}

// partOf is what an event takes of waitingPlace: one for each workflow that it may start, because its memory grows with its deliveries.
func partOf(e *store.Dispatch) int { return 1 + len(e.Deliveries)/workflows.MaxDeliveries }

// hasRoom reports whether new events of a tenant may wait here. It leaves a part of the tenant's share for those that are stored at this
// moment.
func (w *waiting) hasRoom(tenant string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hasRoomLocked(tenant)
}

func (w *waiting) hasRoomLocked(tenant string) bool {
	return turns.Fits(2*w.holds.of[tenant], w.holds.all, waitingPlace)
}

// offer adds an event, unless its tenant has its share.
func (w *waiting) offer(e *store.Dispatch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || !turns.Fits(w.holds.of[e.TenantID], w.holds.all, waitingPlace) {
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
	return w.holds.all >= waitingPlace
}

// crowded returns the tenants whose new events have no room.
func (w *waiting) crowded() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(w.lines.Tenants(), w.hasRoomLocked)
}

func (w *waiting) add(e *store.Dispatch) {
	w.lines.Add(e.TenantID, waiter{event: *e})
	w.holds.add(e.TenantID, partOf(e))
	w.some.Signal()
}

// take takes the event that has the next turn of those that may have one.
func (w *waiting) take(may func(tenant string, first waiter) bool) (one waiter, ok bool) {
	if one, ok = w.lines.Next(may); ok && !one.begun {
		w.holds.add(one.event.TenantID, -partOf(&one.event))
	}
	return one, ok
}

// closeLocked ends the dispatching, and returns what waits.
func (w *waiting) closeLocked() (left []store.Dispatch) {
	w.closed = true
	w.some.Broadcast()
	for {
		one, ok := w.take(nil)
		if !ok {
			return left
		}
		left = append(left, one.event)
	}
}
