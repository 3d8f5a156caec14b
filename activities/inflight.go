package activities

import (
	"sync"
	"time"

	"waybill/webhook"
)

// resultKept is how long the result of an attempt that took long waits for Follow.
const resultKept = time.Minute

// inFlight are the fast-lane attempts under way in this process. An attempt that takes long outlives the workflow task
// it began in, which could otherwise do nothing for the event's other deliveries; its result is then fetched by Follow.
// A task that is run once more, because its answer was lost, meets the same attempt and not the receiver again.
type inFlight struct {
	mu       sync.Mutex
	attempts map[attemptKey]*inFlightAttempt
	running  sync.WaitGroup
}

type attemptKey struct {
	delivery webhook.DeliveryID
	number   int
}

func keyOf(in *AttemptInput) attemptKey { return attemptKey{in.DeliveryID, in.Number} }

// inFlightAttempt is one attempt; out and err are set once done is closed.
type inFlightAttempt struct {
	done chan struct{}
	out  *AttemptResult
	err  error
	// followed says that somebody was told to ask for the result.
	followed bool
}

// join returns the attempt under the key, and begins it when there is none.
func (f *inFlight) join(key attemptKey, attempt func() (*AttemptResult, error)) *inFlightAttempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.attempts[key]; ok {
		return at
	}
	at := &inFlightAttempt{done: make(chan struct{})}
	f.attempts[key] = at
	f.running.Go(func() {
		at.out, at.err = attempt()
		f.end(key, at)
	})
	return at
}

// end ends an attempt. Its result stays for a while when somebody was told to ask for it.
func (f *inFlight) end(key attemptKey, at *inFlightAttempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(at.done)
	if at.followed {
		time.AfterFunc(resultKept, func() { f.forget(key, at) })
		return
	}
	delete(f.attempts, key)
}

func (f *inFlight) forget(key attemptKey, at *inFlightAttempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attempts[key] == at {
		delete(f.attempts, key)
	}
}

// follow reports whether the attempt is still under way, and then keeps its result.
func (f *inFlight) follow(at *inFlightAttempt) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-at.done:
		return false
	default:
		at.followed = true
		return true
	}
}

// find returns the attempt under the key, nil when there is none.
func (f *inFlight) find(key attemptKey) *inFlightAttempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attempts[key]
}
