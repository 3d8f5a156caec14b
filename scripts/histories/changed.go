package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// changedStories are those that a change of workflows.Changes made, or that show what came with it.
func changedStories() []*story {
	const hour = time.Hour
	return []*story{
		{name: "exhausted-failed", deliveries: 2, attempt: exhausting(3, time.Second)},
		{name: "retry-now-manual", deliveries: 1, attempt: failing(2, hour), then: steps(
			after(webhook.StatusRetrying, workflows.SignalRetryNow, false),
			func(ctx context.Context, r *running) error { return r.waitAttempts(ctx, 2) },
			after(webhook.StatusRetrying, workflows.SignalRetryNow, false),
		)},
		{name: "retry-now-updated", deliveries: 1, attempt: failing(1, hour), then: steps(waitFor(webhook.StatusRetrying), func(ctx context.Context, r *running) error {
			return r.update(ctx, workflows.SignalRetryNow)
		})},
		{name: "canceled-updated", deliveries: 2, attempt: failing(1, hour), then: steps(waitFor(webhook.StatusRetrying), func(ctx context.Context, r *running) error {
			return r.update(ctx, workflows.SignalCancelDelivery)
		}, cancelWorkflow)},
		{name: "disabled-updated", deliveries: 1, attempt: failing(1, hour), holdFor: hour, then: steps(waitFor(webhook.StatusRetrying), func(ctx context.Context, r *running) error {
			return errors.Join(r.update(ctx, workflows.SignalDisableEndpoint), r.update(ctx, workflows.SignalEnableEndpoint))
		})},
		{name: "timer-canceled", deliveries: 1, attempt: failing(1, hour), holdFor: hour, then: steps(
			after(webhook.StatusRetrying, workflows.SignalDisableEndpoint, true), after(webhook.StatusHeld, workflows.SignalEnableEndpoint, true))},
		{name: "several-statuses", deliveries: 2, attempt: unequal(), open: true, then: waitFor(webhook.StatusExhausted)},
		{name: "strange-signal", deliveries: 1, attempt: failing(1, hour), then: steps(waitFor(webhook.StatusRetrying), func(ctx context.Context, r *running) error {
			return errors.Join(
				r.client.SignalWorkflow(ctx, r.id, "", workflows.SignalRetryNow, "not an object"),
				r.client.SignalWorkflow(ctx, r.id, "", workflows.SignalCancelDelivery, map[string]string{"endpoint": "ep_1"}),
				r.signal(ctx, workflows.SignalRetryNow, false),
			)
		})},
		{name: "held-not-retried", deliveries: 1, attempt: heldOnce(), holdFor: hour, then: steps(
			after(webhook.StatusHeld, workflows.SignalRetryNow, false), after(webhook.StatusHeld, workflows.SignalEnableEndpoint, true))},
		held("held-rather-than-retried"),
		{name: "in-waves", deliveries: workflows.MaxDeliveries + 1, attempt: unequalAtLast()},
		{name: "signals-to-part", deliveries: workflows.MaxDeliveries + 1, attempt: oneFails(workflows.MaxDeliveries+1, 5*time.Second), then: func(ctx context.Context, r *running) error {
			return r.signalTo(ctx, workflows.SignalRetryNow, webhook.NewID[webhook.EndpointID](fixed(workflows.MaxDeliveries+1)).String())
		}},
		faulty("fault-waited"),
		{name: "first-together", deliveries: workflows.WideDeliveries + 1, attempt: oneFails(1, time.Second)},
		{name: "signaled-before-first", deliveries: workflows.WideDeliveries + 1, attempt: failing(1, time.Second), waiting: workflows.SignalCancelDelivery},
		{name: "canceled-together", deliveries: 2, attempt: failing(1, hour), then: steps(waitFor(webhook.StatusRetrying), cancelWorkflow)},
		{name: "put-off-first", deliveries: workflows.WideDeliveries + 1, attempt: unsettled()},
		{name: "canceled-shown", deliveries: 2, attempt: failing(1, hour), then: steps(waitFor(webhook.StatusRetrying), cancelWorkflow)},
		{name: "canceled-in-parts", deliveries: workflows.MaxDeliveries + 1, attempt: failing(0, 0), canceled: true},
		{name: "disabled-each", deliveries: 2, attempt: failing(1, hour), setEnabled: firstIsGone(), then: steps(waitFor(webhook.StatusRetrying),
			func(ctx context.Context, r *running) error {
				return r.signalTo(ctx, workflows.SignalDisableEndpoint, workflows.AllEndpoints)
			},
			func(ctx context.Context, r *running) error {
				return r.signalTo(ctx, workflows.SignalRetryNow, workflows.AllEndpoints)
			})},
		{name: "retried-within-task", deliveries: 2, attempt: retriedSoon()},
		{name: "forged-input", deliveries: 1, attempt: failing(0, 0), forge: func(in *workflows.EventDeliveryInput) { in.Policies = nil }},
	}
}

func cancelWorkflow(ctx context.Context, r *running) error {
	return r.client.CancelWorkflow(ctx, r.id, "")
}

// steps plays one after the other.
func steps(all ...func(context.Context, *running) error) func(context.Context, *running) error {
	return func(ctx context.Context, r *running) error {
		for _, step := range all {
			if err := step(ctx, r); err != nil {
				return err
			}
		}
		return nil
	}
}

func waitFor(status webhook.Status) func(context.Context, *running) error {
	return func(ctx context.Context, r *running) error { return r.wait(ctx, status) }
}

// retriedSoon fails every first attempt, and makes the second within the same task, which delivers. A third follows for the last.
func retriedSoon() script {
	first := webhook.NewID[webhook.EndpointID](fixed(1))
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if in.Number > 1 {
			return result(in, 200, webhook.StatusDelivered, 0), nil
		}
		next := in
		next.Number = 2
		out := result(next, 200, webhook.StatusDelivered, 0)
		if in.EndpointID != first {
			out = result(next, 503, webhook.StatusRetrying, time.Second)
		}
		out.Missing = []webhook.AttemptSummary{*out.Attempt}
		out.Attempt = result(in, 503, webhook.StatusRetrying, time.Second).Attempt
		return out, nil
	}
}

// unequal exhausts the first delivery and retries the other.
func unequal() script {
	first := webhook.NewID[webhook.EndpointID](fixed(1))
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if in.EndpointID == first {
			return result(in, 410, webhook.StatusExhausted, 0), nil
		}
		return result(in, 503, webhook.StatusRetrying, time.Hour), nil
	}
}

// unequalAtLast exhausts the first delivery and delivers the others.
func unequalAtLast() script {
	first := webhook.NewID[webhook.EndpointID](fixed(1))
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if in.EndpointID == first {
			return result(in, 410, webhook.StatusExhausted, 0), nil
		}
		return result(in, 200, webhook.StatusDelivered, 0), nil
	}
}

// oneFails has the delivery n (from 1) fail once, and its retry wait.
func oneFails(n int, wait time.Duration) script {
	failing := webhook.NewID[webhook.EndpointID](fixed(n))
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if in.EndpointID == failing && in.Number == 1 {
			return result(in, 503, webhook.StatusRetrying, wait), nil
		}
		return result(in, 200, webhook.StatusDelivered, 0), nil
	}
}

// unsettled fails the first delivery once, has no slot in the fast lane for the second, and none for a second for the third.
func unsettled() script {
	failing := oneFails(1, time.Second)
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		switch fast := in.Lane == activities.LaneFast; {
		case fast && in.EndpointID == webhook.NewID[webhook.EndpointID](fixed(2)):
			return activities.AttemptResult{Spilled: true}, nil
		case fast && in.EndpointID == webhook.NewID[webhook.EndpointID](fixed(3)):
			return activities.AttemptResult{Spilled: true, Delay: time.Second}, nil
		}
		return failing(in)
	}
}

// errGone is a fault that time does not cure.
func errGone() error {
	return temporal.NewNonRetryableApplicationError("not stored", string(webhook.CodeNotFound), nil)
}

func firstIsGone() func(activities.SetEnabledInput) error {
	first := webhook.NewID[webhook.EndpointID](fixed(1))
	return func(in activities.SetEnabledInput) error {
		if in.EndpointID == first {
			return errGone()
		}
		return nil
	}
}

// faulty cannot make the first attempt, in either lane, until a person asks for it.
func faulty(name string) *story {
	tried := make(chan struct{})
	var asked atomic.Bool
	return &story{
		name: name, deliveries: 1,
		attempt: func(in activities.AttemptInput) (activities.AttemptResult, error) {
			if asked.Load() {
				return result(in, 200, webhook.StatusDelivered, 0), nil
			}
			if in.Lane == activities.LaneIsolated {
				defer close(tried)
			}
			return activities.AttemptResult{}, errGone()
		},
		then: func(ctx context.Context, r *running) error {
			<-tried
			asked.Store(true)
			time.Sleep(time.Second) // until the workflow knows, which no query tells
			return r.update(ctx, workflows.SignalRetryNow)
		},
	}
}

// held is an endpoint that is disabled, and a retry asked for, while the same attempt is under way.
func held(name string) *story {
	begun, gate := make(chan struct{}), make(chan struct{})
	return &story{
		name: name, deliveries: 1, holdFor: time.Hour,
		attempt: func(in activities.AttemptInput) (activities.AttemptResult, error) {
			if in.Number > 1 {
				return result(in, 200, webhook.StatusDelivered, 0), nil
			}
			close(begun)
			<-gate
			return result(in, 503, webhook.StatusRetrying, time.Hour), nil
		},
		then: func(ctx context.Context, r *running) error {
			<-begun
			err := errors.Join(r.signal(ctx, workflows.SignalDisableEndpoint, true), r.signal(ctx, workflows.SignalRetryNow, false))
			close(gate)
			if err != nil {
				return err
			}
			return after(webhook.StatusHeld, workflows.SignalEnableEndpoint, true)(ctx, r)
		},
	}
}

// update asks for the first delivery and waits for the answer.
func (r *running) update(ctx context.Context, name string) error {
	handle, err := r.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: r.id, UpdateName: name, WaitForStage: client.WorkflowUpdateStageCompleted,
		Args: []any{workflows.EndpointSignal{EndpointID: webhook.NewID[webhook.EndpointID](fixed(1)).String(), Reason: "recorded"}},
	})
	if err != nil {
		return fmt.Errorf("update %s: %w", name, err)
	}
	return handle.Get(ctx, nil)
}

// waitAttempts until the first delivery has so many attempts.
func (r *running) waitAttempts(ctx context.Context, n int) error {
	return r.waitUntil(ctx, func(d webhook.DeliveryHistory) bool { return len(d.Attempts) >= n })
}
