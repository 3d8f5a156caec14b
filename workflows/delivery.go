package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// faultPause is the wait after an internal fault that activity retries do not cure, such as a secret that no key opens. The
// delivery is not lost; it waits for an operator.
const faultPause = time.Minute

// delivery is one delivery of the event and the coroutine that drives it.
type delivery struct {
	event *event
	state DeliveryState
	// pending is the one command that the delivery has not yet obeyed; nil: none.
	pending *command
	// current is the command that is being obeyed; nil: none. The coroutine begins with it when there is one.
	current *command
	// shown is the delivery's line in Current Details.
	shown string
}

// run makes attempts until the delivery is settled or handed over, the workflow is canceled, or the event is draining.
func (d *delivery) run(ctx workflow.Context) {
	for !d.hasEnded() && d.step(ctx) {
		d.event.show(ctx, d)
	}
}

// hasEnded reports whether the workflow has nothing more to do for the delivery.
func (d *delivery) hasEnded() bool {
	return d.state.Status.Settled() || d.state.Queued && !d.isAsked()
}

// step waits for the next command and obeys it. It returns false when the coroutine must stop.
func (d *delivery) step(ctx workflow.Context) bool {
	if d.current == nil {
		d.current = d.next(ctx)
	}
	c := d.current
	if c == nil {
		return false
	}
	err := d.obey(ctx, c)
	d.obeyed(err)
	if err == nil {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	workflow.GetLogger(ctx).Error("a delivery is stuck on an internal fault and will be tried again", "delivery_id", d.state.ID, "error", err)
	if !changed(ctx, changeFaultsWait) {
		return workflow.Sleep(ctx, faultPause) == nil
	}
	d.postpone(ctx, c)
	return true
}

// next waits for the next command; nil: the coroutine must stop, because the workflow was canceled or the event is draining.
func (d *delivery) next(ctx workflow.Context) *command {
	due, err := d.wait(ctx)
	if err != nil {
		return nil
	}
	c := d.pending
	if d.pending = nil; c == nil && due {
		c = d.due()
	}
	return c
}

// postpone repeats after a pause what an internal fault prevented, which commands and the draining of the event interrupt
// like any other wait.
func (d *delivery) postpone(ctx workflow.Context, c *command) {
	again := workflow.Now(ctx).Add(faultPause)
	if c.kind == commandAttempt {
		if d.isManual(c.manual) {
			d.state.ResumeAt = d.state.resumesAt()
		}
		if d.state.Status == webhook.StatusHeld {
			d.release() // its endpoint was enabled, and nobody says so again
		}
		d.state.NextAttemptAt = again
		return
	}
	if due := d.state.NextAttemptAt; !due.IsZero() && due.Before(again) {
		d.state.NextAttemptAt = again
	}
}

// release makes a held delivery what it was before, as the database does when its endpoint is enabled.
func (d *delivery) release() {
	d.state.Status, d.state.Reason = webhook.StatusPending, ""
	if d.state.made() > 0 {
		d.state.Status = webhook.StatusRetrying
	}
}

// due returns the command that is due by time; none before.
func (d *delivery) due() *command {
	if d.state.Status == webhook.StatusHeld {
		return &command{kind: commandCancel, holdEnded: true, reason: fmt.Sprintf("held for longer than %s", d.event.in.HoldFor)}
	}
	return &command{kind: commandAttempt}
}

func (d *delivery) obey(ctx workflow.Context, c *command) error {
	switch c.kind {
	case commandCancel:
		return d.setStatus(ctx, webhook.StatusCanceled, c.reason, c.holdEnded || c.informed)
	case commandHold:
		if c.thenAttempt {
			d.pending = &command{kind: commandAttempt}
		}
		return d.setStatus(ctx, webhook.StatusHeld, c.reason, false)
	default:
		return d.attempt(ctx, c)
	}
}

// wait returns when the next attempt or the end of the hold is due. A command or draining ends it early. Its result reports
// whether the time has come.
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
	early, err := d.sleep(ctx, left, interrupted)
	return !early, err
}

// sleep waits, and reports whether it was interrupted. An interrupted timer is canceled, so that the Web UI does not show
// it as running.
func (d *delivery) sleep(ctx workflow.Context, left time.Duration, interrupted func() bool) (early bool, err error) {
	options := workflow.TimerOptions{Summary: d.waitSummary()}
	if !changed(ctx, changeCanceledTimers) {
		return workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{Timeout: left, TimerOptions: options}, interrupted)
	}
	// Each coroutine cancels its own timer, also when the workflow is canceled: that order is the same in every replay.
	timerCtx, cancelTimer := workflow.NewDisconnectedContext(ctx)
	defer cancelTimer()
	timer := workflow.NewTimerWithOptions(timerCtx, left, options)
	err = workflow.Await(ctx, func() bool { return interrupted() || timer.IsReady() })
	return interrupted(), err
}

// take stores an attempt's result in the delivery's state. It also adds the attempts that the log has and this run does not
// know, because an earlier run was reset or lost.
func (d *delivery) take(ctx workflow.Context, out *activities.AttemptResult) {
	if out.Attempt != nil {
		d.know(*out.Attempt)
	}
	for _, a := range out.Missing {
		d.know(a)
	}
	if out.Host != "" {
		d.state.Host = out.Host
	}
	schedule := d.state.resumesAt()
	d.state.Status, d.state.Reason = out.Status, out.Reason
	d.state.NextAttemptAt, d.state.ResumeAt = time.Time{}, time.Time{}
	d.state.Queued = out.Queued && !out.Status.Settled() && changed(ctx, changeHeldToQueue)
	switch {
	case d.state.Queued:
	case out.Status == webhook.StatusRetrying && out.Attempt != nil && out.Attempt.Manual && len(out.Missing) == 0:
		d.state.NextAttemptAt = schedule
	case out.Status == webhook.StatusRetrying:
		d.state.NextAttemptAt = workflow.Now(ctx).Add(out.Delay)
	case out.Status == webhook.StatusHeld && d.event.in.HoldFor > 0:
		d.state.NextAttemptAt = workflow.Now(ctx).Add(d.event.in.HoldFor.Std())
	}
}

func (d *delivery) know(a webhook.AttemptSummary) {
	if n := len(d.state.Attempts); n > 0 && d.state.Attempts[n-1].Number >= a.Number {
		return
	}
	d.state.Attempts = append(d.state.Attempts, a)
}

// resumesAt is when the retry policy makes its next attempt, whatever a person asks for in the meantime.
func (s *DeliveryState) resumesAt() time.Time {
	if s.ResumeAt.IsZero() {
		return s.NextAttemptAt
	}
	return s.ResumeAt
}

// setStatus writes a status that no attempt led to. The database decides: it does not hold a delivery whose endpoint is
// enabled, and does not cancel a settled one, nor, with unlessQueued, one that
// its endpoint's queue has by now.
func (d *delivery) setStatus(ctx workflow.Context, status webhook.Status, reason string, unlessQueued bool) error {
	if status == webhook.StatusHeld && d.state.Status == webhook.StatusHeld {
		return nil
	}
	in := activities.SetStatusInput{
		Tenant: d.event.in.Tenant, DeliveryID: d.state.ID, Status: status, Reason: reason, Attempts: d.state.made(),
		UnlessQueued: unlessQueued,
	}
	var out activities.SetStatusResult
	ctx = housekeeping(ctx, d.event.in.Tenant, fmt.Sprintf("set %s %s", d.name(), status))
	if err := workflow.ExecuteActivity(ctx, activities.NameSetStatus, in).Get(ctx, &out); err != nil {
		return err
	}
	if !out.Queued && (out.Status == webhook.StatusPending || out.Status == webhook.StatusRetrying) {
		return nil // nothing changed: the wait continues
	}
	d.take(ctx, &activities.AttemptResult{Status: out.Status, Reason: out.Reason, Queued: out.Queued, Missing: out.Missing})
	return nil
}
