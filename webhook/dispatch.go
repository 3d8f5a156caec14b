package webhook

import "time"

// Dispatch is an accepted event whose workflow is to be started: ids and retry policies, nothing else.
type Dispatch struct {
	EventKey  EventKey
	TenantID  string
	EventID   string
	EventType string
	// Dialect and Retry are the tenant's; Retry is nil where the dialect's policy holds.
	Dialect string
	Retry   *RetryPolicy
	// Express is the tenant's.
	Express    bool
	Deliveries []DispatchDelivery
}

// Release gives an event back whose workflow was not started: from After on anybody may try.
type Release struct {
	EventKey EventKey
	After    time.Duration
}

// DispatchDelivery is one delivery of a Dispatch.
type DispatchDelivery struct {
	ID         DeliveryID
	EndpointID EndpointID
	// Retry is the endpoint's own; nil where the tenant's or the dialect's holds.
	Retry *RetryPolicy
}

// RetryPolicyOf returns the policy in force, resolved: the endpoint's, else the tenant's, else the dialect's. This is
// the one place that knows the order.
func RetryPolicyOf(endpoint, tenant *RetryPolicy, d *Dialect) RetryPolicy {
	switch {
	case endpoint != nil:
		return endpoint.Resolve()
	case tenant != nil:
		return tenant.Resolve()
	default:
		return d.Retry.Resolve()
	}
}

// EndpointRef names an endpoint of a tenant.
type EndpointRef struct {
	TenantID string     `db:"tenant_id"`
	ID       EndpointID `db:"id"`
}
