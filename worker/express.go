package worker

import (
	"context"
	"log/slog"
	"sync"

	"golang.org/x/sync/semaphore"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// expressAttempts is how many attempts of express mode may be in flight. They mostly wait for the database and the
// receiver, and many share a transaction. With more of them the fast lane would run out of slots.
const expressAttempts = 192

// leftoverStarts is how many workflows are started at the same time for events that express mode did not settle. Their next
// attempts are not due at once, so first attempts have priority for the CPU.
const leftoverStarts = 8

// Attempter makes an attempt outside of a workflow, with the same code that the activity runs.
type Attempter interface {
	Attempt(ctx context.Context, in activities.AttemptInput) (*activities.AttemptResult, error)
}

// Express makes the first attempt of each delivery right after the commit, before there is a workflow, and starts a
// workflow only for what can neither be settled nor left to the endpoints' queues. Until the dispatch is deleted, the relay may start the workflow too,
// which then finds the recorded attempts.
type Express struct {
	attempter Attempter
	// everybody turns express mode on for every tenant, not only for those that ask for it.
	everybody bool
	slots     *semaphore.Weighted
	lines     *lines
}

// NewExpress returns an Express for the tenants that ask for it, or for everybody.
func NewExpress(a Attempter, everybody bool) *Express {
	return &Express{attempter: a, everybody: everybody, slots: semaphore.NewWeighted(expressAttempts), lines: newLines()}
}

func (x *Express) takesAll() bool { return x != nil && x.everybody }

func (x *Express) takes(e *store.Dispatch) bool {
	return x != nil && (x.everybody || e.Express) && len(e.Deliveries) > 0 && len(e.Deliveries) <= workflows.MaxDeliveries
}

// leftover is an event that express mode did not settle, and the input that says what was attempted.
type leftover struct {
	event *store.Dispatch
	in    *workflows.EventDeliveryInput
}

// dispatchExpress makes the first attempts of an event, once its endpoints have not their share.
func (d *Dispatcher) dispatchExpress(ctx context.Context, l leftover) {
	switch d.express.lines.enter(l) {
	case turnNow:
		d.takeTurn(ctx, l)
	case turnNever:
		d.outcomes <- outcome{key: l.in.EventKey}
	}
}

// takeTurn makes the first attempts of an event, and of those whose turn it is afterwards.
func (d *Dispatcher) takeTurn(ctx context.Context, l leftover) {
	defer func() {
		for _, next := range d.express.lines.leave(l.in) {
			d.turns.Go(func() { d.takeTurn(ctx, next) })
		}
	}()
	if err := safely(d.log, func() error { d.attemptFirst(ctx, l); return nil }); err != nil {
		d.outcomes <- d.refuse(l.event, fault{err: err})
	}
}

// attemptFirst makes the first attempts of an event and leaves the rest to a workflow.
func (d *Dispatcher) attemptFirst(ctx context.Context, l leftover) {
	in := l.in
	attempting, span := d.tracer.Dispatch(ctx, l.event.Traceparent, eventOf(l.event), true)
	settled := d.express.attempt(attempting, in, d.log)
	span.End(nil)
	d.failpoint("express-after-post")
	if settled {
		d.outcomes <- outcome{key: in.EventKey, done: true}
		return
	}
	if in.UnderWay() {
		d.leftovers <- l // this process must start it: another process would repeat the attempt
		return
	}
	select {
	case d.leftovers <- l:
	default: // the queue is full: the lease expires, and the relay starts the workflow from the recorded attempts
	}
}

// startLeftovers starts the workflows of all events that express mode did not settle. Once the context is done, it starts none
// while Temporal is down.
func (d *Dispatcher) startLeftovers(ctx context.Context) {
	for l := range d.leftovers {
		if ctx.Err() != nil && d.down.Load() {
			d.outcomes <- outcome{key: l.event.EventKey}
			continue
		}
		var o outcome
		if err := safely(d.log, func() error {
			o = d.start(context.WithoutCancel(ctx), l.event, l.in)
			return nil
		}); err != nil {
			o = d.refuse(l.event, fault{err: err})
		}
		d.outcomes <- o
	}
}

// attempt makes the first attempts at the same time and writes their results into the workflow's input. It reports whether
// every delivery is settled, or belongs to its endpoint's queue, so that no workflow is needed.
func (x *Express) attempt(ctx context.Context, in *workflows.EventDeliveryInput, log *slog.Logger) (settled bool) {
	slots := int64(min(len(in.Deliveries), expressAttempts))
	if err := x.slots.Acquire(ctx, slots); err != nil {
		return false
	}
	defer x.slots.Release(slots)
	var attempts sync.WaitGroup
	for i := range in.Deliveries[1:] {
		attempts.Go(func() { x.attemptOne(ctx, in, &in.Deliveries[i+1], log) })
	}
	x.attemptOne(ctx, in, &in.Deliveries[0], log)
	attempts.Wait()
	for i := range in.Deliveries {
		if d := &in.Deliveries[i]; !d.Status.Settled() && !d.Queued {
			return false
		}
	}
	return true
}

// attemptOne makes one attempt. It leaves the delivery to the workflow unchanged when no attempt was made: the endpoint has no free
// slot, or an internal fault occurred, such as a panic.
func (x *Express) attemptOne(ctx context.Context, in *workflows.EventDeliveryInput, d *workflows.DeliveryState, log *slog.Logger) {
	var out *activities.AttemptResult
	err := safely(log, func() (err error) {
		out, err = x.attempter.Attempt(ctx, activities.AttemptInput{
			Tenant: in.Tenant, EventKey: in.EventKey, DeliveryID: d.ID, EndpointID: d.EndpointID,
			Number: 1, Lane: activities.LaneFast, Policy: in.Policies[d.Policy], QueueRetries: true,
		})
		return err
	})
	switch {
	case err != nil:
	case out.Spilled:
		d.Lane, d.Delay = activities.LaneIsolated, out.Delay
	case out.FollowOn != "":
		d.FollowOn = out.FollowOn
	case out.Attempt != nil || out.Status.Settled() || out.Queued:
		d.Status, d.Reason, d.Delay, d.Queued = out.Status, out.Reason, out.Delay, out.Queued
		if out.Attempt != nil {
			d.Attempts = []webhook.AttemptSummary{*out.Attempt}
		}
	}
}
