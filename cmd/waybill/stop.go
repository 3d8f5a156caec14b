package main

import (
	"context"
	"log/slog"
	"time"
)

// stop is the time budget of a process that ends. Everything that must be waited for after the signal shares it. Work that
// does not finish in time is left as by a killed process, and another process repeats it.
type stop struct {
	// requests is done when open HTTP requests are canceled, work when attempts, starts and their records are canceled, and
	// end when the process ends.
	requests, work, end context.Context
	// told is closed once the log says that the process stops.
	told chan struct{}
}

// requestsShare is the part of the budget that open HTTP requests may use.
func requestsShare(budget time.Duration) time.Duration { return budget / 3 }

// workShare leaves the database some time to be closed in order.
func workShare(budget time.Duration) time.Duration { return budget * 9 / 10 }

// newStop returns a budget that begins when ctx is done.
func newStop(ctx context.Context, budget time.Duration, log *slog.Logger) *stop {
	told := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(told)
		log.Info("stopping", "within", budget.String())
	})
	return &stop{requests: doneAfter(ctx, requestsShare(budget)), work: doneAfter(ctx, workShare(budget)), end: doneAfter(ctx, budget), told: told}
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
