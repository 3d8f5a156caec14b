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

// looks is how many times an attempt reads an endpoint again that was enabled just before its delivery could be held.
const looks = 5

// Attempt makes one attempt of a delivery and records it, or tells why it made none. A receiver's failure is a result; an
// error is an internal fault. Type "busy": the endpoint has too many attempts in flight; try again later. Attempt also
// works outside of an activity, without heartbeats.
func (a *Activities) Attempt(ctx context.Context, in AttemptInput) (*AttemptResult, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if activity.IsActivity(ctx) && !activity.GetInfo(ctx).IsLocalActivity {
		defer a.beat(ctx, nil)()
	}
	for {
		at := a.begin(ctx, &in)
		out, err := a.await(ctx, &in, at)
		if full := (*fullError)(nil); errors.As(err, &full) && full.lane == LaneFast && in.Lane == LaneIsolated {
			a.inFlight.forget(keyOf(&in), at) // it waited for a slot of the other lane, so its result does not apply here
			continue
		}
		if out, err = a.answer(ctx, "attempt", &in, out, err); err != nil {
			return nil, err
		}
		return a.retrySoon(ctx, &in, out), nil
	}
}

// answer turns the end of an attempt into the result for the lane that asked for it.
func (a *Activities) answer(ctx context.Context, what string, in *AttemptInput, out *AttemptResult, err error) (*AttemptResult, error) {
	full := (*fullError)(nil)
	if errors.As(err, &full) && in.QueueRetries {
		a.metrics.spilled.Inc()
		out, err = a.enqueue(ctx, in, full.retryAfter)
	}
	if err == nil && in.Queue == nil && !in.QueueRetries && out.waitsInQueue() {
		_, err = a.wakes.tell(ctx, in.Tenant, in.EndpointID, out.Delay)
	}
	switch {
	case !errors.As(err, &full):
		return out, a.translate(ctx, what, err)
	case in.Lane == LaneFast:
		a.metrics.spilled.Inc()
		return &AttemptResult{Spilled: true, Delay: full.retryAfter}, nil
	default:
		a.metrics.busy.Inc()
		return nil, busyError(full)
	}
}

// beat sends heartbeats with details, nil for none, until the returned function is called. When a process dies, the server then
// gives its attempts to another process before they time out.
func (a *Activities) beat(ctx context.Context, details func() []any) (stop func()) {
	if details == nil {
		details = func() []any { return nil }
	}
	done := make(chan struct{})
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(a.heartbeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				activity.RecordHeartbeat(ctx, details()...)
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

// attempt is Attempt without Temporal, in its turn (nil: it takes none). errFull: there is no slot in the lane.
func (a *Activities) attempt(ctx context.Context, in *AttemptInput, t *turn) (*AttemptResult, error) {
	taken, err := a.bulkhead.enter(ctx, in.EndpointID, in.Lane)
	if err != nil {
		return nil, err
	}
	defer taken.leave()
	if err := taken.begin(t, a.wideBegins); err != nil {
		return nil, err
	}
	target := store.Target{Tenant: in.Tenant, EventKey: in.EventKey, DeliveryID: in.DeliveryID, EndpointID: in.EndpointID}
	for range looks {
		s, err := a.store.Sending(ctx, target)
		if webhook.ErrorCode(err) == webhook.CodeNotFound {
			return a.forgotten(ctx, in)
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
		case s.Delivery.Queued && in.Queue == nil:
			return a.notSent(ctx, in, &s.Delivery, s.Endpoint)
		case s.Delivery.Test && s.Endpoint.Unverified:
			d, err := a.cancel(ctx, in.Tenant, in.DeliveryID, reasonUnverified)
			if err != nil {
				return nil, err
			}
			return a.notSent(ctx, in, d, s.Endpoint)
		case s.Delivery.Test || s.Endpoint.DisabledAt == nil:
			if in.Signaled {
				if err := a.store.NoteRetry(byTemporal(ctx), in.Tenant, in.DeliveryID, in.Number, ""); err != nil {
					return nil, fmt.Errorf("note who asked for an attempt: %w", err)
				}
			}
			return a.send(ctx, in, s, taken)
		case in.Queue != nil: // its drain finds the endpoint disabled too, and holds what waits
			return a.notSent(ctx, in, &s.Delivery, s.Endpoint)
		}
		d, err := a.store.HoldDelivery(ctx, in.Tenant, in.DeliveryID, a.now())
		if err != nil {
			return nil, fmt.Errorf("hold a delivery: %w", err)
		}
		if d.Status == webhook.StatusHeld || d.Status.Settled() || d.Queued {
			return a.notSent(ctx, in, d, s.Endpoint)
		}
	}
	return nil, webhook.Errorf(webhook.CodeUnavailable, "the endpoint keeps being disabled and enabled")
}

// forgotten ends a delivery whose event retention removed. The queue would otherwise find it again and again.
func (a *Activities) forgotten(ctx context.Context, in *AttemptInput) (*AttemptResult, error) {
	const reason = "the event is no longer stored"
	if in.Queue != nil {
		if _, err := a.cancel(ctx, in.Tenant, in.DeliveryID, reason); err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound {
			return nil, err
		}
	}
	return &AttemptResult{Status: webhook.StatusCanceled, Reason: reason}, nil
}

// takeover is the longest time, on a healthy system, from the death of a process until another makes its attempts.
const takeover = time.Minute

// notSent returns the result of an attempt that must not be made. Another run of it may have been recorded since the
// delivery was read.
func (a *Activities) notSent(ctx context.Context, in *AttemptInput, d *webhook.Delivery, e *webhook.Endpoint) (*AttemptResult, error) {
	if d.Attempts >= in.Number {
		return a.recordedBefore(ctx, in, d)
	}
	out := a.resultOf(d)
	if e != nil {
		out.Host = e.Host()
	}
	return out, nil
}

// recordedBefore returns the result of an attempt that an earlier run recorded but could not report, because its process
// died or its workflow was reset. The caller lacks the attempts after it, too. The time since the record depends on the
// clock of that run's process, which may be on another machine. It is subtracted from the delay if it is not longer than a
// takeover. Otherwise the delay begins again, because a retry may come late but not early.
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
	if d.Status == webhook.StatusRetrying && d.NextAttemptAt != nil && !d.Queued { // the queue goes by the database's clock
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

// resultOf returns the result that the delivery's stored state implies.
func (a *Activities) resultOf(d *webhook.Delivery) *AttemptResult {
	out := &AttemptResult{Status: d.Status, Queued: d.Queued && !d.Status.Settled()}
	if d.Status == webhook.StatusHeld || d.Status == webhook.StatusCanceled {
		out.Reason = d.Reason
	}
	if d.Status == webhook.StatusRetrying && d.NextAttemptAt != nil {
		out.Delay = max(d.NextAttemptAt.Sub(a.now()), 0)
	}
	return out
}
