package main

import (
	"context"
	"time"

	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// queueStories are those of endpoints' queues, and of events whose deliveries went there.
func queueStories() []*story {
	const hour = time.Hour
	return []*story{
		{name: "held-to-queue", deliveries: 2, attempt: firstHeld(0), queues: true},
		{name: "held-to-queue-and-exhausted", deliveries: 2, attempt: firstHeld(3), queues: true},
		{name: "held-to-queue-while-retrying", deliveries: 1, attempt: failing(1, hour), queues: true,
			then: after(webhook.StatusRetrying, workflows.SignalDisableEndpoint, true)},
		{name: "held-to-queue-canceled", deliveries: 2, attempt: heldAndRetrying(), queues: true, then: steps(waitFor(webhook.StatusHeld),
			func(ctx context.Context, r *running) error { return r.update(ctx, workflows.SignalCancelDelivery) },
			func(ctx context.Context, r *running) error {
				return r.signalTo(ctx, workflows.SignalRetryNow, workflows.AllEndpoints)
			})},

		{name: "queue-emptied", drain: drains(full, full, end(activities.QueueEmpty))},
		{name: "queue-slept", drain: drains(full, sleeping(time.Second), end(activities.QueueEmpty))},
		{name: "queue-sleeping", drain: drains(full, sleeping(hour)), open: true, then: waitSleeping},
		{name: "queue-woken", drain: drains(full, sleeping(hour), end(activities.QueueEmpty)), then: func(ctx context.Context, r *running) error {
			if err := waitSleeping(ctx, r); err != nil {
				return err
			}
			return r.client.SignalWorkflow(ctx, r.id, "", workflows.SignalWake, nil)
		}},
		{name: "queue-disabled", drain: drains(full, end(activities.QueueDisabled))},
		{name: "queue-deleted", drain: drains(sleeping(time.Second), end(activities.QueueDeleted))},
		{name: "queue-continued", drain: func(int) (*activities.DrainResult, error) { return full() }, continues: true},
		{name: "queue-of-nobody", drain: func(int) (*activities.DrainResult, error) {
			return nil, temporal.NewNonRetryableApplicationError("not stored", string(webhook.CodeNotFound), nil)
		}},
		{name: "queue-switched", drain: drains(sleeping(hour), end(activities.QueueEmpty)), then: func(ctx context.Context, r *running) error {
			if err := waitSleeping(ctx, r); err != nil {
				return err
			}
			return r.signal(ctx, workflows.SignalEnableEndpoint, false)
		}},
		draining("queue-draining"),
	}
}

// firstHeld finds the first endpoint disabled; the other fails so many times, the last for good, or delivers.
func firstHeld(fails int) script {
	first := webhook.NewID[webhook.EndpointID](fixed(1))
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		switch {
		case in.EndpointID == first:
			return activities.AttemptResult{Status: webhook.StatusHeld, Reason: "disabled", Queued: true, Host: "hooks.example.com"}, nil
		case fails > 0:
			return exhausting(fails, time.Second)(in)
		default:
			return result(in, 200, webhook.StatusDelivered, 0), nil
		}
	}
}

// heldAndRetrying finds the first endpoint disabled; the other fails once.
func heldAndRetrying() script {
	held, other := firstHeld(0), failing(1, time.Hour)
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if out, err := held(in); out.Queued {
			return out, err
		}
		return other(in)
	}
}

type drained = func() (*activities.DrainResult, error)

// drains answers one drain after the other.
func drains(all ...drained) func(n int) (*activities.DrainResult, error) {
	return func(n int) (*activities.DrainResult, error) { return all[n-1]() }
}

// full has more to do.
func full() (*activities.DrainResult, error) {
	return &activities.DrainResult{Window: 32, Attempts: 1000, Delivered: 990, Waiting: 500, Host: "hooks.example.com"}, nil
}

func sleeping(next time.Duration) drained {
	return func() (*activities.DrainResult, error) {
		return &activities.DrainResult{Window: 8, Attempts: 10, Delivered: 5, Waiting: 5, Next: next, Why: "recorded"}, nil
	}
}

func end(why activities.QueueEnd) drained {
	return func() (*activities.DrainResult, error) { return &activities.DrainResult{Window: 8, End: why}, nil }
}

// waitSleeping waits until the queue sleeps.
func waitSleeping(ctx context.Context, r *running) error {
	for ctx.Err() == nil {
		value, err := r.client.QueryWorkflow(ctx, r.id, "", workflows.QueryQueueStatus)
		var s workflows.QueueStatus
		if err == nil {
			err = value.Get(&s)
		}
		if err == nil && !s.Draining && s.NextAt != nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
}

// draining is a queue whose drain is under way when it is woken.
func draining(name string) *story {
	begun, gate := make(chan struct{}), make(chan struct{})
	return &story{
		name: name, open: true,
		drain: func(n int) (*activities.DrainResult, error) {
			if n == 2 {
				close(begun)
				<-gate
			}
			return full()
		},
		then: func(ctx context.Context, r *running) error {
			<-begun
			time.AfterFunc(time.Second, func() { close(gate) }) // the worker stops once the history is recorded
			return r.client.SignalWorkflow(ctx, r.id, "", workflows.SignalWake, nil)
		},
	}
}
