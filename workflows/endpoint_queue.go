package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/activities"
	"waybill/webhook"
)

// EndpointQueue makes the attempts of what waits for one endpoint and belongs to no event's workflow: deliveries that were held,
// those that were opened again, and what express mode did not settle. It lives while something waits: an activity makes what is due, and the workflow sleeps until the
// next is due or a signal wakes it. It ends when nothing waits, or once the endpoint is disabled or deleted. The state is in the
// database, so a queue that was lost is started anew by a wake. It fails with an error of type invalid_input when Waybill cannot
// have made its input.
func EndpointQueue(ctx workflow.Context, in *EndpointQueueInput) (*EndpointQueueResult, error) {
	if err := in.check(); err != nil {
		return nil, invalidInput(err)
	}
	q := &queue{in: in, window: in.Window}
	q.wakes = workflow.GetSignalChannelWithOptions(ctx, SignalWake, workflow.SignalChannelOptions{
		Description: "looks at once for what is due; takes no input",
	})
	q.receiveSwitches(ctx)
	if err := q.answerQueries(ctx); err != nil {
		return nil, err
	}
	return q.run(ctx)
}

// queue is the state of one EndpointQueue.
type queue struct {
	in    *EndpointQueueInput
	wakes workflow.ReceiveChannel
	// switches are the signals that disable and enable the endpoint.
	switches []switchChannel
	// switched says that one of them was obeyed while a drain was under way, which may not have seen it.
	switched bool
	// window is how many attempts may be in flight in the next drain.
	window int
	// sent and delivered count the attempts of this run.
	sent, delivered int
	// waiting is how many wait; nil: no drain of this run has counted them.
	waiting *int
	host    string
	// next is when something is due, and why what the queue waits for; zero and "" while it drains.
	next time.Time
	why  string
}

func (q *queue) run(ctx workflow.Context) (*EndpointQueueResult, error) {
	for {
		if err := q.obeySwitches(ctx); err != nil {
			return nil, err
		}
		// A drain sees all that the wakes before it tell.
		for q.wakes.ReceiveAsync(nil) {
		}
		q.switched = false
		q.next, q.why = time.Time{}, ""
		q.show(ctx)
		out, err := q.drain(ctx)
		if err != nil {
			return nil, err
		}
		switch {
		case q.isWoken():
		case out.End != "":
			return &EndpointQueueResult{Sent: q.sent, Delivered: q.delivered, End: out.End}, nil
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() && !q.isSwitched() {
			// The next run begins with a drain, so no wake is lost.
			return nil, workflow.NewContinueAsNewError(ctx, EndpointQueue, &EndpointQueueInput{
				Tenant: q.in.Tenant, EndpointID: q.in.EndpointID, Window: q.window,
			})
		}
		if err := q.sleep(ctx, out); err != nil {
			return nil, err
		}
	}
}

// isWoken reports whether a signal has come that no drain has seen.
func (q *queue) isWoken() bool { return q.wakes.Len() > 0 || q.switched || q.isSwitched() }

// drain makes what is due. A fault of ours that retries of the activity do not cure, such as a database that an operator must mend,
// ends neither the queue nor what waits in it.
func (q *queue) drain(ctx workflow.Context) (*activities.DrainResult, error) {
	var a *activities.Activities
	var out activities.DrainResult
	in := activities.DrainInput{Tenant: q.in.Tenant, EndpointID: q.in.EndpointID, Window: q.window}
	made := workflow.ExecuteActivity(draining(ctx, q.in.EndpointID, "attempts to "+q.name()), a.Drain, in)
	// A drain takes up to a minute, and whoever disables the endpoint by a signal waits for no drain.
	for workflow.Await(ctx, func() bool { return made.IsReady() || q.isSwitched() }) == nil && !made.IsReady() {
		q.switched = true
		if err := q.obeySwitches(ctx); err != nil {
			return nil, err
		}
	}
	err := made.Get(ctx, &out)
	var refused *temporal.ApplicationError
	switch {
	case err == nil:
		q.take(&out)
		return &out, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &refused) && refused.Type() == string(webhook.CodeNotFound): // the tenant never had the endpoint
		return nil, err
	}
	workflow.GetLogger(ctx).Error("a queue is stuck on an internal fault and will be tried again", "endpoint_id", q.in.EndpointID, "error", err)
	return &activities.DrainResult{Next: faultPause, Why: "a fault of Waybill itself, which its log shows"}, nil
}

func (q *queue) take(out *activities.DrainResult) {
	q.window, q.waiting = out.Window, &out.Waiting
	q.sent += out.Attempts
	q.delivered += out.Delivered
	if out.Host != "" {
		q.host = cleanReason(out.Host)
	}
}

// sleep waits until the next is due or the queue is woken.
func (q *queue) sleep(ctx workflow.Context, out *activities.DrainResult) error {
	if out.Next <= 0 || q.isWoken() {
		return nil
	}
	q.next, q.why = workflow.Now(ctx).Add(out.Next), cleanReason(out.Why)
	q.show(ctx)
	timerCtx, cancelTimer := workflow.WithCancel(ctx)
	defer cancelTimer()
	timer := workflow.NewTimerWithOptions(timerCtx, out.Next, workflow.TimerOptions{
		Summary: fmt.Sprintf("wait of %s: %s", q.name(), q.why),
	})
	return workflow.Await(ctx, func() bool { return timer.IsReady() || q.isWoken() })
}
