package webhook

import (
	"fmt"
	"time"
)

// Status codes with a special meaning (RFC 9110, section 15; RFC 6585, section 4).
const (
	statusGone            = 410
	statusTooManyRequests = 429
	statusUnavailable     = 503
)

// Reply is the receiver's reply to one attempt.
type Reply struct {
	// StatusCode is 0 when no answer arrived.
	StatusCode int
	// RetryAfter is the delay that the Retry-After header asked for; 0: none.
	RetryAfter time.Duration
	// ErrorClass and Error tell why no answer arrived; empty when StatusCode is set.
	ErrorClass ErrorClass
	Error      string
}

// Verdict is the outcome of an attempt and its consequences.
type Verdict struct {
	Outcome    Outcome
	ErrorClass ErrorClass
	Error      string
	// Status is the delivery's new status: delivered, retrying or exhausted.
	Status Status
	// Delay is the time from the end of this attempt to the start of the next one while retrying.
	Delay time.Duration
	// Gone says that the receiver wants no more, so the endpoint must be disabled.
	Gone bool
}

// Judge decides what the n-th attempt (from 1) that the retry policy counts means for a delivery. Only 2xx delivers;
// redirects are failures. The policy must be resolved.
func (d *Dialect) Judge(p RetryPolicy, id DeliveryID, n int, r Reply) Verdict {
	if r.ErrorClass == "" && r.StatusCode >= 200 && r.StatusCode <= 299 {
		return Verdict{Outcome: OutcomeDelivered, Status: StatusDelivered}
	}
	v := Verdict{Outcome: OutcomeRetryable, ErrorClass: r.ErrorClass, Error: r.Error, Status: StatusExhausted}
	if r.ErrorClass == "" {
		v.ErrorClass, v.Error = statusError(r.StatusCode)
	}
	if d.GoneDisables && r.StatusCode == statusGone {
		v.Outcome, v.Gone = OutcomeRejected, true
		return v
	}
	retryAfter := time.Duration(0)
	if r.StatusCode == statusTooManyRequests || r.StatusCode == statusUnavailable {
		retryAfter = r.RetryAfter
	}
	if delay, ok := p.Delay(n, id.String(), retryAfter); ok {
		v.Status, v.Delay = StatusRetrying, delay
	}
	return v
}

func statusError(code int) (ErrorClass, string) {
	if code >= 300 && code <= 399 {
		return ErrorRedirect, fmt.Sprintf("the receiver answered %d; redirects are not followed", code)
	}
	return ErrorHTTPStatus, fmt.Sprintf("the receiver answered %d", code)
}
