package engine

import (
	"encoding/json"
	"slices"
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
	policies := newPolicies(event, d)
	for i, to := range event.Deliveries {
		in.Deliveries[i] = workflows.DeliveryState{ID: to.ID, EndpointID: to.EndpointID, Lane: activities.LaneFast, Policy: policies.index(to.Retry)}
	}
	in.Policies = policies.list
	return in
}

// policies gathers the distinct retry policies of an event. Endpoints whose policies have the same effect share one, even
// where they are written differently: thousands of endpoints may each have an equal policy of their own.
type policies struct {
	event   *store.Dispatch
	dialect *webhook.Dialect
	list    []webhook.RetryPolicy
	// seen maps an endpoint's own policy, by pointer because endpoints from one cache share it, to its index. The nil key
	// is for the policy of the tenant or the dialect.
	seen  map[*webhook.RetryPolicy]int
	equal map[string]int
}

func newPolicies(event *store.Dispatch, d *webhook.Dialect) *policies {
	return &policies{event: event, dialect: d, seen: map[*webhook.RetryPolicy]int{}, equal: map[string]int{}}
}

func (p *policies) index(own *webhook.RetryPolicy) int {
	if i, ok := p.seen[own]; ok {
		return i
	}
	policy := webhook.RetryPolicyOf(own, p.event.Retry, p.dialect)
	key := policy.Key()
	i, ok := p.equal[key]
	if !ok {
		i = len(p.list)
		p.equal[key], p.list = i, append(p.list, policy)
	}
	p.seen[own] = i
	return i
}

// NewRestartInput returns the input for an event whose workflow was lost. The workflow continues from the state in the log.
// Of a long log only the latest attempts are carried. Where even they do not fit, the workflow starts with no attempts, and
// its first attempts find the recorded ones in the log. What belongs to an endpoint's queue is left out.
func NewRestartInput(s *store.EventState, d *webhook.Dialect) *workflows.EventDeliveryInput {
	in := NewEventDeliveryInput(&s.Dispatch, d)
	in.Deliveries = slices.DeleteFunc(in.Deliveries, func(d workflows.DeliveryState) bool { return s.Queued[d.ID] })
	attempts := make([][]webhook.AttemptSummary, len(s.Log))
	log := make(map[webhook.DeliveryID]*webhook.DeliveryHistory, len(s.Log))
	for i := range s.Log {
		attempts[i] = s.Log[i].Attempts
	}
	text, err := json.Marshal(in)
	if err != nil || !workflows.BoundAttempts(attempts, workflows.MaxInputBytes-len(text)) {
		return in
	}
	carried := make(map[webhook.DeliveryID][]webhook.AttemptSummary, len(s.Log))
	for i := range s.Log {
		log[s.Log[i].ID], carried[s.Log[i].ID] = &s.Log[i], attempts[i]
	}
	for i := range in.Deliveries {
		if logged := log[in.Deliveries[i].ID]; logged != nil {
			in.Deliveries[i].Carry(carried[logged.ID], logged.Attempts)
			resume(&in.Deliveries[i], logged, s.HeldAt[logged.ID], d.HoldFor.Std())
		}
	}
	return in
}

// resume sets the state of a delivery to what the log says.
func resume(s *workflows.DeliveryState, log *webhook.DeliveryHistory, heldAt time.Time, holdFor time.Duration) {
	s.Status, s.Reason = log.Status, log.Reason
	switch {
	case s.Status == webhook.StatusRetrying && log.NextAttemptAt != nil:
		s.NextAttemptAt = *log.NextAttemptAt
	case s.Status == webhook.StatusHeld && holdFor > 0:
		s.NextAttemptAt = heldAt.Add(holdFor)
	}
}
