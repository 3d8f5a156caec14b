// Package cli has the commands that people use: they speak to a Waybill over its API, through package client.
package cli

import (
	"errors"
	"fmt"
)

// Exit codes of every command.
const (
	ExitOK     = 0
	ExitFailed = 1
	// ExitUsage says that the command was called wrongly or is configured wrongly, so that nothing was begun.
	ExitUsage = 2
)

// UsageError is an error of whoever called the command: arguments, flags, settings.
type UsageError struct{ Err error }

// Error says what is wrong with the call.
func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns the error inside.
func (e *UsageError) Unwrap() error { return e.Err }

// Usagef returns a UsageError.
func Usagef(format string, args ...any) error { return &UsageError{fmt.Errorf(format, args...)} }

// ExitCode is the exit code of a command that returned err.
func ExitCode(err error) int {
	var usage *UsageError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &usage):
		return ExitUsage
	default:
		return ExitFailed
	}
}
