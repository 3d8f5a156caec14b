package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// story is one history to record: the receivers and the database play a script.
type story struct {
	name string
	// deliveries is how many endpoints the event has.
	deliveries int
	// attempt answers every attempt, the n-th of its delivery.
	attempt func(in activities.AttemptInput) (activities.AttemptResult, error)
	// setEnabled answers who disables or enables an endpoint; nil: it is done.
	setEnabled func(in activities.SetEnabledInput) error
	// waiting is a signal, for the first delivery, that waits for the workflow's first task; "": none.
	waiting string
	// canceled says that the workflow is canceled before its first task.
	canceled bool
	// then is what happens after the start.
	then func(ctx context.Context, r *running) error
	// open records the workflow while it runs; continues means that it does not end with its first run.
	open, continues bool
	holdFor         time.Duration
	// mail answers the n-th try, from 1, to send a mail; nil: the story is not one of EndpointNotices.
	mail func(n int) (activities.NoticeResult, error)
	// drain answers the n-th drain, from 1, of an endpoint's queue; nil: the story is an event's.
	drain func(n int) (*activities.DrainResult, error)
	// erase answers the n-th page, from 1, of the erasure of a tenant; nil: the story is another workflow's.
	erase func(n int) (activities.EraseTenantResult, error)
	// challenge answers the n-th try, from 1, to challenge a receiver; nil: the story is another workflow's.
	challenge func(n int) (activities.ChallengeResult, error)
	// queues says that what is held goes to the endpoint's queue.
	queues bool
	// forge makes the input one that Waybill would not.
	forge func(in *workflows.EventDeliveryInput)
}

// running is a started workflow.
type running struct {
	client client.Client
	id     string
}

// wait until the first delivery has the status.
func (r *running) wait(ctx context.Context, status webhook.Status) error {
	return r.waitUntil(ctx, func(d webhook.DeliveryHistory) bool { return d.Status == status })
}

func (r *running) waitUntil(ctx context.Context, is func(webhook.DeliveryHistory) bool) error {
	for ctx.Err() == nil {
		value, err := r.client.QueryWorkflow(ctx, r.id, "", workflows.QueryHistory)
		var h workflows.HistoryAnswer
		if err == nil {
			err = value.Get(&h)
		}
		if err == nil && len(h.Deliveries) > 0 && is(h.Deliveries[0]) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return ctx.Err()
}

func (r *running) signal(ctx context.Context, name string, informed bool) error {
	return r.client.SignalWorkflow(ctx, r.id, "", name, signalToFirst(informed))
}

func signalToFirst(informed bool) workflows.EndpointSignal {
	return workflows.EndpointSignal{EndpointID: webhook.NewID[webhook.EndpointID](fixed(1)).String(), Reason: "recorded", Informed: informed}
}

// signalTo signals as a person does, to the endpoint or to all.
func (r *running) signalTo(ctx context.Context, name, endpoint string) error {
	return r.client.SignalWorkflow(ctx, r.id, "", name, workflows.EndpointSignal{EndpointID: endpoint, Reason: "recorded"})
}

// fixed UUIDs are the same in every recording, so that files differ only where behavior does.
func fixed(n int) [16]byte { return [16]byte{6: 0x70, 8: 0x80, 14: byte(n >> 8), 15: byte(n)} }

func (s *story) start(ctx context.Context, c client.Client, workflowID string) (client.WorkflowRun, error) {
	options := client.StartWorkflowOptions{ID: workflowID, TaskQueue: workflows.TaskQueue}
	if s.mail != nil {
		return s.startNotices(ctx, c, options)
	}
	if s.erase != nil {
		return s.startErasure(ctx, c, options)
	}
	if s.challenge != nil {
		return s.startChallenge(ctx, c, options)
	}
	if s.drain != nil {
		return c.ExecuteWorkflow(ctx, options, workflows.EndpointQueueType, &workflows.EndpointQueueInput{
			Tenant: "acme", EndpointID: webhook.NewID[webhook.EndpointID](fixed(1)),
		})
	}
	in := &workflows.EventDeliveryInput{
		Tenant: "acme", EventID: "evt_1", EventKey: webhook.NewID[webhook.EventKey](fixed(1)), EventType: "order.confirmed",
		Policies: []webhook.RetryPolicy{{Schedule: make([]webhook.Duration, 30)}}, HoldFor: webhook.Duration(s.holdFor),
	}
	for n := range s.deliveries {
		in.Deliveries = append(in.Deliveries, workflows.DeliveryState{
			ID: webhook.NewID[webhook.DeliveryID](fixed(n + 1)), EndpointID: webhook.NewID[webhook.EndpointID](fixed(n + 1)), Lane: activities.LaneFast,
		})
	}
	if s.forge != nil {
		s.forge(in)
	}
	if s.waiting != "" {
		return c.SignalWithStartWorkflow(ctx, workflowID, s.waiting, signalToFirst(false), options, workflows.EventDeliveryType, in)
	}
	if s.canceled {
		options.StartDelay = time.Second
	}
	run, err := c.ExecuteWorkflow(ctx, options, workflows.EventDeliveryType, in)
	if err == nil && s.canceled {
		err = c.CancelWorkflow(ctx, run.GetID(), run.GetRunID())
	}
	return run, err
}

// register puts the script in place of the real activities.
func (s *story) register(r worker.ActivityRegistry) {
	named := func(name string) activity.RegisterOptions { return activity.RegisterOptions{Name: name} }
	r.RegisterActivityWithOptions(func(_ context.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
		out, err := s.attempt(in)
		return &out, err
	}, named("Attempt"))
	r.RegisterActivityWithOptions(func(_ context.Context, in activities.SetStatusInput) (*activities.SetStatusResult, error) {
		return &activities.SetStatusResult{Status: in.Status, Reason: in.Reason, Queued: s.queues && in.Status == webhook.StatusHeld}, nil
	}, named(activities.NameSetStatus))
	r.RegisterActivityWithOptions(func(_ context.Context, in activities.SetEnabledInput) error {
		if s.setEnabled == nil {
			return nil
		}
		return s.setEnabled(in)
	}, named(activities.NameSetEnabled))
	r.RegisterActivityWithOptions(func(_ context.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
		out := result(in, 200, webhook.StatusDelivered, 0)
		return &out, nil
	}, named("Follow"))
	var drains atomic.Int32
	r.RegisterActivityWithOptions(func(context.Context, activities.DrainInput) (*activities.DrainResult, error) {
		return s.drain(int(drains.Add(1)))
	}, named("Drain"))
	s.registerErasure(r)
	s.registerChallenge(r)
}

// result is what the real activity would say of an answer.
func result(in activities.AttemptInput, code int, status webhook.Status, delay time.Duration) activities.AttemptResult {
	a := &webhook.AttemptSummary{
		Number: in.Number, Manual: in.Manual, StartedAt: time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC), DurationMS: 12, StatusCode: code,
		Outcome: webhook.OutcomeDelivered,
	}
	if status != webhook.StatusDelivered {
		a.Outcome, a.ErrorClass, a.Error = webhook.OutcomeRetryable, webhook.ErrorHTTPStatus, fmt.Sprintf("the receiver answered %d", code)
	}
	out := activities.AttemptResult{Status: status, Delay: delay, Attempt: a}
	if status != webhook.StatusDelivered {
		out.Host = "hooks.example.com"
	}
	return out
}

type script = func(activities.AttemptInput) (activities.AttemptResult, error)

// failing fails the first n attempts, with a delay after each, and then delivers.
func failing(n int, delay time.Duration) script {
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if in.Number <= n {
			return result(in, 503, webhook.StatusRetrying, delay), nil
		}
		return result(in, 200, webhook.StatusDelivered, 0), nil
	}
}

// exhausting fails n attempts, the last for good.
func exhausting(n int, delay time.Duration) script {
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if in.Number < n {
			return result(in, 503, webhook.StatusRetrying, delay), nil
		}
		return result(in, 503, webhook.StatusExhausted, 0), nil
	}
}

// heldOnce finds the endpoint disabled the first time.
func heldOnce() script {
	var asked atomic.Bool
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if !asked.Swap(true) {
			return activities.AttemptResult{Status: webhook.StatusHeld, Reason: "disabled"}, nil
		}
		return result(in, 200, webhook.StatusDelivered, 0), nil
	}
}

// fastLane answers in place of the fast lane; the isolated lane delivers.
func fastLane(out activities.AttemptResult, err error) script {
	return func(in activities.AttemptInput) (activities.AttemptResult, error) {
		if in.Lane == activities.LaneFast {
			return out, err
		}
		return result(in, 200, webhook.StatusDelivered, 0), nil
	}
}

// after waits for a status and then signals.
func after(status webhook.Status, signal string, informed bool) func(context.Context, *running) error {
	return func(ctx context.Context, r *running) error {
		if err := r.wait(ctx, status); err != nil {
			return err
		}
		return r.signal(ctx, signal, informed)
	}
}

func stories() []*story {
	return slices.Concat(firstStories(), changedStories(), noticeStories(), queueStories(), erasureStories(), challengeStories())
}

// firstStories are those that were recorded before any change.
func firstStories() []*story {
	const second, hour = time.Second, time.Hour
	return []*story{
		{name: "delivered", deliveries: 1, attempt: failing(0, 0)},
		{name: "delivered-to-ten", deliveries: 10, attempt: failing(0, 0)},
		{name: "delivered-after-retries", deliveries: 2, attempt: failing(2, second)},
		{name: "exhausted", deliveries: 1, attempt: exhausting(3, second)},
		{name: "spilled", deliveries: 1, attempt: fastLane(activities.AttemptResult{Spilled: true}, nil)},
		{name: "put-off", deliveries: 1, attempt: fastLane(activities.AttemptResult{Spilled: true, Delay: second}, nil)},
		{name: "fault-of-ours", deliveries: 1, attempt: fastLane(activities.AttemptResult{}, errors.New("the database is down"))},
		{name: "followed", deliveries: 1, attempt: fastLane(activities.AttemptResult{FollowOn: workflows.IsolatedQueue}, nil)},
		{name: "retrying", deliveries: 1, attempt: failing(9, hour), then: waitFor(webhook.StatusRetrying), open: true},
		{name: "retry-now", deliveries: 1, attempt: failing(1, hour), then: after(webhook.StatusRetrying, workflows.SignalRetryNow, false)},
		{name: "canceled-delivery", deliveries: 1, attempt: failing(1, hour), then: after(webhook.StatusRetrying, workflows.SignalCancelDelivery, false)},
		{name: "canceled-workflow", deliveries: 2, attempt: failing(1, hour), then: steps(waitFor(webhook.StatusRetrying), cancelWorkflow)},
		{name: "held", deliveries: 1, attempt: heldOnce(), holdFor: hour, then: waitFor(webhook.StatusHeld), open: true},
		{name: "held-too-long", deliveries: 1, attempt: heldOnce(), holdFor: second},
		{name: "held-then-enabled", deliveries: 1, attempt: heldOnce(), holdFor: hour, then: after(webhook.StatusHeld, workflows.SignalEnableEndpoint, true)},
		{name: "disabled-while-waiting", deliveries: 1, attempt: failing(1, hour), then: func(ctx context.Context, r *running) error {
			if err := after(webhook.StatusRetrying, workflows.SignalDisableEndpoint, true)(ctx, r); err != nil {
				return err
			}
			return after(webhook.StatusHeld, workflows.SignalEnableEndpoint, true)(ctx, r)
		}},
		{name: "switched-by-a-person", deliveries: 1, attempt: failing(1, hour), then: func(ctx context.Context, r *running) error {
			if err := after(webhook.StatusRetrying, workflows.SignalDisableEndpoint, false)(ctx, r); err != nil {
				return err
			}
			return after(webhook.StatusHeld, workflows.SignalEnableEndpoint, false)(ctx, r)
		}},
		{name: "in-parts", deliveries: workflows.MaxDeliveries + 1, attempt: failing(0, 0)},
		{name: "continued-as-new", deliveries: 60, attempt: exhausting(31, 10*time.Millisecond), continues: true},
	}
}
