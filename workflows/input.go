package workflows

import (
	"errors"
	"fmt"
	"slices"

	"go.temporal.io/sdk/temporal"

	"waybill/webhook"
)

// ErrorTypeInvalidInput is the type of the error that ends a workflow whose input Waybill cannot have made.
const ErrorTypeInvalidInput = "invalid_input"

// check returns what is wrong with an input. Everybody who can reach Temporal can start a workflow, and a bad input must
// end it instead of occupying a worker forever.
func (in *EventDeliveryInput) check() error {
	switch {
	case in == nil:
		return errors.New("the input is null")
	case in.Tenant == "" || in.EventID == "":
		return errors.New("tenant and event_id must not be empty")
	case len(in.Deliveries) > webhook.MaxRecipients:
		return fmt.Errorf("deliveries has %d items, more than %d", len(in.Deliveries), webhook.MaxRecipients)
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

// maxWindow is the largest window that an input may have; the activity has a lower limit of its own.
const maxWindow = 10_000

// check returns what is wrong with an input.
func (in *EndpointQueueInput) check() error {
	switch {
	case in == nil:
		return errors.New("the input is null")
	case in.Tenant == "" || in.EndpointID.IsZero():
		return errors.New("tenant and endpoint_id must not be empty")
	case in.Window < 0 || in.Window > maxWindow:
		return fmt.Errorf("window is %d, not from 0 to %d", in.Window, maxWindow)
	}
	return nil
}

func invalidInput(err error) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), ErrorTypeInvalidInput, nil)
}

// clean takes out of the state what a terminal would obey. Waybill's own texts have nothing of it, a forged start may.
func (s *DeliveryState) clean() {
	s.Host, s.Reason = cleanReason(s.Host), cleanReason(s.Reason)
	s.Attempts = slices.Clone(s.Attempts)
	for i := range s.Attempts {
		s.Attempts[i].Error = cleanReason(s.Attempts[i].Error)
	}
}

// maxShownEndpoints keeps WaybillEndpoints below the 2 KiB that a Temporal server takes for one search attribute. An
// event with more endpoints is found by its id, its tenant or its type, and by the endpoints shown.
const maxShownEndpoints = 50

// UnderWay reports whether an attempt that began before the event's workflow is still in flight.
func (in *EventDeliveryInput) UnderWay() bool {
	return slices.ContainsFunc(in.Deliveries, func(d DeliveryState) bool { return d.FollowOn != "" })
}

// IsWide reports whether the event has more than WideDeliveries, so that its workflow runs on WideQueue.
func (in *EventDeliveryInput) IsWide() bool { return len(in.Deliveries) > WideDeliveries }

// SearchAttributes returns the search attributes of the event's workflow.
func (in *EventDeliveryInput) SearchAttributes() []temporal.SearchAttributeUpdate {
	endpoints := make([]string, 0, min(len(in.Deliveries), maxShownEndpoints))
	for _, d := range in.Deliveries[:cap(endpoints)] {
		endpoints = append(endpoints, d.EndpointID.String())
	}
	return []temporal.SearchAttributeUpdate{
		AttributeTenant.ValueSet(in.Tenant), AttributeEventType.ValueSet(in.EventType), AttributeEndpoints.ValueSet(endpoints),
	}
}

// part returns the input for some of the deliveries, with only their policies.
func (in *EventDeliveryInput) part(deliveries []DeliveryState) *EventDeliveryInput {
	part := *in
	part.Policies, part.Deliveries = nil, slices.Clone(deliveries)
	moved := map[int]int{}
	for i := range part.Deliveries {
		d := &part.Deliveries[i]
		to, known := moved[d.Policy]
		if !known {
			to = len(part.Policies)
			moved[d.Policy] = to
			part.Policies = append(part.Policies, in.Policies[d.Policy])
		}
		d.Policy = to
	}
	return &part
}

// Temporal accepts inputs and query answers of up to 2 MiB.
const (
	// MaxInputBytes leaves room for what surrounds an input.
	MaxInputBytes = 1800 << 10
	// maxAttemptBytes is how many bytes the attempts of one run's deliveries may take, as JSON.
	maxAttemptBytes = 1 << 20
	// attemptBytes is the size of an attempt without the text of its error.
	attemptBytes = 180
	// attemptsKept is how many attempts of a delivery, the latest, are carried when not all fit.
	attemptsKept = 10
)

// BoundAttempts shortens the attempts of all deliveries to at most limit bytes of JSON in total, and reports whether that
// succeeded. It first drops the error texts except each delivery's last, then all but the latest attempts. The log keeps
// everything.
func BoundAttempts(deliveries [][]webhook.AttemptSummary, limit int) bool {
	fits := func() bool {
		n := 0
		for _, attempts := range deliveries {
			for i := range attempts {
				n += attemptBytes + jsonBytes(attempts[i].Error)
			}
		}
		return n <= limit
	}
	if fits() {
		return true
	}
	for i, attempts := range deliveries {
		attempts = slices.Clone(attempts)
		for j := range max(len(attempts)-1, 0) {
			attempts[j].Error = ""
		}
		deliveries[i] = attempts
	}
	if fits() {
		return true
	}
	for i, attempts := range deliveries {
		deliveries[i] = attempts[max(len(attempts)-attemptsKept, 0):]
	}
	return fits()
}

// jsonBytes is what a text takes as JSON, at most. The texts of errors quote receivers, who may choose what is escaped.
func jsonBytes(text string) int {
	n := len(text)
	for _, c := range []byte(text) {
		switch c {
		case '<', '>', '&':
			n += len(`\u003c`) - 1
		case '"', '\\':
			n++
		case 0xE2: // begins U+2028 and U+2029
			n += len(`\u2028`) - 3
		}
	}
	return n
}

// Carry makes the attempts, the latest of all that were made, those that the delivery starts with.
func (s *DeliveryState) Carry(attempts, all []webhook.AttemptSummary) {
	for _, a := range all[:len(all)-len(attempts)] {
		if a.Manual {
			s.ManualBefore++
		}
	}
	s.Attempts = attempts
}
