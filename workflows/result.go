package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// ErrorTypeExhausted is the type of the error that ends an event with an exhausted delivery; its detail is the
// EventDeliveryResult. The Web UI shows such a workflow in red, and ExecutionStatus = 'Failed' finds it.
const ErrorTypeExhausted = "exhausted"

// EventDeliveryResult counts how the deliveries ended.
type EventDeliveryResult struct {
	Delivered int `json:"delivered"`
	Exhausted int `json:"exhausted,omitempty"`
	Canceled  int `json:"canceled,omitempty"`
	// Held counts the deliveries that were handed over to their endpoints' queues. The log says what became of them.
	Held int `json:"held,omitempty"`
}

func (r *EventDeliveryResult) add(d *DeliveryState) {
	if d.Queued {
		r.Held++
	}
	switch d.Status {
	case webhook.StatusDelivered:
		r.Delivered++
	case webhook.StatusExhausted:
		r.Exhausted++
	case webhook.StatusCanceled:
		r.Canceled++
	}
}

// end returns the result or the error of an event whose deliveries have ended.
func (r *EventDeliveryResult) end(ctx workflow.Context) (*EventDeliveryResult, error) {
	if r.Exhausted == 0 || !changed(ctx, changeExhaustedFails) {
		return r, nil
	}
	text := fmt.Sprintf("exhausted: %d of %d deliveries", r.Exhausted, r.Delivered+r.Exhausted+r.Canceled+r.Held)
	return nil, temporal.NewNonRetryableApplicationError(text, ErrorTypeExhausted, nil, r)
}

// resultOf returns the result of an event, or of a part, that ended as exhausted.
func resultOf(err error) (*EventDeliveryResult, bool) {
	var failed *temporal.ApplicationError
	if !errors.As(err, &failed) || failed.Type() != ErrorTypeExhausted {
		return nil, false
	}
	r := new(EventDeliveryResult)
	return r, failed.Details(r) == nil
}
