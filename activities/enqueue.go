package activities

import (
	"context"
	"fmt"
	"sync"
	"time"

	"waybill/webhook"
)

const (
	// leastQueued is how long what has no slot waits in the queue at least, so that a burst wakes the queue twice a second.
	leastQueued = time.Second
	// wakeTimeout is below the lease of a dispatch.
	wakeTimeout = 5 * time.Second
	// mostTold is how long a queue that was woken is left alone at most, and mostTellings how many endpoints are remembered for it.
	mostTold     = time.Second
	mostTellings = 10_000
)

// enqueue leaves a delivery that there is no slot for to its endpoint's queue.
func (a *Activities) enqueue(ctx context.Context, in *AttemptInput, after time.Duration) (*AttemptResult, error) {
	after = max(after, leastQueued)
	queued, err := a.store.QueueDelivery(ctx, in.Tenant, in.DeliveryID, after)
	if err != nil {
		return nil, fmt.Errorf("leave a delivery to its endpoint's queue: %w", err)
	}
	if queued {
		return &AttemptResult{Status: webhook.StatusPending, Queued: true, Delay: after}, nil
	}
	d, err := a.store.Delivery(ctx, in.Tenant, in.DeliveryID)
	if err != nil {
		return nil, fmt.Errorf("read a delivery that cannot be queued: %w", err)
	}
	return a.resultOf(d), nil
}

// WakeQueue returns once the endpoint's queue was woken for what was left to it and is due after the delay. asked: Temporal was asked, and
// not within the second before. Any error: it may not be awake.
func WakeQueue(ctx context.Context, a *Activities, tenant string, endpoint webhook.EndpointID, delay time.Duration) (asked bool, err error) {
	return a.wakes.tell(ctx, tenant, endpoint, delay)
}

// waitsInQueue reports whether the endpoint's queue must be awake for the delivery.
func (r *AttemptResult) waitsInQueue() bool {
	return r != nil && r.Queued && (r.Status == webhook.StatusPending || r.Status == webhook.StatusRetrying)
}

// wakes wakes the queues of endpoints for what attempts leave to them. A queue that something is due in stays awake until then, so
// that the failures of one endpoint need few calls.
type wakes struct {
	engine Engine
	now    func() time.Time

	mu    sync.Mutex
	told  map[webhook.EndpointID]*telling
	swept time.Time
}

// telling is one wake; err is set once done is closed.
type telling struct {
	// due is when the queue has something to do for certain, and until is when that is no longer relied on.
	due, until time.Time
	done       chan struct{}
	err        error
}

func newWakes(engine Engine, now func() time.Time) *wakes {
	return &wakes{engine: engine, now: now, told: map[webhook.EndpointID]*telling{}}
}

// tell returns once the endpoint's queue was woken for what is recorded and due after the delay, and whether it asked for that itself. It
// relies on an earlier wake for something due sooner, for half of its delay and a second at most, because that may leave the queue early:
// a person has it attempted, or the endpoint is disabled and enabled. What is missed within that second, the reconciler finds.
func (w *wakes) tell(ctx context.Context, tenant string, endpoint webhook.EndpointID, delay time.Duration) (asked bool, err error) {
	now := w.now()
	due := now.Add(delay)
	w.mu.Lock()
	t := w.told[endpoint]
	if t != nil && !due.Before(t.due) && now.Before(t.until) {
		w.mu.Unlock()
		select {
		case <-t.done:
			return false, t.err
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	t = &telling{due: due, until: now.Add(min(delay/2, mostTold)), done: make(chan struct{})}
	w.remember(endpoint, t, now)
	w.mu.Unlock()
	defer close(t.done)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wakeTimeout) // others wait for it too
	defer cancel()
	if t.err = w.engine.WakeQueue(ctx, tenant, endpoint); t.err != nil {
		w.forget(endpoint, t)
	}
	return true, t.err
}

// remember keeps the telling, unless too many are in force.
func (w *wakes) remember(endpoint webhook.EndpointID, t *telling, now time.Time) {
	if now.Sub(w.swept) > mostTold {
		w.swept = now
		for id, old := range w.told {
			if !now.Before(old.until) {
				delete(w.told, id)
			}
		}
	}
	if _, known := w.told[endpoint]; known || len(w.told) < mostTellings {
		w.told[endpoint] = t
	}
}

func (w *wakes) forget(endpoint webhook.EndpointID, t *telling) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told[endpoint] == t {
		delete(w.told, endpoint)
	}
}
