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
	// running counts the attempts under way, and idle tells when it has come to zero. A WaitGroup would not do: attempts may begin
	// while Drain waits.
	running int
	idle    *sync.Cond
}

func newInFlight() *inFlight {
	f := &inFlight{attempts: map[attemptKey]*inFlightAttempt{}}
	f.idle = sync.NewCond(&f.mu)
	return f
}

// wait waits until no attempt is under way.
func (f *inFlight) wait() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.running > 0 {
		f.idle.Wait()
	}
}

type attemptKey struct {
	delivery webhook.DeliveryID
	number   int
}

func keyOf(in *AttemptInput) attemptKey { return attemptKey{in.DeliveryID, in.Number} }

// inFlightAttempt is one attempt; out and err are set once done is closed.
type inFlightAttempt struct {
	done chan struct{}
	// turn is nil when the attempt waits for none.
	turn *turn
	out  *AttemptResult
	err  error
	// callers is how many wait for it.
	callers int
	// followed says that a caller was told to fetch the result with Follow.
	followed bool
}

// ended reports whether the attempt is not under way any more.
func (at *inFlightAttempt) ended() bool {
	select {
	case <-at.done:
		return true
	default:
		return false
	}
}

// join returns the attempt that is under way under the key, and begins it, with its turn, when there is none. Whoever has joined leaves.
// The result of one that has ended is kept for Follow alone: whoever asks for the attempt anew gets what the database says now, such as
// that the endpoint is enabled.
func (f *inFlight) join(key attemptKey, t *turn, attempt func() (*AttemptResult, error)) *inFlightAttempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.attempts[key]; ok && !at.ended() && !at.turn.isGivenUp() {
		at.callers++
		return at
	}
	at := &inFlightAttempt{done: make(chan struct{}), turn: t, callers: 1}
	f.attempts[key] = at
	f.running++
	go func() {
		defer f.end(key, at)
		at.out, at.err = attempt()
	}()
	return at
}

// leave ends the wait of a caller. An attempt whose turn has not come is given up with its last.
func (f *inFlight) leave(at *inFlightAttempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.callers--; at.callers == 0 {
		at.turn.giveUp()
	}
}

// giveUp gives up the attempts whose turn has not come.
func (f *inFlight) giveUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, at := range f.attempts {
		at.turn.giveUp()
	}
}

// end ends an attempt. Its result is kept for resultKept when a caller was told to fetch it.
func (f *inFlight) end(key attemptKey, at *inFlightAttempt) {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(at.done)
	if f.running--; f.running == 0 {
		f.idle.Broadcast()
	}
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

// follow reports whether the attempt is in flight. If so, its result will be kept.
func (f *inFlight) follow(at *inFlightAttempt) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.ended() {
		return false
	}
	at.followed = true
	return true
}

// find returns the attempt under the key; nil when there is none.
func (f *inFlight) find(key attemptKey) *inFlightAttempt {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.attempts[key]
}
