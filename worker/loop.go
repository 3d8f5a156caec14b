package worker

import (
	"context"
	"log/slog"
	"time"
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
