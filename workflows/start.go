package workflows

import (
	"slices"
	"time"

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

// Limits of what a workflow that is started anew is told of the log: Temporal takes an input of 2 MiB.
const (
	maxCarriedBytes = 1 << 20
	// attemptBytes is what an attempt takes beside the text of its error.
	attemptBytes = 250
)

// NewRestartInput returns the input for an event whose workflow was lost: what the log has is the state to go on from. An
// event with a very long log starts from the first attempts, which find in the log what was made already.
func NewRestartInput(s *webhook.Standing, d *webhook.Dialect) *EventDeliveryInput {
	in := NewEventDeliveryInput(&s.Dispatch, d)
	carried := 0
	log := make(map[webhook.DeliveryID]*webhook.DeliveryHistory, len(s.Log))
	for i := range s.Log {
		log[s.Log[i].ID] = &s.Log[i]
		for _, a := range s.Log[i].Attempts {
			carried += attemptBytes + len(a.Error)
		}
	}
	if carried > maxCarriedBytes {
		return in
	}
	for i := range in.Deliveries {
		if stands := log[in.Deliveries[i].ID]; stands != nil {
			in.Deliveries[i].goOn(stands, s.HeldAt[stands.ID], d.HoldFor.Std())
		}
	}
	return in
}

// goOn makes what the log says the state to go on from.
func (s *DeliveryState) goOn(log *webhook.DeliveryHistory, heldAt time.Time, holdFor time.Duration) {
	s.Status, s.Reason, s.Attempts = log.Status, log.Reason, log.Attempts
	switch {
	case s.Status == webhook.StatusRetrying && log.NextAttemptAt != nil:
		s.NextAttemptAt = *log.NextAttemptAt
	case s.Status == webhook.StatusHeld && holdFor > 0:
		s.NextAttemptAt = heldAt.Add(holdFor)
	}
}

// UnderWay reports whether an attempt of the event is under way that began before its workflow.
func (in *EventDeliveryInput) UnderWay() bool {
	return slices.ContainsFunc(in.Deliveries, func(d DeliveryState) bool { return d.FollowOn != "" })
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
