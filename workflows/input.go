package workflows

import (
	"slices"

	"go.temporal.io/sdk/temporal"
)

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
