package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"

	"waybill/store"
	"waybill/webhook"
)

// looks is how often an attempt reads the endpoint again that was enabled while the delivery was about to be held.
const looks = 5

// Attempt makes one attempt of a delivery and records it, or tells why none is to be made. What the receiver does is a
// result; an error is a fault of ours. Type "busy": the endpoint has too many attempts under way, run it again later.
// Outside of an activity it works as well, without heartbeats.
func (a *Activities) Attempt(ctx context.Context, in AttemptInput) (*AttemptResult, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if activity.IsActivity(ctx) && !activity.GetInfo(ctx).IsLocalActivity {
		defer a.heartbeat(ctx)()
	}
	for {
		at := a.begin(ctx, &in)
		out, err := a.await(ctx, &in, at)
		if full := (*fullError)(nil); errors.As(err, &full) && full.lane == LaneFast && in.Lane == LaneIsolated {
			a.inFlight.forget(keyOf(&in), at) // it waited for the other lane, to no purpose here
			continue
		}
		return a.answer(ctx, "attempt", in.Lane, out, err)
	}
}

// answer makes of an attempt's end what the lane that asked for it is told.
func (a *Activities) answer(ctx context.Context, what string, lane Lane, out *AttemptResult, err error) (*AttemptResult, error) {
	full := (*fullError)(nil)
	switch {
	case !errors.As(err, &full):
		return out, a.translate(ctx, what, err)
	case lane == LaneFast:
		a.metrics.spilled.Inc()
		return &AttemptResult{Spilled: true, Delay: full.retryAfter}, nil
	default:
		a.metrics.busy.Inc()
		return nil, busyError(full)
	}
}

// heartbeat tells the server until the returned function is called that this process lives, so that an attempt lost
// with a process is made by another before its own timeout.
func (a *Activities) heartbeat(ctx context.Context) (stop func()) {
	done := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(a.heartbeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				activity.RecordHeartbeat(ctx)
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		beating.Wait()
	}
}

// attempt is Attempt without Temporal. errFull: there is no slot in the lane.
func (a *Activities) attempt(ctx context.Context, in *AttemptInput) (*AttemptResult, error) {
	taken, err := a.bulkhead.enter(ctx, in.EndpointID, in.Lane)
	if err != nil {
		return nil, err
	}
	defer taken.leave()
	target := store.Target{Tenant: in.Tenant, EventKey: in.EventKey, DeliveryID: in.DeliveryID, EndpointID: in.EndpointID}
	for range looks {
		s, err := a.store.Sending(ctx, target)
		if webhook.ErrorCode(err) == webhook.CodeNotFound {
			return &AttemptResult{Status: webhook.StatusCanceled, Reason: "the event is no longer stored"}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read what to send: %w", err)
		}
		switch {
		case s.Delivery.Attempts >= in.Number:
			return a.recordedBefore(ctx, in, &s.Delivery)
		case s.Delivery.Status.Settled():
			return a.resultOf(&s.Delivery), nil
		case s.Deleted:
			d, err := a.cancel(ctx, in.Tenant, in.DeliveryID, reasonDeleted)
			if err != nil {
				return nil, err
			}
			return a.notSent(ctx, in, d, nil)
		case s.Endpoint.DisabledAt == nil:
			return a.send(ctx, in, s, taken)
		}
		d, err := a.store.HoldDelivery(ctx, in.Tenant, in.DeliveryID, a.now())
		if err != nil {
			return nil, fmt.Errorf("hold a delivery: %w", err)
		}
		if d.Status == webhook.StatusHeld || d.Status.Settled() {
			return a.notSent(ctx, in, d, s.Endpoint)
		}
	}
	return nil, webhook.Errorf(webhook.CodeUnavailable, "the endpoint is disabled and enabled all the time")
}

// takeover is how long after the death of a process its attempts are taken up at the latest, when all is well.
const takeover = time.Minute

// notSent answers for an attempt that is not to be made. Another run of it may have been recorded since the delivery was read.
func (a *Activities) notSent(ctx context.Context, in *AttemptInput, d *webhook.Delivery, e *webhook.Endpoint) (*AttemptResult, error) {
	if d.Attempts >= in.Number {
		return a.recordedBefore(ctx, in, d)
	}
	out := a.resultOf(d)
	out.Host = hostOf(e)
	return out, nil
}

// recordedBefore answers for an attempt whose record was committed by a run that could not say so: its process died, or
// its workflow was reset. Whoever asks lacks the attempts after it, too. What has passed of the delay to the next is known
// by the clock of that run's process, which may be another's. It counts if a takeover takes as long; otherwise the delay
// begins anew, for a retry may come late but not early.
func (a *Activities) recordedBefore(ctx context.Context, in *AttemptInput, d *webhook.Delivery) (*AttemptResult, error) {
	made, err := a.recorded(ctx, in.DeliveryID, in.Number)
	if err != nil {
		return nil, err
	}
	out := a.resultOf(d)
	if len(made) == 0 {
		return nil, webhook.Errorf(webhook.CodeNotFound, "attempt %d of %q is no longer stored", in.Number, in.DeliveryID)
	}
	out.Attempt, out.Missing = &made[0], made[1:]
	if d.Status == webhook.StatusRetrying && d.NextAttemptAt != nil {
		last := &made[len(made)-1]
		end := last.StartedAt.Add(time.Duration(last.DurationMS) * time.Millisecond)
		passed := a.now().Sub(end)
		if passed < 0 || passed > takeover {
			passed = 0
		}
		out.Delay = max(d.NextAttemptAt.Sub(end)-passed, 0)
	}
	return out, nil
}

// resultOf returns what the delivery's own state says.
func (a *Activities) resultOf(d *webhook.Delivery) *AttemptResult {
	out := &AttemptResult{Status: d.Status}
	if d.Status == webhook.StatusHeld || d.Status == webhook.StatusCanceled {
		out.Reason = d.Reason
	}
	if d.Status == webhook.StatusRetrying && d.NextAttemptAt != nil {
		out.Delay = max(d.NextAttemptAt.Sub(a.now()), 0)
	}
	return out
}
