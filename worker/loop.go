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

// reporting wraps do so that of several failures in a row only the first is logged: an outage is one line in the log.
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

// maxUnavailable is how many items in a row may fail with CodeUnavailable before a round concludes that the engine or the
// database is down.
const maxUnavailable = 3

// outage tells an engine that is down from single items that fail. Single failures must not end the round for the other
// items.
type outage struct{ inRow int }

// ends takes the result of the next item and reports whether the round should end.
func (o *outage) ends(err error) bool {
	if webhook.ErrorCode(err) != webhook.CodeUnavailable {
		o.inRow = 0
		return false
	}
	o.inRow++
	return o.inRow >= maxUnavailable
}
