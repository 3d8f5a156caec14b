package store

import (
	"context"
	"crypto/sha256"
	"time"
)

// OnceFor is how long the first answer to a request with an Idempotency-Key is kept at least.
const OnceFor = 24 * time.Hour

// Once makes the creation of something repeatable, for a request with an Idempotency-Key. A method that takes a *Once stores the
// key in the transaction that creates, so that the key and what was made are there together or not at all; nil: there is no key.
// Of several requests with one key that meet, one creates and the others wait for it.
//
// When the same request came before, the method creates nothing and returns a *Repetition. When another request came with the
// key, it returns CodeIdempotencyConflict.
type Once struct {
	// Scope is the tenant; "" for what belongs to none.
	Scope string
	// Hash identifies the key within the scope.
	Hash [sha256.Size]byte
	// Digest identifies the request.
	Digest [sha256.Size]byte
	// Answer returns what a repetition gets. It is called once, in the transaction, after everything was made. It is stored sealed,
	// so it may have secrets.
	Answer func() ([]byte, error)
}

// Repetition says that a request with an Idempotency-Key was answered before, and nothing was made.
type Repetition struct {
	// Answer is what Once.Answer returned for the first request.
	Answer []byte
}

// Error says so.
func (*Repetition) Error() string { return "the request was answered before" }

// Repetitions finds the requests that came before.
type Repetitions interface {
	// LookOnce returns what a method that takes the Once would return without making anything: a *Repetition, or
	// CodeIdempotencyConflict. nil: the key is not taken, or once is nil.
	LookOnce(ctx context.Context, once *Once) error
}

// OnceKeys forgets what repetitions get.
type OnceKeys interface {
	// ForgetOnce deletes keys that are older than age, limit at a time. more: there may be others.
	ForgetOnce(ctx context.Context, age time.Duration, limit int) (more bool, err error)
}
