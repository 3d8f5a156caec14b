package engine

import (
	"time"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// NewEventDeliveryInput returns the input for an accepted event of a tenant with the given dialect.
func NewEventDeliveryInput(event *store.Dispatch, d *webhook.Dialect) *workflows.EventDeliveryInput {
	in := &workflows.EventDeliveryInput{
		Tenant: event.TenantID, EventID: event.EventID, EventKey: event.EventKey, EventType: event.EventType, HoldFor: d.HoldFor,
		Deliveries: make([]workflows.DeliveryState, len(event.Deliveries)),
	}
	known := map[*webhook.RetryPolicy]int{} // by the endpoint's own policy; nil: the tenant's or the dialect's
	for i, to := range event.Deliveries {
		policy, ok := known[to.Retry]
		if !ok {
			policy = len(in.Policies)
			known[to.Retry] = policy
			in.Policies = append(in.Policies, webhook.RetryPolicyOf(to.Retry, event.Retry, d))
		}
		in.Deliveries[i] = workflows.DeliveryState{ID: to.ID, EndpointID: to.EndpointID, Lane: activities.LaneFast, Policy: policy}
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
func NewRestartInput(s *store.EventState, d *webhook.Dialect) *workflows.EventDeliveryInput {
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
		if logged := log[in.Deliveries[i].ID]; logged != nil {
			resume(&in.Deliveries[i], logged, s.HeldAt[logged.ID], d.HoldFor.Std())
		}
	}
	return in
}

// resume makes what the log says the state to go on from.
func resume(s *workflows.DeliveryState, log *webhook.DeliveryHistory, heldAt time.Time, holdFor time.Duration) {
	s.Status, s.Reason, s.Attempts = log.Status, log.Reason, log.Attempts
	switch {
	case s.Status == webhook.StatusRetrying && log.NextAttemptAt != nil:
		s.NextAttemptAt = *log.NextAttemptAt
	case s.Status == webhook.StatusHeld && holdFor > 0:
		s.NextAttemptAt = heldAt.Add(holdFor)
	}
}
