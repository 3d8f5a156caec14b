package activities

import (
	"context"
	"time"

	"waybill/webhook"
)

// DefaultPatience is how long a workflow task waits for an attempt of the fast lane.
const DefaultPatience = time.Second

// attemptPatiently makes an attempt and waits for it, but not for long: then it says where to ask for the result.
func (a *Activities) attemptPatiently(ctx context.Context, in *AttemptInput) (*AttemptResult, error) {
	// The request and its record outlive the workflow task.
	at := a.inFlight.join(keyOf(in), func() (*AttemptResult, error) {
		return a.attempt(context.WithoutCancel(ctx), in)
	})
	patience := time.NewTimer(a.patience)
	defer patience.Stop()
	select {
	case <-at.done:
		return at.out, at.err
	case <-patience.C:
		if a.inFlight.follow(at) {
			return &AttemptResult{FollowOn: a.queue}, nil
		}
		return at.out, at.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Follow waits for an attempt that began in this process' fast lane and returns its result. CodeNotFound: it is not
// known here; run Attempt, which knows from the record.
func (a *Activities) Follow(ctx context.Context, in AttemptInput) (*AttemptResult, error) {
	at := a.inFlight.find(keyOf(&in))
	if at == nil {
		return nil, a.translate(ctx, "follow", webhook.Errorf(webhook.CodeNotFound, "the attempt is not under way here"))
	}
	defer a.heartbeat(ctx)()
	select {
	case <-at.done:
		a.inFlight.forget(keyOf(&in), at)
		return at.out, a.translate(ctx, "follow", at.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Drain waits until the attempts under way are recorded, or the context is done.
func Drain(ctx context.Context, a *Activities) error {
	done := make(chan struct{})
	go func() {
		a.inFlight.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
