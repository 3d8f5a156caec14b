package workflows

import (
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// made is how many attempts were made. It can exceed len(Attempts), because a run carries only the latest of many.
func (s *DeliveryState) made() int {
	if n := len(s.Attempts); n > 0 {
		return s.Attempts[n-1].Number
	}
	return 0
}

// number is the number of the next attempt.
func (d *delivery) number() int { return d.state.made() + 1 }

// isManual reports whether the retry policy does not count the next attempt. The first is due anyway: who asks for it only brings
// it forward.
func (d *delivery) isManual(asked bool) bool {
	return d.state.Status == webhook.StatusRetrying && (asked || !d.state.ResumeAt.IsZero())
}

// attempt makes the next attempt, in the fast lane if the worker has room for the endpoint, and takes over how the delivery
// then stands.
func (d *delivery) attempt(ctx workflow.Context, c *command) error {
	queue := d.state.FollowOn
	d.state.FollowOn = ""
	in := d.attemptInput(c)
	var out *activities.AttemptResult
	var err error
	switch {
	case queue != "":
		out, err = d.follow(ctx, in, queue)
	case in.Lane == activities.LaneFast:
		out, err = d.attemptFast(ctx, c, in)
	}
	if err != nil {
		return err
	}
	if out != nil && out.Spilled {
		d.putOff(ctx, out, in.Manual)
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

func (d *delivery) attemptInput(c *command) activities.AttemptInput {
	in := activities.AttemptInput{
		Tenant: d.event.in.Tenant, EventKey: d.event.in.EventKey, DeliveryID: d.state.ID, EndpointID: d.state.EndpointID,
		Number: d.number(), Lane: d.state.Lane, Policy: d.event.in.Policies[d.state.Policy],
		Manual: d.isManual(c.manual), Signaled: c.manual && !c.informed,
	}
	if manual := d.state.manual(); manual > 0 {
		in.Scheduled = d.state.made() - manual
	}
	return in
}

// putOff delays the attempt until the endpoint should have a free slot in the isolated lane, where it is then made.
func (d *delivery) putOff(ctx workflow.Context, out *activities.AttemptResult, manual bool) {
	if manual {
		d.state.ResumeAt = d.state.resumesAt()
	}
	if out.Host != "" {
		d.state.Host = out.Host
	}
	d.state.Lane = activities.LaneIsolated
	d.state.NextAttemptAt = workflow.Now(ctx).Add(out.Delay)
}

// attemptFast makes the attempt inside the workflow task. It returns nil when the attempt has to be made in the isolated
// lane at once: only that lane has a free slot, or an internal fault occurred, which the isolated lane retries.
func (d *delivery) attemptFast(ctx workflow.Context, c *command, in activities.AttemptInput) (*activities.AttemptResult, error) {
	if c.begun == nil {
		c.begun = d.beginFast(ctx, in)
	}
	var out activities.AttemptResult
	err := c.begun.Get(ctx, &out)
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

func (d *delivery) beginFast(ctx workflow.Context, in activities.AttemptInput) workflow.Future {
	in.Wide = d.event.in.IsWide()
	var a *activities.Activities
	return workflow.ExecuteLocalActivity(fastLane(ctx, d.attemptSummary()), a.Attempt, in)
}

// follow waits for an attempt that takes longer than a workflow task may. It returns nil when the process that makes it is
// gone. The isolated lane then finds the recorded attempt or makes it again.
func (d *delivery) follow(ctx workflow.Context, in activities.AttemptInput, queue string) (*activities.AttemptResult, error) {
	d.current.end(nil)
	var a *activities.Activities
	var out activities.AttemptResult
	err := workflow.ExecuteActivity(following(ctx, queue, d.attemptSummary()), a.Follow, in).Get(ctx, &out)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil || out.Spilled && out.Delay == 0 {
		return nil, nil
	}
	return &out, nil
}

func (d *delivery) attemptIsolated(ctx workflow.Context, in activities.AttemptInput) (*activities.AttemptResult, error) {
	d.current.end(nil)
	var a *activities.Activities
	var out activities.AttemptResult
	ctx = isolatedLane(ctx, d.state.EndpointID, d.attemptSummary())
	if err := workflow.ExecuteActivity(ctx, a.Attempt, in).Get(ctx, &out); err != nil {
		return nil, err
	}
	return &out, nil
}
