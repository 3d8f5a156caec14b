package activities

import (
	"context"
	"sync"
	"time"

	"waybill/webhook"
)

// DefaultPatience is how long a workflow task waits for an attempt of the fast lane.
const DefaultPatience = time.Second

// flights are the fast-lane attempts under way in this process. An attempt that takes long outlives the workflow task
// it began in, which could otherwise do nothing for the event's other deliveries; its result is then fetched by Follow.
// A task that is run once more, because its answer was lost, meets the same flight and not the receiver again.
type flights struct {
	mu      sync.Mutex
	under   map[flightKey]*flight
	running sync.WaitGroup
}

type flightKey struct {
	delivery webhook.DeliveryID
	number   int
}

// resultKept is how long the result of an attempt that took long waits for Follow.
const resultKept = time.Minute

// flight is one attempt; out and err are set once done is closed.
type flight struct {
	done chan struct{}
	out  *AttemptResult
	err  error
	// followed says that somebody was told to ask for the result.
	followed bool
}

// join returns the flight under the key, and begins it when there is none.
func (f *flights) join(key flightKey, attempt func() (*AttemptResult, error)) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl, ok := f.under[key]; ok {
		return fl
	}
	fl := &flight{done: make(chan struct{})}
	f.under[key] = fl
	f.running.Go(func() {
		fl.out, fl.err = attempt()
		f.land(key, fl)
	})
	return fl
}

// land ends a flight. Its result stays for a while when somebody was told to ask for it.
func (f *flights) land(key flightKey, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(fl.done)
	if fl.followed {
		time.AfterFunc(resultKept, func() { f.forget(key, fl) })
		return
	}
	delete(f.under, key)
}

func (f *flights) forget(key flightKey, fl *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.under[key] == fl {
		delete(f.under, key)
	}
}

// follow reports whether the flight is still under way, and then keeps its result.
func (f *flights) follow(fl *flight) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-fl.done:
		return false
	default:
		fl.followed = true
		return true
	}
}

// find returns the flight under the key, nil when there is none.
func (f *flights) find(key flightKey) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.under[key]
}

// attemptPatiently makes an attempt and waits for it, but not for long: then it says where to ask for the result.
func (a *Activities) attemptPatiently(ctx context.Context, in *AttemptInput) (*AttemptResult, error) {
	// The request and its record outlive the workflow task.
	f := a.flights.join(flightKey{in.DeliveryID, in.Number}, func() (*AttemptResult, error) {
		return a.attempt(context.WithoutCancel(ctx), in)
	})
	patience := time.NewTimer(a.patience)
	defer patience.Stop()
	select {
	case <-f.done:
		return f.out, f.err
	case <-patience.C:
		if a.flights.follow(f) {
			return &AttemptResult{FollowOn: a.queue}, nil
		}
		return f.out, f.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Follow waits for an attempt that began in this process' fast lane and returns its result. CodeNotFound: it is not
// known here; run Attempt, which knows from the record.
func (a *Activities) Follow(ctx context.Context, in AttemptInput) (*AttemptResult, error) {
	f := a.flights.find(flightKey{in.DeliveryID, in.Number})
	if f == nil {
		return nil, a.translate(ctx, "follow", webhook.Errorf(webhook.CodeNotFound, "the attempt is not under way here"))
	}
	defer a.heartbeat(ctx)()
	select {
	case <-f.done:
		a.flights.forget(flightKey{in.DeliveryID, in.Number}, f)
		return f.out, a.translate(ctx, "follow", f.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Drain waits until the attempts under way are recorded, or the context is done.
func Drain(ctx context.Context, a *Activities) error {
	done := make(chan struct{})
	go func() {
		a.flights.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
