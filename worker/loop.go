package worker

import (
	"context"
	"log/slog"
	"time"

	"waybill/webhook"
)

// every calls do at once and then once in each interval, until the context is done.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		do()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// reporting returns a call of do that logs the first of several failures in a row: an outage is one line.
func reporting(ctx context.Context, log *slog.Logger, failure string, do func(context.Context) error) func() {
	failing := false
	return func() {
		err := do(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			log.Warn(failure, "error", err)
		}
		failing = err != nil
	}
}

// maxUnavailable is how many items in a row may be answered with CodeUnavailable before a round takes the engine, or the database,
// to be down.
const maxUnavailable = 3

// outage tells an engine that is down from single items that fail: those must not end the round for the others.
type outage struct{ inRow int }

// ends takes the result of the next item and reports whether the round is to end.
func (o *outage) ends(err error) bool {
	if webhook.ErrorCode(err) != webhook.CodeUnavailable {
		o.inRow = 0
		return false
	}
	o.inRow++
	return o.inRow >= maxUnavailable
}
