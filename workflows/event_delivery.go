package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// EventDelivery delivers one event: a coroutine for each delivery attempts, judges, waits and attempts again until the
// delivery is settled. What a receiver does is data here; only a canceled workflow ends with an error.
func EventDelivery(ctx workflow.Context, in *EventDeliveryInput) (*EventDeliveryResult, error) {
	if len(in.Deliveries) > MaxDeliveries {
		return runParts(ctx, in)
	}
	e := newEvent(in)
	if err := e.setup(ctx); err != nil {
		return nil, err
	}
	return e.run(ctx)
}

// event is the state of one EventDelivery.
type event struct {
	in         *EventDeliveryInput
	deliveries []*delivery
	// shown is the WaybillStatus that was upserted last; "" while the workflow is on the happy path.
	shown webhook.Status
	// draining makes every delivery stop at its next wait, because the history has grown long.
	draining bool
	// switching counts the changes of endpoints that a person's signal asked for and that are under way.
	switching int
}

func newEvent(in *EventDeliveryInput) *event {
	e := &event{in: in, shown: in.Shown}
	for _, state := range in.Deliveries {
		if state.Status == "" {
			state.Status = webhook.StatusPending
		}
		e.deliveries = append(e.deliveries, &delivery{event: e, state: state})
	}
	return e
}

func (e *event) setup(ctx workflow.Context) error {
	if err := e.answerQueries(ctx); err != nil {
		return err
	}
	for _, d := range e.deliveries {
		if d.state.Delay > 0 {
			d.state.NextAttemptAt, d.state.Delay = workflow.Now(ctx).Add(d.state.Delay), 0
		}
	}
	receive(ctx, e.obey)
	e.show(ctx)
	return nil
}

// run drives the deliveries until all are settled. When the history has grown long, it hands what is left to a new run
// of the same workflow.
func (e *event) run(ctx workflow.Context) (*EventDeliveryResult, error) {
	for {
		e.drive(ctx)
		switch {
		case ctx.Err() != nil:
			return nil, e.cancelRest(ctx)
		case e.settled():
			return e.result(), nil
		case !slices.ContainsFunc(e.deliveries, (*delivery).isAsked):
			return nil, workflow.NewContinueAsNewError(ctx, EventDelivery, e.continuation())
		}
		// A signal came in while the last coroutine stopped: it is obeyed here, since the next run would not know of it.
	}
}

// drive runs a coroutine for each delivery and returns when all have stopped.
func (e *event) drive(ctx workflow.Context) {
	wg := workflow.NewWaitGroup(ctx)
	for _, d := range e.deliveries {
		if d.state.Status.Settled() {
			continue
		}
		wg.Add(1)
		workflow.GoNamed(ctx, d.state.ID.String(), func(ctx workflow.Context) {
			defer wg.Done()
			d.run(ctx)
		})
	}
	wg.Wait(ctx)
	// The error is the workflow's cancellation, which run sees by itself.
	_ = workflow.Await(ctx, func() bool { return e.switching == 0 })
}

func (e *event) settled() bool {
	return !slices.ContainsFunc(e.deliveries, func(d *delivery) bool { return !d.state.Status.Settled() })
}

func (e *event) result() *EventDeliveryResult {
	r := &EventDeliveryResult{}
	for _, d := range e.deliveries {
		r.add(d.state.Status)
	}
	return r
}

func (r *EventDeliveryResult) add(s webhook.Status) {
	switch s {
	case webhook.StatusDelivered:
		r.Delivered++
	case webhook.StatusExhausted:
		r.Exhausted++
	case webhook.StatusCanceled:
		r.Canceled++
	}
}

// continuation is the input of the next run: this one's, with what has happened since.
func (e *event) continuation() *EventDeliveryInput {
	next := *e.in
	next.Deliveries = make([]DeliveryState, len(e.deliveries))
	for i, d := range e.deliveries {
		next.Deliveries[i] = d.state
	}
	next.Shown = e.shown
	return &next
}

// cancelRest cancels the deliveries that are left, because somebody canceled the workflow.
func (e *event) cancelRest(ctx workflow.Context) error {
	reason := ctx.Err()
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	for _, d := range e.deliveries {
		if d.state.Status.Settled() {
			continue
		}
		if err := d.mark(ctx, webhook.StatusCanceled, "the workflow was canceled"); err != nil {
			return err
		}
	}
	return reason
}
