package workflows

import (
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// attemptFirst makes the first attempts of a wide event, before its deliveries have coroutines. For each result the SDK resumes every
// coroutine, so those of 200 deliveries are resumed 40,000 times, and as often the ones that it has for the attempts. What a first attempt
// does not settle has a coroutine afterwards.
func (e *event) attemptFirst(ctx workflow.Context) {
	if !e.in.IsWide() {
		return
	}
	var first []*delivery
	for _, d := range e.deliveries {
		if d.isNew() {
			first = append(first, d)
		}
	}
	if len(first) <= WideDeliveries || !changed(ctx, changeFirstTogether) {
		return
	}
	results := make([]workflow.Future, len(first))
	for i, d := range first {
		d.current = &command{kind: commandAttempt}
		results[i] = d.beginFast(ctx, d.attemptInput(d.current))
	}
	for i, d := range first {
		d.obeyed(d.takeFirst(ctx, results[i]))
	}
	e.show(ctx, first...)
}

// isNew reports whether the first attempt is due in the fast lane, and nobody has asked for anything else.
func (d *delivery) isNew() bool {
	return d.state.Status == webhook.StatusPending && d.state.Lane == activities.LaneFast && d.state.made() == 0 && d.state.FollowOn == "" &&
		d.state.NextAttemptAt.IsZero() && !d.state.Queued && !d.isAsked()
}

// takeFirst takes over how a delivery stands after its first attempt. An attempt that was not made, or goes on, is left to its coroutine.
func (d *delivery) takeFirst(ctx workflow.Context, result workflow.Future) error {
	var out activities.AttemptResult
	switch err := result.Get(ctx, &out); {
	case err != nil:
		return err
	case out.Spilled:
		d.putOff(ctx, &out, false)
	case out.FollowOn != "":
		d.state.FollowOn = out.FollowOn
	default:
		d.take(ctx, &out)
	}
	return nil
}
