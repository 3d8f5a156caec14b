package activities

import (
	"context"
	"errors"
	"time"

	"waybill/webhook"
)

// DefaultPatience is how long a workflow task waits for an attempt of the fast lane.
const DefaultPatience = time.Second

// toTell is how long before the end of its time a caller of the fast lane must be told where the result will be.
const toTell = time.Second

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
// and ends with its answer, or with the caller's time.
func (a *Activities) await(ctx context.Context, in *AttemptInput, at *inFlightAttempt) (*AttemptResult, error) {
	defer a.inFlight.leave(at)
	inTime, cancel := a.inTime(ctx, in)
	defer cancel()
	if err := at.turn.await(ctx, inTime, at); err != nil {
		return nil, err
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
		if !at.turn.isAnswered() && a.inFlight.follow(at) {
			return &AttemptResult{FollowOn: a.queue}, nil
		}
	case <-inTime.Done():
	}
	select {
	case <-at.done:
	case <-inTime.Done():
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case a.inFlight.follow(at):
			return &AttemptResult{FollowOn: a.queue}, nil
		}
		<-at.done
	}
	return at.out, at.err
}

// inTime returns a context that ends just before the caller's time does. A caller that still waits at the end of its time is not told where
// the result will be, so another process would make the attempt while it is under way here.
func (a *Activities) inTime(ctx context.Context, in *AttemptInput) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok && in.Lane == LaneFast && a.queue != "" {
		return context.WithDeadline(ctx, deadline.Add(-toTell))
	}
	return ctx, func() {}
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

// Drain waits until the attempts in flight are recorded, or the context is done. What waits for its turn does not begin any more: nobody
// would be told, and another process makes it.
func Drain(ctx context.Context, a *Activities) error {
	a.inFlight.giveUp()
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
