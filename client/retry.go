package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"time"
)

// Waits between the requests of a call, where the server does not say how long.
const (
	firstWait = 200 * time.Millisecond
	mostWait  = 5 * time.Second
)

// safe reports whether a request that may have been carried out can be sent again.
func (op *operation) safe(given http.Header) bool {
	switch op.method {
	case http.MethodPost:
		if batch, ok := op.body.(PublishBatchRequest); ok {
			// An event with an id of the caller's is stored once.
			return !slices.ContainsFunc(batch.Events, func(e EventCreate) bool { return e.ID == nil })
		}
		return op.repeatable || given.Get("Idempotency-Key") != ""
	case http.MethodPatch, http.MethodDelete:
		// A first one that got through would have changed the ETag.
		return given.Get("If-Match") == ""
	default:
		return true
	}
}

// retry reports whether a call is made again after an error, and how long to wait before. n counts the repetitions so far; safe says
// that nothing is done twice.
func retry(err error, n int, safe bool) (time.Duration, bool) {
	var answered *Error
	if errors.As(err, &answered) {
		// What is refused for its rate was not carried out. What is answered with the others may have been, by Waybill too: it cannot
		// tell where its database or Temporal did not answer in time.
		again := answered.Status == http.StatusTooManyRequests ||
			safe && (answered.Status == http.StatusServiceUnavailable || answered.Status == http.StatusBadGateway || answered.Status == http.StatusGatewayTimeout)
		return max(answered.RetryAfter, backoff(n)), again
	}
	var certificate *tls.CertificateVerificationError
	if errors.Is(err, context.Canceled) || errors.Is(err, errTooLarge) || errors.As(err, &certificate) {
		return 0, false
	}
	var dial *net.OpError
	return backoff(n), safe || errors.As(err, &dial) && dial.Op == "dial"
}

// backoff doubles, and spreads callers that failed together.
func backoff(n int) time.Duration {
	wait := min(firstWait<<min(n, 10), mostWait)
	return wait/2 + rand.N(wait/2)
}

// sleep waits, and reports whether the context lets the call go on afterwards.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
