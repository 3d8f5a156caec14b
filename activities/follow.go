package activities

import (
	"context"
	"errors"
	"time"

	"waybill/webhook"
)

// DefaultPatience is how long a workflow task waits for an attempt of the fast lane.
const DefaultPatience = time.Second

// begin begins an attempt, or joins the one in flight. A canceled context stops neither the request nor its record.
// Otherwise the receiver would have seen an attempt that was never recorded.
func (a *Activities) begin(ctx context.Context, in *AttemptInput) *inFlightAttempt {
	ctx = context.WithoutCancel(ctx)
	t := turnOf(in)
	return a.inFlight.join(keyOf(in), t, func() (out *AttemptResult, err error) {
		err = safely(func() error {
			out, err = a.attempt(ctx, in, t)
			return err
		})
		if p := (*panicError)(nil); errors.As(err, &p) {
			a.metrics.panics.Inc()
			a.log.Error("an attempt panicked; it is made again later", "tenant", in.Tenant, "delivery_id", in.DeliveryID,
				"endpoint_id", in.EndpointID, "attempt", in.Number, "error", p, "stack", string(p.stack))
			out = nil
		}
		return out, err
	})
}

// await waits for an attempt that was joined. In the fast lane it waits for Patience at most, and then returns the task queue that will
// have the result. An attempt that waits for its turn keeps the caller, because that bounds how many wait: patience begins with its turn
// and ends with its answer.
func (a *Activities) await(ctx context.Context, in *AttemptInput, at *inFlightAttempt) (*AttemptResult, error) {
	defer a.inFlight.leave(at)
	if at.turn != nil {
		select {
		case <-at.turn.begun:
		case <-at.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if in.Lane != LaneFast || a.queue == "" {
		<-at.done
		return at.out, at.err
	}
	patience := time.NewTimer(a.patience)
	defer patience.Stop()
	select {
	case <-at.done:
		return at.out, at.err
	case <-patience.C:
		if a.inFlight.follow(at) {
			return &AttemptResult{FollowOn: a.queue}, nil
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-at.done:
		return at.out, at.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Follow waits for an attempt in flight in this process and returns its result. CodeNotFound: this process does not know
// the attempt; call Attempt, which finds its record.
func (a *Activities) Follow(ctx context.Context, in AttemptInput) (*AttemptResult, error) {
	at := a.inFlight.find(keyOf(&in))
	if at == nil {
		return nil, a.translate(ctx, "follow", webhook.Errorf(webhook.CodeNotFound, "this process does not know the attempt"))
	}
	defer a.beat(ctx, nil)()
	select {
	case <-at.done:
		a.inFlight.forget(keyOf(&in), at)
		in.Lane = LaneFast
		return a.answer(ctx, "follow", &in, at.out, at.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Drain waits until the attempts in flight are recorded, or the context is done.
func Drain(ctx context.Context, a *Activities) error {
	done := make(chan struct{})
	go func() {
		a.inFlight.wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
