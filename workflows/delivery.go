package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// faultPause is the wait after a fault that even endless activity retries did not cure, such as a secret that no key
// opens. The delivery is not lost: it waits for an operator.
const faultPause = time.Minute

// delivery is one delivery of the event and the coroutine that drives it.
type delivery struct {
	event *event
	state DeliveryState
	asked asked
}

// asked is what signals have asked of a delivery and it has not yet obeyed.
type asked struct {
	now    bool // attempt now
	hold   bool
	cancel bool
	// enabled says that the endpoint was enabled: a held delivery goes on, and so does one whose attempt, under way at
	// that moment, comes back held.
	enabled bool
	because string
}

func (d *delivery) isAsked() bool {
	return d.asked.now || d.asked.hold || d.asked.cancel || d.asked.enabled && d.state.Status == webhook.StatusHeld
}

// run attempts until the delivery is settled, the workflow is canceled, or the event is draining.
func (d *delivery) run(ctx workflow.Context) {
	for !d.state.Status.Settled() && d.step(ctx) {
		d.event.show(ctx)
	}
}

// step waits for what comes next and does it. It returns false when the coroutine is to stop.
func (d *delivery) step(ctx workflow.Context) bool {
	due, err := d.wait(ctx)
	if err != nil {
		return false // the workflow was canceled
	}
	switch {
	case d.asked.cancel:
		d.asked.cancel = false
		err = d.mark(ctx, webhook.StatusCanceled, d.asked.because)
	case d.asked.hold:
		d.asked.hold = false
		err = d.mark(ctx, webhook.StatusHeld, d.asked.because)
	case d.isAsked():
		err = d.attempt(ctx)
	case !due:
		return false // draining
	case d.state.Status == webhook.StatusHeld:
		err = d.mark(ctx, webhook.StatusCanceled, fmt.Sprintf("held for longer than %s", d.event.in.HoldFor))
	default:
		err = d.attempt(ctx)
	}
	if err == nil {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	workflow.GetLogger(ctx).Error("A delivery is stuck on a fault of ours and will be tried again.", "delivery", d.state.ID, "error", err)
	return workflow.Sleep(ctx, faultPause) == nil
}

// wait returns when the next attempt, or the end of the hold, is due, or earlier when a signal or the draining
// asks for it; due tells which.
func (d *delivery) wait(ctx workflow.Context) (due bool, err error) {
	interrupted := func() bool { return d.isAsked() || d.event.draining }
	if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
		d.event.draining = true
	}
	switch {
	case d.isAsked():
		return false, nil
	case d.state.NextAttemptAt.IsZero() && d.state.Status == webhook.StatusHeld:
		return false, workflow.Await(ctx, interrupted) // held for good
	}
	left := d.state.NextAttemptAt.Sub(workflow.Now(ctx))
	if d.state.NextAttemptAt.IsZero() || left <= 0 {
		return true, nil
	}
	if d.event.draining {
		return false, nil
	}
	early, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{
		Timeout: left, TimerOptions: workflow.TimerOptions{Summary: d.summary()},
	}, interrupted)
	return !early, err
}

// summary says in the Web UI what a timer or an activity is about.
func (d *delivery) summary() string {
	if d.state.Status == webhook.StatusHeld {
		return fmt.Sprintf("%s is held", d.state.EndpointID)
	}
	return fmt.Sprintf("attempt %d to %s", d.number(), d.state.EndpointID)
}

// number is the next attempt's.
func (d *delivery) number() int { return len(d.state.Attempts) + 1 }

// attempt makes the next attempt, in the fast lane if the worker has room for the endpoint, and takes over how the delivery
// then stands.
func (d *delivery) attempt(ctx workflow.Context) error {
	d.asked.now, d.asked.enabled = false, false
	queue := d.state.FollowOn
	d.state.FollowOn = ""
	in := activities.AttemptInput{
		Tenant: d.event.in.Tenant, EventKey: d.event.in.EventKey, DeliveryID: d.state.ID, EndpointID: d.state.EndpointID,
		Number: d.number(), Lane: d.state.Lane, Policy: d.event.in.Policies[d.state.Policy],
	}
	var out *activities.AttemptResult
	var err error
	switch {
	case queue != "":
		out, err = d.follow(ctx, in, queue)
	case in.Lane == activities.LaneFast:
		out, err = d.attemptFast(ctx, in)
	}
	if err != nil {
		return err
	}
	if out != nil && out.Spilled {
		d.putOff(ctx, out.Delay)
		return nil
	}
	if out == nil {
		in.Lane = activities.LaneIsolated
		if out, err = d.attemptIsolated(ctx, in); err != nil {
			return err
		}
	}
	d.take(ctx, out)
	return nil
}

// putOff has the attempt made in the isolated lane, when the endpoint is to have a place there.
func (d *delivery) putOff(ctx workflow.Context, delay time.Duration) {
	d.state.Lane = activities.LaneIsolated
	d.state.NextAttemptAt = workflow.Now(ctx).Add(delay)
}

// attemptFast makes the attempt inside the workflow task. It returns nil when the attempt has to take the isolated lane
// at once: it has room and the fast lane has none, or there was a fault of ours, for which the isolated lane has the
// retries.
func (d *delivery) attemptFast(ctx workflow.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
	var a *activities.Activities
	var out activities.AttemptResult
	err := workflow.ExecuteLocalActivity(fastLane(ctx), a.Attempt, in).Get(ctx, &out)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	switch {
	case err != nil || out.Spilled && out.Delay == 0:
		return nil, nil
	case out.FollowOn != "":
		return d.follow(ctx, in, out.FollowOn)
	default:
		return &out, nil
	}
}

// follow waits for an attempt that takes longer than a workflow task may. It returns nil when the process that makes it
// is gone; then the isolated lane finds its record, or makes the attempt anew.
func (d *delivery) follow(ctx workflow.Context, in activities.AttemptInput, queue string) (*activities.AttemptResult, error) {
	var a *activities.Activities
	var out activities.AttemptResult
	err := workflow.ExecuteActivity(following(ctx, queue, d.summary()), a.Follow, in).Get(ctx, &out)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || out.Spilled && out.Delay == 0 {
		return nil, nil
	}
	return &out, nil
}

func (d *delivery) attemptIsolated(ctx workflow.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
	var a *activities.Activities
	var out activities.AttemptResult
	if err := workflow.ExecuteActivity(isolatedLane(ctx, d.state.EndpointID, d.summary()), a.Attempt, in).Get(ctx, &out); err != nil {
		return nil, err
	}
	return &out, nil
}

// take makes an attempt's result the delivery's state.
func (d *delivery) take(ctx workflow.Context, out *activities.AttemptResult) {
	if out.Attempt != nil {
		d.state.Attempts = append(d.state.Attempts, *out.Attempt)
	}
	d.state.Status, d.state.Reason = out.Status, out.Reason
	d.state.NextAttemptAt = time.Time{}
	switch {
	case out.Status == webhook.StatusRetrying:
		d.state.NextAttemptAt = workflow.Now(ctx).Add(out.Delay)
	case out.Status == webhook.StatusHeld && d.event.in.HoldFor > 0:
		d.state.NextAttemptAt = workflow.Now(ctx).Add(d.event.in.HoldFor.Std())
	}
}

// mark writes a status that no attempt led to. The database has the last word: it does not hold a delivery whose
// endpoint is enabled, nor cancel a settled one.
func (d *delivery) mark(ctx workflow.Context, status webhook.Status, reason string) error {
	if status == webhook.StatusHeld && d.state.Status == webhook.StatusHeld {
		return nil
	}
	in := activities.MarkInput{Tenant: d.event.in.Tenant, DeliveryID: d.state.ID, Status: status, Reason: reason}
	var a *activities.Activities
	var out activities.MarkResult
	if err := workflow.ExecuteActivity(housekeeping(ctx), a.Mark, in).Get(ctx, &out); err != nil {
		return err
	}
	if out.Status == webhook.StatusPending || out.Status == webhook.StatusRetrying {
		return nil // nothing changed: the wait goes on where it was
	}
	d.take(ctx, &activities.AttemptResult{Status: out.Status, Reason: out.Reason})
	return nil
}
