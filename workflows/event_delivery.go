package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// EventDelivery delivers one event: a coroutine for each delivery attempts, judges, waits and attempts again until the
// delivery is settled, or handed over to its endpoint's queue. A receiver's failure is a result,
// not an error. The workflow fails with an error of type exhausted,
// whose detail is the result, when a delivery is exhausted, and with one of type invalid_input when Waybill cannot have
// made its input.
func EventDelivery(ctx workflow.Context, in *EventDeliveryInput) (*EventDeliveryResult, error) {
	// Nothing ever came of a null, so no history needs the marker of the change for it.
	if err := in.check(); err != nil && (in == nil || changed(ctx, changeRejectsBadInput)) {
		return nil, invalidInput(err)
	}
	if len(in.Deliveries) > MaxDeliveries {
		return runParts(ctx, in)
	}
	e := newEvent(in)
	if err := e.setup(ctx); err != nil {
		return nil, err
	}
	if in.Canceled {
		if err := e.cancelRest(ctx); err != nil {
			return nil, err
		}
		return e.result().end(ctx)
	}
	return e.run(ctx)
}

// event is the state of one EventDelivery.
type event struct {
	in         *EventDeliveryInput
	deliveries []*delivery
	// shown is the WaybillStatus that was upserted last; empty while the workflow is on the happy path.
	shown []webhook.Status
	// draining makes every delivery stop at its next wait, because the history is long and a new run must begin.
	draining bool
	// settingEnabled counts the running coroutines that disable or enable endpoints, or cancel what was handed over, for a person's
	// signal.
	settingEnabled int
}

func newEvent(in *EventDeliveryInput) *event {
	e := &event{in: in, shown: in.ShownStatuses}
	if len(e.shown) == 0 && in.Shown != "" {
		e.shown = []webhook.Status{in.Shown}
	}
	for _, state := range in.Deliveries {
		if state.Status == "" {
			state.Status = webhook.StatusPending
		}
		state.clean()
		e.deliveries = append(e.deliveries, &delivery{event: e, state: state})
	}
	return e
}

func (e *event) setup(ctx workflow.Context) error {
	if err := e.answerQueries(ctx); err != nil {
		return err
	}
	if err := e.answerUpdates(ctx); err != nil {
		return err
	}
	for _, d := range e.deliveries {
		if d.state.Delay > 0 {
			d.state.NextAttemptAt, d.state.Delay = workflow.Now(ctx).Add(d.state.Delay), 0
		}
	}
	receive(ctx, e.obey)
	e.show(ctx, e.deliveries...)
	return nil
}

// run drives the deliveries until all have ended. When the history has grown long, it hands what is left to a new run
// of the same workflow.
func (e *event) run(ctx workflow.Context) (*EventDeliveryResult, error) {
	e.attemptFirst(ctx)
	for {
		e.drive(ctx)
		e.awaitHandlers(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, e.cancelRest(ctx)
		case e.ended():
			return e.result().end(ctx)
		case !e.isAsked():
			return nil, workflow.NewContinueAsNewError(ctx, EventDelivery, e.continuation())
		}
		// A command that arrived while the last coroutine stopped is obeyed here, because the next run would not know of
		// it. Only deliveries that can obey have a command, so the loop ends.
	}
}

// drive runs a coroutine for each delivery and returns when all have stopped.
func (e *event) drive(ctx workflow.Context) {
	wg := workflow.NewWaitGroup(ctx)
	for _, d := range e.deliveries {
		if d.hasEnded() {
			continue
		}
		wg.Add(1)
		workflow.GoNamed(ctx, d.state.ID.String(), func(ctx workflow.Context) {
			defer wg.Done()
			d.run(ctx)
		})
	}
	wg.Wait(ctx)
}

// awaitHandlers waits until the handlers of signals and updates have ended. An update may itself wait for a delivery to
// obey, so a pending command ends the wait.
func (e *event) awaitHandlers(ctx workflow.Context) {
	// The error is the workflow's cancellation, which run checks itself.
	_ = workflow.Await(ctx, func() bool {
		return e.settingEnabled == 0 && (e.isAsked() || workflow.AllHandlersFinished(ctx))
	})
}

func (e *event) isAsked() bool { return slices.ContainsFunc(e.deliveries, (*delivery).isAsked) }

func (e *event) ended() bool {
	return !slices.ContainsFunc(e.deliveries, func(d *delivery) bool { return !d.hasEnded() })
}

func (e *event) result() *EventDeliveryResult {
	r := &EventDeliveryResult{}
	for _, d := range e.deliveries {
		r.add(&d.state)
	}
	return r
}

// continuation is the input of the next run: this run's input with the current state.
func (e *event) continuation() *EventDeliveryInput {
	next := *e.in
	next.Deliveries = make([]DeliveryState, len(e.deliveries))
	attempts := e.boundAttempts()
	for i, d := range e.deliveries {
		next.Deliveries[i] = d.state
		next.Deliveries[i].Carry(attempts[i], d.state.Attempts)
	}
	next.Shown, next.ShownStatuses = "", e.shown
	return &next
}

// boundAttempts returns the deliveries' attempts, as many of them as fit into an input and into an answer.
func (e *event) boundAttempts() [][]webhook.AttemptSummary {
	attempts := make([][]webhook.AttemptSummary, len(e.deliveries))
	for i, d := range e.deliveries {
		attempts[i] = d.state.Attempts
	}
	_ = BoundAttempts(attempts, maxAttemptBytes) // what it keeps always fits, even with the most deliveries of a run
	return attempts
}

// cancelRest cancels the unsettled deliveries, because somebody canceled the workflow.
func (e *event) cancelRest(ctx workflow.Context) error {
	reason := ctx.Err()
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	var rest []*delivery
	for _, d := range e.deliveries {
		if !d.hasEnded() {
			rest = append(rest, d)
		}
	}
	if len(rest) == 0 {
		return reason
	}
	cancel := func(ctx workflow.Context, d *delivery) error {
		return d.setStatus(ctx, webhook.StatusCanceled, "the workflow was canceled", false)
	}
	if len(rest) == 1 || !changed(ctx, changeCanceledTogether) {
		for _, d := range rest {
			if err := cancel(ctx, d); err != nil {
				return err
			}
		}
		e.showCanceled(ctx, rest)
		return reason
	}
	wg := workflow.NewWaitGroup(ctx)
	for _, d := range rest {
		wg.Add(1)
		workflow.GoNamed(ctx, "cancel "+d.state.ID.String(), func(ctx workflow.Context) {
			defer wg.Done()
			if err := cancel(ctx, d); err != nil {
				reason = err
			}
		})
	}
	wg.Wait(ctx)
	e.showCanceled(ctx, rest)
	return reason
}

func (e *event) showCanceled(ctx workflow.Context, rest []*delivery) {
	if changed(ctx, changeCanceledShown) {
		e.show(ctx, rest...)
	}
}
