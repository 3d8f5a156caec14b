package activities

import (
	"sync"
	"time"

	"waybill/webhook"
)

// resultKept is how long the result of a long attempt is kept for Follow.
const resultKept = time.Minute

// inFlight holds the attempts in flight in this process, of both lanes and of express mode. A second call for the same
// attempt, for example of a task that is repeated because its answer was lost, waits for the first one, so that the
// receiver gets no second request. A long attempt of the fast lane outlives its workflow task, which would otherwise block
// the event's other deliveries. Follow then fetches its result.
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
	// followed says that a caller was told to fetch the result with Follow.
	followed bool
}

// failed reports whether the attempt ended with an error.
func (at *inFlightAttempt) failed() bool {
	select {
	case <-at.done:
		return at.err != nil
	default:
		return false
	}
}

// join returns the attempt under the key, and begins it when there is none. An attempt that is kept for Follow and ended
// with an error is made again.
func (f *inFlight) join(key attemptKey, attempt func() (*AttemptResult, error)) *inFlightAttempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.attempts[key]; ok && !at.failed() {
		return at
	}
	at := &inFlightAttempt{done: make(chan struct{})}
	f.attempts[key] = at
	f.running.Go(func() {
		defer f.end(key, at)
		at.out, at.err = attempt()
	})
	return at
}

// end ends an attempt. Its result is kept for resultKept when a caller was told to fetch it.
func (f *inFlight) end(key attemptKey, at *inFlightAttempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(at.done)
	if at.followed {
		time.AfterFunc(resultKept, func() { f.forget(key, at) })
		return
	}
	f.drop(key, at)
}

func (f *inFlight) forget(key attemptKey, at *inFlightAttempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(key, at)
}

// drop removes the attempt, unless another one has the same key by now.
func (f *inFlight) drop(key attemptKey, at *inFlightAttempt) {
	if f.attempts[key] == at {
		delete(f.attempts, key)
	}
}

// follow reports whether the attempt is still in flight. If so, its result will be kept.
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

// find returns the attempt under the key; nil when there is none.
func (f *inFlight) find(key attemptKey) *inFlightAttempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attempts[key]
}
