package main

import (
	"context"
	"log/slog"
	"time"
)

// stop is the one budget of a process that ends: from the signal on, everything that has to be waited for shares it. Whatever does
// not come to its end in time is left as a killed process would leave it, and another process makes it anew.
type stop struct {
	// requests is done when HTTP requests under way are given up, work when attempts, starts and their records are, and end when
	// the process ends.
	requests, work, end context.Context
}

// requestsShare is the part of the budget that HTTP requests under way may take from the attempts.
func requestsShare(budget time.Duration) time.Duration { return budget / 3 }

// workShare leaves the database some time to be closed in order.
func workShare(budget time.Duration) time.Duration { return budget * 9 / 10 }

// newStop returns a budget that begins when ctx is done.
func newStop(ctx context.Context, budget time.Duration, log *slog.Logger) *stop {
	context.AfterFunc(ctx, func() { log.Info("stopping", "within", budget.String()) })
	return &stop{requests: doneAfter(ctx, requestsShare(budget)), work: doneAfter(ctx, workShare(budget)), end: doneAfter(ctx, budget)}
}

// doneAfter returns a context that is done so long after ctx is.
func doneAfter(ctx context.Context, delay time.Duration) context.Context {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(delay, cancel) })
	return out
}

// within waits for do, but not longer than ctx, and reports whether do has ended.
func within(ctx context.Context, do func()) bool {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		do()
	}()
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}
