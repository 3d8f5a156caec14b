package worker

import (
	"context"
	"sync"

	"waybill/store"

	"golang.org/x/sync/semaphore"

	"waybill/activities"
	"waybill/webhook"
	"waybill/workflows"
)

// expressAttempts is how many attempts of express mode may be under way. Most of the time they wait for the database and
// the receiver; many share a transaction. More would crowd one another out of the fast lane.
const expressAttempts = 192

// leftoverStarts is how many workflows are started at the same time for events that express mode did not settle. Their
// next attempts are not due at once, and they must not take the processor from first attempts.
const leftoverStarts = 8

// Attempter makes an attempt outside of a workflow, with the same code that the activity runs.
type Attempter interface {
	Attempt(ctx context.Context, in activities.AttemptInput) (*activities.AttemptResult, error)
}

// Express makes the first attempt of each delivery before there is a workflow, right after the commit, and saves the
// workflow for events that this does not settle. Until an event is marked dispatched, the relay would start its
// workflow, which finds what was recorded.
type Express struct {
	attempter Attempter
	// everybody applies it to every tenant, rather than to those that ask for it.
	everybody bool
	places    *semaphore.Weighted
}

// NewExpress returns an Express for the tenants that ask for it, or for everybody.
func NewExpress(a Attempter, everybody bool) *Express {
	return &Express{attempter: a, everybody: everybody, places: semaphore.NewWeighted(expressAttempts)}
}

func (x *Express) takesAll() bool { return x != nil && x.everybody }

func (x *Express) takes(e *store.Dispatch) bool {
	return x != nil && (x.everybody || e.Express) && len(e.Deliveries) > 0 && len(e.Deliveries) <= workflows.MaxDeliveries
}

// dispatchExpress makes the first attempts of an event and leaves the rest to a workflow.
func (d *Dispatcher) dispatchExpress(ctx context.Context, in *workflows.EventDeliveryInput) {
	settled := d.express.attempt(ctx, in)
	d.failpoint("express-after-post")
	if settled {
		d.done <- outcome{key: in.EventKey, ok: true}
		return
	}
	if in.UnderWay() {
		d.leftovers <- in // nobody else may start it: another process would make the same attempt
		return
	}
	select {
	case d.leftovers <- in:
	default: // many wait already: the lease runs out, and the relay starts it from what was recorded
	}
}

// startLeftovers starts the workflows of events that express mode did not settle, to the last, unless Temporal is down
// when the context is done.
func (d *Dispatcher) startLeftovers(ctx context.Context) {
	for in := range d.leftovers {
		ok := (ctx.Err() == nil || !d.down.Load()) && d.start(context.WithoutCancel(ctx), in)
		d.done <- outcome{key: in.EventKey, ok: ok}
	}
}

// attempt makes the first attempts at the same time and writes what became of them into the workflow's input. It reports
// whether every delivery is settled, so that no workflow is needed.
func (x *Express) attempt(ctx context.Context, in *workflows.EventDeliveryInput) (settled bool) {
	places := int64(min(len(in.Deliveries), expressAttempts))
	if err := x.places.Acquire(ctx, places); err != nil {
		return false
	}
	defer x.places.Release(places)
	var attempts sync.WaitGroup
	for i := range in.Deliveries[1:] {
		attempts.Go(func() { x.attemptOne(ctx, in, &in.Deliveries[i+1]) })
	}
	x.attemptOne(ctx, in, &in.Deliveries[0])
	attempts.Wait()
	for i := range in.Deliveries {
		if !in.Deliveries[i].Status.Settled() {
			return false
		}
	}
	return true
}

// attemptOne makes one attempt. A delivery that is not attempted, because the endpoint is disabled or has no room, or for
// a fault of ours, is left to the workflow as it is.
func (x *Express) attemptOne(ctx context.Context, in *workflows.EventDeliveryInput, d *workflows.DeliveryState) {
	out, err := x.attempter.Attempt(ctx, activities.AttemptInput{
		Tenant: in.Tenant, EventKey: in.EventKey, DeliveryID: d.ID, EndpointID: d.EndpointID,
		Number: 1, Lane: activities.LaneFast, Policy: in.Policies[d.Policy],
	})
	switch {
	case err != nil:
	case out.Spilled:
		d.Lane, d.Delay = activities.LaneIsolated, out.Delay
	case out.FollowOn != "":
		d.FollowOn = out.FollowOn
	case out.Attempt != nil || out.Status.Settled():
		d.Status, d.Reason, d.Delay = out.Status, out.Reason, out.Delay
		if out.Attempt != nil {
			d.Attempts = []webhook.AttemptSummary{*out.Attempt}
		}
	}
}
