package worker

import (
	"sync"

	"waybill/store"
	"waybill/turns"
	"waybill/workflows"
)

// leftoversPlace is how many events of all tenants together, of one alone half of them, wait for what follows their first attempts.
const leftoversPlace = 1024

// leftover is an event that express mode did not settle, and the input that says what was attempted.
type leftover struct {
	event *store.Dispatch
	in    *workflows.EventDeliveryInput
	// queued says that what is not settled belongs to its endpoints' queues, so that the event needs no workflow.
	queued bool
	// taken, where set, is closed when the event is no longer one that waits.
	taken chan struct{}
}

// leftovers are the events that express mode did not settle and that wait for their workflow, or for their endpoints' queues to be woken.
// Tenants take turns and share the room, so that one whose endpoints all fail delays the retries of no other.
type leftovers struct {
	mu    sync.Mutex
	some  sync.Cond
	lines turns.Lines[leftover]
	ended bool
}

func newLeftovers() *leftovers {
	w := &leftovers{}
	w.some.L = &w.mu
	return w
}

// offer adds a leftover, unless its tenant has its share.
func (w *leftovers) offer(l leftover) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if tenant := l.in.Tenant; turns.Fits(w.lines.Of(tenant), w.lines.Len(), leftoversPlace) {
		w.add(l)
	}
}

// put adds a leftover whatever its tenant has.
func (w *leftovers) put(l leftover) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.add(l)
}

func (w *leftovers) add(l leftover) {
	w.lines.Add(l.in.Tenant, l)
	w.some.Signal()
}

// next waits for a leftover and takes it. ok is false once all were taken and nothing more comes.
func (w *leftovers) next() (l leftover, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.lines.Len() == 0 && !w.ended {
		w.some.Wait()
	}
	if l, ok = w.lines.Next(nil); ok && l.taken != nil {
		close(l.taken)
	}
	return l, ok
}

// finish says that nothing more comes.
func (w *leftovers) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.some.Broadcast()
}
