package activities

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
)

// errorTypeBusy is the type of the error that delays an attempt.
const errorTypeBusy = "busy"

// minBusyDelay is the least delay of an attempt whose endpoint is busy.
const minBusyDelay = time.Second

// translate turns an error into the one that Temporal stores: its type is the code, its text the message for the caller.
// The cause, which may quote SQL or an address, is only logged.
func (a *Activities) translate(ctx context.Context, what string, err error) error {
	return translate(ctx, a.log, what, err)
}

func translate(ctx context.Context, log *slog.Logger, what string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ctx.Err()
	}
	log.Warn("an activity failed", "activity", what, "error", err)
	code, message := webhook.ErrorCode(err), "an internal fault"
	var known *webhook.Error
	if errors.As(err, &known) {
		message = webhook.CleanLine(known.Message, maxErrorBytes)
	}
	return temporal.NewApplicationErrorWithOptions(what+": "+message, string(code), temporal.ApplicationErrorOptions{
		NonRetryable: !retryable(code),
	})
}

// retryable reports whether a later try may succeed, because a service comes back or an operator repairs something. An
// error that the request itself causes is not retryable.
func retryable(code webhook.Code) bool {
	return code == webhook.CodeUnavailable || code == webhook.CodeInternal
}

// busyError asks Temporal to run the attempt again when its endpoint should have a free slot.
func busyError(full *fullError) error {
	return temporal.NewApplicationErrorWithOptions(full.Error(), errorTypeBusy, temporal.ApplicationErrorOptions{
		NextRetryDelay: max(full.retryAfter, minBusyDelay),
		Category:       temporal.ApplicationErrorCategoryBenign,
	})
}
