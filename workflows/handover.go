package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// handOver ends the pending command of a delivery that its endpoint's queue has taken over. What it asks for is in the database
// already, or the queue does it, except for a cancel, which the delivery obeys in its place.
func (d *delivery) handOver() {
	if d.pending == nil || d.pending.kind == commandCancel {
		return
	}
	if d.pending.kind == commandAttempt {
		d.pending.end(refusal(webhook.CodeConflict, d.queuedText()))
	}
	d.pending.end(nil)
	d.pending = nil
}

// queuedText says who makes the attempts of a delivery that was handed over, and what a person can do.
func (d *delivery) queuedText() string {
	queue := cleanReason(EndpointQueueID(d.event.in.Tenant, d.state.EndpointID))
	if d.state.Status == webhook.StatusHeld {
		return "the endpoint is disabled: mend the receiver and enable the endpoint, and its queue, the workflow " + queue + ", sends what is held"
	}
	return "the endpoint's queue, the workflow " + queue + ", makes its attempts; " + d.retryCall() + " asks for one at once"
}

// retryCall is the call of the API that sends the delivery again.
func (d *delivery) retryCall() string {
	return fmt.Sprintf("POST /v1/tenants/%s/deliveries/%s/retry", cleanReason(d.event.in.Tenant), d.state.ID)
}

// cancelQueued cancels those of the deliveries that were handed over, in the database, where their queue finds it.
func (e *event) cancelQueued(ctx workflow.Context, reason string, meant []*delivery) error {
	for _, d := range meant {
		if !d.state.Queued {
			continue
		}
		if err := d.setStatus(ctx, webhook.StatusCanceled, reasonOr(reason, SignalCancelDelivery), false); err != nil {
			return err
		}
		e.show(ctx, d)
	}
	return nil
}

// cancelMeant obeys a signal that cancels deliveries some of which were handed over.
func (e *event) cancelMeant(ctx workflow.Context, name string, s EndpointSignal, meant []*delivery) {
	e.note(ctx, meant, name, s)
	e.settingEnabled++
	workflow.GoNamed(ctx, name, func(ctx workflow.Context) {
		defer func() { e.settingEnabled-- }()
		if err := e.cancelQueued(ctx, s.Reason, meant); err != nil {
			workflow.GetLogger(ctx).Error("a delivery that its endpoint's queue has could not be canceled", "endpoint_id", s.EndpointID, "error", err)
		}
	})
}
