package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"waybill/activities"
	"waybill/engine"
	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// leftoverStarts is how many workflows are started at the same time for events that express mode did not settle. Their next
// attempts are not due at once, so first attempts have priority for the CPU.
const leftoverStarts = 8

// Attempter makes an attempt outside of a workflow, with the same code that the activity runs.
type Attempter interface {
	Attempt(ctx context.Context, in activities.AttemptInput) (*activities.AttemptResult, error)
}

// Express makes the first attempt of each delivery right after the commit, before there is a workflow, and starts a
// workflow only for what can neither be settled nor left to the endpoints' queues. Until the dispatch is deleted, the relay may do
// the same too, which then finds the recorded attempts.
type Express struct {
	attempter Attempter
	wake      Waker
	// everybody turns express mode on for every tenant, not only for those that ask for it.
	everybody bool
	lines     *lines
}

// Waker returns once an endpoint's queue is certain to be awake for what was left to it and is due after a delay, and whether it had to
// ask Temporal for that.
type Waker func(ctx context.Context, tenant string, endpoint webhook.EndpointID, delay time.Duration) (asked bool, err error)

// NewExpress returns an Express for the tenants that ask for it, or for everybody.
func NewExpress(a Attempter, wake Waker, everybody bool) *Express {
	return &Express{attempter: a, wake: wake, everybody: everybody, lines: newLines(attemptsPlace, (*lines).shareTaken)}
}

func (x *Express) takes(e *store.Dispatch) bool {
	return x != nil && (x.everybody || e.Express) && len(e.Deliveries) > 0 && len(e.Deliveries) <= workflows.MaxDeliveries
}

// workExpress makes the first attempts of the events of express mode, each when it is its turn. When the context is done it finishes what
// has begun.
func (d *Dispatcher) workExpress(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for {
		e, ok := d.express.lines.next()
		if !ok {
			return
		}
		d.attempting.Go(func() { d.takeTurn(ctx, e) })
	}
}

// takeTurn makes the first attempts of an event.
func (d *Dispatcher) takeTurn(ctx context.Context, e *store.Dispatch) {
	defer d.express.lines.leave(e)
	if err := safely(d.log, func() error {
		if !d.sendBack(e) {
			d.attemptFirst(ctx, leftover{event: e, in: engine.NewEventDeliveryInput(e, d.dialects[e.Dialect])})
		}
		return nil
	}); err != nil {
		d.outcomes <- d.refuse(e, fault{err: err})
	}
}

// attemptFirst makes the first attempts of an event and leaves the rest to the endpoints' queues, or to a workflow.
func (d *Dispatcher) attemptFirst(ctx context.Context, l leftover) {
	in := l.in
	attempting, span := d.tracer.Dispatch(ctx, l.event.Traceparent, eventOf(l.event), true)
	d.express.attempt(attempting, in, d.log)
	span.End(nil)
	d.failpoint("express-after-post")
	settled := false
	if settled, l.queued = progress(in); settled {
		d.outcomes <- outcome{key: in.EventKey, done: true}
		return
	}
	if in.UnderWay() { // this process must start it: another process would repeat the attempt
		l.taken = make(chan struct{})
		d.leftovers.put(l)
		<-l.taken // it keeps its part of the tenant's attempts, which bounds how many of them wait
		return
	}
	d.leftovers.offer(l) // where there is no room the lease expires, and the relay goes on from the recorded attempts
}

// progress reports whether no delivery needs anything any more, and whether those that do belong to their endpoints' queues.
func progress(in *workflows.EventDeliveryInput) (settled, queued bool) {
	settled, queued = true, true
	for i := range in.Deliveries {
		d := &in.Deliveries[i]
		done := d.Status.Settled() || d.Queued && !needsWake(d)
		settled, queued = settled && done, queued && (done || d.Queued)
	}
	return settled, queued
}

// needsWake reports whether the queue of a delivery's endpoint must be awake for it. Enabling the endpoint wakes it for what was found held.
// What an attempt made held may be of an endpoint that is enabled meanwhile, because its record does not lock the endpoint.
func needsWake(d *workflows.DeliveryState) bool {
	return d.Queued && !d.Status.Settled() && (d.Status != webhook.StatusHeld || len(d.Attempts) > 0)
}

// wakeQueues wakes the queues that an event's deliveries were left to.
func (d *Dispatcher) wakeQueues(ctx context.Context, l leftover) outcome {
	for i := range l.in.Deliveries {
		to := &l.in.Deliveries[i]
		if !needsWake(to) {
			continue
		}
		before := d.started.Load()
		asked, err := d.express.wake(ctx, l.in.Tenant, to.EndpointID, to.Delay)
		switch {
		case err == nil && asked:
			d.started.Add(1)
			d.setUp()
		case err == nil:
		case webhook.ErrorCode(err) != webhook.CodeUnavailable:
			return d.refuse(l.event, fault{err: err})
		case d.started.Load() != before: // Temporal is up, and has too much to do
			return d.refuse(l.event, fault{err: err, passing: true})
		default:
			d.setDown(err)
			return outcome{key: l.in.EventKey} // the relay comes back to it
		}
	}
	return outcome{key: l.in.EventKey, done: true}
}

// startLeftovers wakes the queues, or starts the workflows, of all events that express mode did not settle. Once the context is done,
// it does neither while Temporal is down.
func (d *Dispatcher) startLeftovers(ctx context.Context) {
	for {
		l, ok := d.leftovers.next()
		if !ok {
			return
		}
		if ctx.Err() != nil && d.down.Load() {
			d.outcomes <- outcome{key: l.event.EventKey}
			continue
		}
		var o outcome
		if err := safely(d.log, func() error {
			o = outcome{key: l.in.EventKey, done: true}
			if !l.queued {
				o = d.start(context.WithoutCancel(ctx), l.event, l.in)
			}
			if o.done {
				o = d.wakeQueues(context.WithoutCancel(ctx), l)
			}
			return nil
		}); err != nil {
			o = d.refuse(l.event, fault{err: err})
		}
		d.outcomes <- o
	}
}

// attempt makes the first attempts, up to eventShare at the same time, and writes their results into the workflow's input.
func (x *Express) attempt(ctx context.Context, in *workflows.EventDeliveryInput, log *slog.Logger) {
	var begun atomic.Int64
	some := func() {
		for i := begun.Add(1); i <= int64(len(in.Deliveries)); i = begun.Add(1) {
			x.attemptOne(ctx, in, &in.Deliveries[i-1], log)
		}
	}
	var attempts sync.WaitGroup
	for range min(len(in.Deliveries), eventShare) - 1 {
		attempts.Go(some)
	}
	some()
	attempts.Wait()
}

// attemptOne makes one attempt. It leaves the delivery to the workflow unchanged when an internal fault occurred, such as a panic.
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
	case out.FollowOn != "":
		d.FollowOn = out.FollowOn
	case out.Attempt != nil || out.Status.Settled() || out.Queued:
		d.Status, d.Reason, d.Delay, d.Queued = out.Status, out.Reason, out.Delay, out.Queued
		if out.Attempt != nil {
			d.Attempts = append([]webhook.AttemptSummary{*out.Attempt}, out.Missing...)
		}
	}
}
