package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
)

// MaxRecipients is how many deliveries an event may have.
const MaxRecipients = 10_000

// ErrorTypeInvalidInput is the type of the error that ends a workflow whose input Waybill cannot have made.
const ErrorTypeInvalidInput = "invalid_input"

// check returns what is wrong with an input. Whoever reaches Temporal can start a workflow, and a bad input must end it
// rather than occupy a worker for good.
func (in *EventDeliveryInput) check() error {
	switch {
	case in.Tenant == "" || in.EventID == "":
		return errors.New("tenant and event_id must not be empty")
	case len(in.Deliveries) > MaxRecipients:
		return fmt.Errorf("deliveries has %d items, more than %d", len(in.Deliveries), MaxRecipients)
	case in.HoldFor < 0:
		return fmt.Errorf("hold_for is %s", in.HoldFor)
	}
	for i, p := range in.Policies {
		if len(p.Schedule) > webhook.MaxRetries {
			return fmt.Errorf("policies[%d] has %d delays, more than %d", i, len(p.Schedule), webhook.MaxRetries)
		}
		for _, delay := range p.Schedule {
			if delay < 0 || delay.Std() > webhook.MaxRetryDelay {
				return fmt.Errorf("policies[%d] has a delay of %s", i, delay)
			}
		}
	}
	for i := range in.Deliveries {
		d := &in.Deliveries[i]
		switch {
		case d.ID.IsZero() || d.EndpointID.IsZero():
			return fmt.Errorf("deliveries[%d] lacks an id", i)
		case d.Policy < 0 || d.Policy >= len(in.Policies):
			return fmt.Errorf("deliveries[%d] refers to policy %d of %d", i, d.Policy, len(in.Policies))
		case d.Status != "" && !slices.Contains(webhook.Statuses, d.Status):
			return fmt.Errorf("deliveries[%d] has no status that exists", i)
		}
	}
	return nil
}

// maxShownEndpoints keeps WaybillEndpoints below the 2 KiB that a Temporal server takes for one search attribute. An
// event with more endpoints is found by its id, its tenant or its type, and by the endpoints shown.
const maxShownEndpoints = 50

// UnderWay reports whether an attempt of the event is under way that began before its workflow.
func (in *EventDeliveryInput) UnderWay() bool {
	return slices.ContainsFunc(in.Deliveries, func(d DeliveryState) bool { return d.FollowOn != "" })
}

// SearchAttributes are what operators find the workflow by.
func (in *EventDeliveryInput) SearchAttributes() []temporal.SearchAttributeUpdate {
	endpoints := make([]string, 0, min(len(in.Deliveries), maxShownEndpoints))
	for _, d := range in.Deliveries[:cap(endpoints)] {
		endpoints = append(endpoints, d.EndpointID.String())
	}
	return []temporal.SearchAttributeUpdate{
		AttributeTenant.ValueSet(in.Tenant), AttributeEventType.ValueSet(in.EventType), AttributeEndpoints.ValueSet(endpoints),
	}
}
