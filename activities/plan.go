package activities

import (
	"waybill/store"
	"waybill/webhook"
)

// plan is what decides on an attempt besides the answer.
type plan struct {
	policy webhook.RetryPolicy
	// position is the attempt's number as the retry policy counts it.
	position int
	// uncounted says that the retry policy does not count it: when it fails, the schedule goes on as if it had not been made.
	uncounted bool
	// autoDisable is the endpoint's rule in force; nil: none.
	autoDisable *webhook.AutoDisable
}

// planOf returns the plan of an attempt. A test is attempted once and is no sign of the endpoint's health. The event's workflow
// carries the policy of when it began; the queue uses today's. The first attempt after a delivery was opened again is counted, even
// if a person asked for it, because otherwise the retry policy would begin one attempt late.
func planOf(in *AttemptInput, s *store.Sending, d *webhook.Dialect) plan {
	p := plan{policy: in.Policy, position: in.position(), uncounted: in.Manual, autoDisable: webhook.AutoDisableOf(s.Endpoint.AutoDisable, d)}
	if in.Queue != nil {
		counted := in.Number - 1 - in.Queue.Uncounted
		p.policy, p.position = webhook.RetryPolicyOf(s.Endpoint.Retry, s.Tenant.Retry, d), counted+1
		p.uncounted = in.Manual && counted > 0
	}
	if s.Delivery.Test {
		p.policy, p.position, p.uncounted, p.autoDisable = webhook.RetryPolicy{}, 1, false, nil
	}
	return p
}
