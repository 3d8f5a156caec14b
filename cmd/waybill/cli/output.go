package cli

import (
	"errors"
	"fmt"
	"io"
)

// OutputError says that what was asked for could not be written, on a full disk for example.
type OutputError struct{ Err error }

// Error says why.
func (e *OutputError) Error() string { return "the output cannot be written: " + e.Err.Error() }

// Unwrap returns the error inside.
func (e *OutputError) Unwrap() error { return e.Err }

// writef writes a line of a command that goes on until somebody ends it.
func writef(out io.Writer, format string, args ...any) error {
	_, err := fmt.Fprintf(out, format, args...)
	if known := (*OutputError)(nil); err == nil || errors.As(err, &known) {
		return err
	}
	return &OutputError{err}
}
