package activities

import (
	"context"
	"errors"
	"time"

	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
)

// errorTypeBusy is the type of the error that puts an attempt off.
const errorTypeBusy = "busy"

// minBusyDelay separates the runs of an attempt that finds its endpoint busy.
const minBusyDelay = time.Second

// translate turns an error into what Temporal keeps of it: the code as its type, and the message that is written for
// the caller. The cause, which may quote SQL or an address, goes to the log alone.
func (a *Activities) translate(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ctx.Err()
	}
	a.log.Warn("an activity failed", "activity", what, "error", err)
	code, message := webhook.ErrorCode(err), "a fault of Waybill's own"
	var known *webhook.Error
	if errors.As(err, &known) {
		message = clean(known.Message, maxErrorBytes)
	}
	return temporal.NewApplicationErrorWithOptions(what+": "+message, string(code), temporal.ApplicationErrorOptions{
		NonRetryable: !retryable(code),
	})
}

// retryable reports whether time may cure an error: what is down comes back, and an operator mends what is broken. An
// error that names the request itself stays.
func retryable(code webhook.Code) bool {
	return code == webhook.CodeUnavailable || code == webhook.CodeInternal
}

// busyError asks Temporal to run the attempt again when its endpoint is to have a slot.
func busyError(full *fullError) error {
	return temporal.NewApplicationErrorWithOptions(full.Error(), errorTypeBusy, temporal.ApplicationErrorOptions{
		NextRetryDelay: max(full.retryAfter, minBusyDelay),
		Category:       temporal.ApplicationErrorCategoryBenign,
	})
}
