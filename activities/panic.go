package activities

import (
	"fmt"
	"runtime/debug"
)

// panicError is a panic that was recovered: a fault of ours that ends an attempt and not the process.
type panicError struct {
	value any
	stack []byte // of the goroutine that panicked
}

func (e *panicError) Error() string { return clean(fmt.Sprintf("panic: %v", e.value), maxErrorBytes) }

// safely runs f and returns its error, a *panicError if it panics. Whoever starts a goroutine runs its work so.
func safely(f func() error) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *panicError: // from another goroutine, whose stack says more
			err = v
		default:
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}
