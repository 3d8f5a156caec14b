package workflows

import (
	"go.temporal.io/sdk/temporal"

	"waybill/activities"
	"waybill/webhook"
)

// maxShownEndpoints keeps WaybillEndpoints below the 2 KiB that a Temporal server takes for one search attribute. An
// event with more endpoints is found by its id, its tenant or its type, and by the endpoints shown.
const maxShownEndpoints = 50

// NewEventDeliveryInput returns the input for an accepted event of a tenant with the given dialect.
func NewEventDeliveryInput(event *webhook.Dispatch, d *webhook.Dialect) *EventDeliveryInput {
	in := &EventDeliveryInput{
		Tenant: event.TenantID, EventID: event.EventID, EventKey: event.EventKey, EventType: event.EventType, HoldFor: d.HoldFor,
		Deliveries: make([]DeliveryState, len(event.Deliveries)),
	}
	known := map[*webhook.RetryPolicy]int{} // by the endpoint's own policy; nil: the tenant's or the dialect's
	for i, to := range event.Deliveries {
		policy, ok := known[to.Retry]
		if !ok {
			policy = len(in.Policies)
			known[to.Retry] = policy
			in.Policies = append(in.Policies, webhook.RetryPolicyOf(to.Retry, event.Retry, d))
		}
		in.Deliveries[i] = DeliveryState{ID: to.ID, EndpointID: to.EndpointID, Lane: activities.LaneFast, Policy: policy}
	}
	return in
}

// searchAttributes are what operators find the workflow by.
func (in *EventDeliveryInput) searchAttributes() []temporal.SearchAttributeUpdate {
	endpoints := make([]string, 0, min(len(in.Deliveries), maxShownEndpoints))
	for _, d := range in.Deliveries[:cap(endpoints)] {
		endpoints = append(endpoints, d.EndpointID.String())
	}
	return []temporal.SearchAttributeUpdate{
		AttributeTenant.ValueSet(in.Tenant), AttributeEventType.ValueSet(in.EventType), AttributeEndpoints.ValueSet(endpoints),
	}
}
