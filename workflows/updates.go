package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"waybill/webhook"
)

// errorTypeInPart refuses an update of a large event; the error's detail is the id of the workflow to ask.
const errorTypeInPart = "in_part"

// UpdateAnswer is the state of the deliveries that an update named.
type UpdateAnswer struct {
	Deliveries []DeliveryNow `json:"deliveries"`
}

// DeliveryNow is the state of one delivery.
type DeliveryNow struct {
	ID         webhook.DeliveryID `json:"id"`
	EndpointID webhook.EndpointID `json:"endpoint_id"`
	Status     webhook.Status     `json:"status"`
	Reason     string             `json:"reason,omitempty"`
	// Attempts is how many attempts were made.
	Attempts      int        `json:"attempts"`
	NextAttemptAt *time.Time `json:"next_attempt_at,omitempty"`
}

// answerUpdates registers the updates, which do what the signals do and answer. The type of an error is a webhook.Code.
func (e *event) answerUpdates(ctx workflow.Context) error {
	for _, u := range signals {
		err := workflow.SetUpdateHandlerWithOptions(ctx, u.name,
			func(ctx workflow.Context, in converter.RawValue) (*UpdateAnswer, error) {
				return e.update(ctx, u.name, in)
			},
			workflow.UpdateHandlerOptions{
				Description: u.description,
				Validator: func(_ workflow.Context, in converter.RawValue) error {
					_, _, err := e.understand(u.name, in)
					return err
				},
			})
		if err != nil {
			return fmt.Errorf("register update %s: %w", u.name, err)
		}
	}
	return nil
}

// understand returns the command of an update and the deliveries that it names. It refuses what none of them can do.
func (e *event) understand(name string, in converter.RawValue) (EndpointSignal, []*delivery, error) {
	s, err := decodeSignal(in.Payload())
	if err != nil {
		return s, nil, refusal(webhook.CodeInvalid, err.Error())
	}
	meant := e.meant(s.EndpointID)
	if len(meant) == 0 {
		return s, nil, refusal(webhook.CodeNotFound, "the event has no delivery to "+s.EndpointID)
	}
	if switches(name) && !s.Informed {
		return s, meant, nil // the endpoint is disabled or enabled even if this event does not need it
	}
	for _, d := range meant {
		refused := d.refuses(name)
		if refused == nil {
			return s, meant, nil
		}
		err = refused
	}
	return s, nil, err
}

func (e *event) update(ctx workflow.Context, name string, in converter.RawValue) (*UpdateAnswer, error) {
	s, meant, err := e.understand(name, in)
	if err != nil {
		return nil, err
	}
	if switches(name) && !s.Informed {
		if err := e.setEnabled(ctx, name, s.Reason, meant); err != nil {
			return nil, err
		}
	}
	if name == SignalCancelDelivery && !s.Informed {
		if err := e.cancelQueued(ctx, s.Reason, meant); err != nil {
			return nil, err
		}
	}
	var asked []*command
	for _, d := range meant {
		// A delivery that refuses is settled or has a stronger command; the answer shows its state.
		if c, _ := d.ask(name, reasonOr(s.Reason, name), s.Informed); c != nil {
			asked = append(asked, c)
		}
	}
	for _, c := range asked {
		if err := workflow.Await(ctx, func() bool { return c.done }); err != nil {
			return nil, err
		}
		if c.err != nil && len(meant) == 1 {
			return nil, c.err
		}
	}
	answer := &UpdateAnswer{}
	for _, d := range meant {
		answer.Deliveries = append(answer.Deliveries, d.now())
	}
	return answer, nil
}

func (d *delivery) now() DeliveryNow {
	h := d.history()
	return DeliveryNow{h.ID, h.EndpointID, h.Status, h.Reason, d.state.made(), h.NextAttemptAt}
}

// redirectUpdates registers the updates of an event that is split into parts. Their error tells the caller which part to
// ask.
func redirectUpdates(ctx workflow.Context, partOf func(endpointID string) (workflowID string, ok bool)) error {
	redirect := func(_ workflow.Context, in converter.RawValue) error {
		s, err := decodeSignal(in.Payload())
		if err != nil {
			return refusal(webhook.CodeInvalid, err.Error())
		}
		if s.EndpointID == AllEndpoints {
			return refusal(webhook.CodeInvalid, "the event is large: name one endpoint, or send a signal")
		}
		id, ok := partOf(s.EndpointID)
		if !ok {
			return refusal(webhook.CodeNotFound, "the event has no delivery to "+s.EndpointID)
		}
		return temporal.NewNonRetryableApplicationError("the delivery is part of the workflow "+id+": ask that", errorTypeInPart, nil, id)
	}
	for _, u := range signals {
		err := workflow.SetUpdateHandlerWithOptions(ctx, u.name,
			func(ctx workflow.Context, in converter.RawValue) error { return redirect(ctx, in) },
			workflow.UpdateHandlerOptions{Description: u.description, Validator: redirect})
		if err != nil {
			return fmt.Errorf("register update %s: %w", u.name, err)
		}
	}
	return nil
}

// InPart returns the workflow that an update of a large event is to be sent to, if that is what the error says.
func InPart(err error) (workflowID string, ok bool) {
	var refused *temporal.ApplicationError
	if !errors.As(err, &refused) || refused.Type() != errorTypeInPart {
		return "", false
	}
	return workflowID, refused.Details(&workflowID) == nil
}
