package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// attemptFirst makes the first attempts of a wide event, before its deliveries have coroutines. For each result the SDK resumes every
// coroutine, so those of 200 deliveries are resumed 40,000 times, and as often the ones that it has for the attempts. What a first attempt
// does not settle has a coroutine afterwards.
func (e *event) attemptFirst(ctx workflow.Context) {
	if !e.in.IsWide() || len(e.newDeliveries()) <= WideDeliveries {
		return
	}
	if !changed(ctx, changeSignalsFirst) {
		e.attemptFirstAsBefore(ctx)
		return
	}
	wg := workflow.NewWaitGroup(ctx)
	wg.Add(1)
	workflow.GoNamed(ctx, "first attempts", func(ctx workflow.Context) { // runs after the signals that have waited were read
		defer wg.Done()
		e.attemptTogether(ctx)
	})
	wg.Wait(ctx)
}

// attemptTogether makes the first attempts, and takes over each result as it comes, because the delay of a retry begins then. The coroutines
// wait for the last result: Temporal gets no timer and no activity before the end of the task that all these attempts are made in.
func (e *event) attemptTogether(ctx workflow.Context) {
	first := e.beginFirst(ctx)
	for open := first; len(open) > 0; {
		// When the workflow is canceled, the attempts end too.
		_ = workflow.Await(ctx, func() bool { return slices.ContainsFunc(open, (*delivery).hasResult) })
		if ctx.Err() != nil {
			return
		}
		var rest []*delivery
		for _, d := range open {
			if d.hasResult() {
				d.takeFirst(ctx)
			} else {
				rest = append(rest, d)
			}
		}
		open = rest
	}
	e.show(ctx, first...)
}

// beginFirst begins the first attempts and returns whose they are.
func (e *event) beginFirst(ctx workflow.Context) []*delivery {
	first := e.newDeliveries()
	for _, d := range first {
		d.current = &command{kind: commandAttempt}
		d.current.begun = d.beginFast(ctx, d.attemptInput(d.current))
	}
	return first
}

func (e *event) newDeliveries() []*delivery {
	var out []*delivery
	for _, d := range e.deliveries {
		if d.isNew() {
			out = append(out, d)
		}
	}
	return out
}

// isNew reports whether the first attempt is due in the fast lane, and nobody has asked for anything else.
func (d *delivery) isNew() bool {
	return d.state.Status == webhook.StatusPending && d.state.Lane == activities.LaneFast && d.state.made() == 0 && d.state.FollowOn == "" &&
		d.state.NextAttemptAt.IsZero() && !d.state.Queued && !d.isAsked()
}

func (d *delivery) hasResult() bool { return d.current.begun.IsReady() }

// takeFirst takes over how a delivery stands after its first attempt. One that the fast lane has not made, or that goes on, remains the
// current command, with which the delivery's coroutine begins.
func (d *delivery) takeFirst(ctx workflow.Context) {
	var out activities.AttemptResult
	err := d.current.begun.Get(ctx, &out)
	switch {
	case err != nil || out.FollowOn != "" || out.Spilled && out.Delay == 0:
		return
	case out.Spilled && !changed(ctx, changePutOffFirst):
		return
	case out.Spilled:
		d.putOff(ctx, &out, false)
	default:
		d.take(ctx, &out)
	}
	d.obeyed(nil)
}

// attemptFirstAsBefore is attemptFirst before change signals-first: signals that had waited were read after it, results were taken in
// order, and a command could come before an attempt that went on.
func (e *event) attemptFirstAsBefore(ctx workflow.Context) {
	if !changed(ctx, changeFirstTogether) {
		return
	}
	first := e.beginFirst(ctx)
	for _, d := range first {
		var out activities.AttemptResult
		err := d.current.begun.Get(ctx, &out)
		switch {
		case err != nil:
		case out.Spilled:
			d.putOff(ctx, &out, false)
		case out.FollowOn != "":
			d.state.FollowOn = out.FollowOn
		default:
			d.take(ctx, &out)
		}
		d.obeyed(err)
	}
	e.show(ctx, first...)
}
