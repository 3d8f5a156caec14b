package activities

import (
	"sync"
	"time"

	"waybill/webhook"
)

// resultKept is how long the result of an attempt that took long waits for Follow.
const resultKept = time.Minute

// inFlight are the attempts under way in this process, of both lanes and of express mode. Whoever asks for one that is
// under way, such as a task that is run once more because its answer was lost, waits for that one: the receiver gets no
// second request. An attempt of the fast lane that takes long outlives the workflow task it began in, which could
// otherwise do nothing for the event's other deliveries; its result is then fetched by Follow.
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

// failed reports whether the attempt ended with an error.
func (at *inFlightAttempt) failed() bool {
	select {
	case <-at.done:
		return at.err != nil
	default:
		return false
	}
}

// join returns the attempt under the key, and begins it when there is none. One that ended with an error and is kept for
// Follow is made again: nothing came of it.
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

// end ends an attempt. Its result stays for a while when somebody was told to ask for it.
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

// drop removes the attempt, unless another has taken its key.
func (f *inFlight) drop(key attemptKey, at *inFlightAttempt) {
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
