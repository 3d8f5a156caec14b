package activities

import (
	"fmt"
	"runtime/debug"

	"waybill/webhook"
)

// panicError is a recovered panic: an internal fault that ends the attempt and not the process.
type panicError struct {
	value any
	stack []byte // of the goroutine that panicked
}

func (e *panicError) Error() string {
	return webhook.CleanLine(fmt.Sprintf("panic: %v", e.value), maxErrorBytes)
}

// safely runs f and returns its error, or a *panicError if it panics. Every goroutine must run its work with it.
func safely(f func() error) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case *panicError: // from another goroutine: its own stack is the useful one
			err = v
		default:
			err = &panicError{v, debug.Stack()}
		}
	}()
	return f()
}
