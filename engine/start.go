package engine

import (
	"encoding/json"
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

// policies gathers the distinct retry policies of an event. Endpoints share one where their policies say the same, whether they
// are written alike or not: thousands of endpoints may each have an equal policy of their own.
type policies struct {
	event   *store.Dispatch
	dialect *webhook.Dialect
	list    []webhook.RetryPolicy
	// seen is by the endpoint's own policy, for what comes from one cache, and nil for the tenant's or the dialect's.
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

// NewRestartInput returns the input for an event whose workflow was lost: what the log has is the state to go on from. Of a
// long log the latest attempts are enough; where even they do not fit, the workflow starts from the first attempts, which find in
// the log what was made already.
func NewRestartInput(s *store.EventState, d *webhook.Dialect) *workflows.EventDeliveryInput {
	in := NewEventDeliveryInput(&s.Dispatch, d)
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

// resume makes what the log says the state to go on from.
func resume(s *workflows.DeliveryState, log *webhook.DeliveryHistory, heldAt time.Time, holdFor time.Duration) {
	s.Status, s.Reason = log.Status, log.Reason
	switch {
	case s.Status == webhook.StatusRetrying && log.NextAttemptAt != nil:
		s.NextAttemptAt = *log.NextAttemptAt
	case s.Status == webhook.StatusHeld && holdFor > 0:
		s.NextAttemptAt = heldAt.Add(holdFor)
	}
}
