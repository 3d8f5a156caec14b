package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// Dispatch is an accepted event whose workflow is to be started: ids and retry policies, nothing else.
type Dispatch struct {
	EventKey  webhook.EventKey
	TenantID  string
	EventID   string
	EventType string
	// Dialect and Retry are the tenant's; Retry is nil where the dialect's policy holds.
	Dialect string
	Retry   *webhook.RetryPolicy
	// Express is the tenant's.
	Express    bool
	Deliveries []DispatchDelivery
}

// DispatchDelivery is one delivery of a Dispatch.
type DispatchDelivery struct {
	ID         webhook.DeliveryID
	EndpointID webhook.EndpointID
	// Retry is the endpoint's own; nil where the tenant's or the dialect's holds.
	Retry *webhook.RetryPolicy
}

// Release gives an event back whose workflow was not started: from After on anybody may try.
type Release struct {
	EventKey webhook.EventKey
	After    time.Duration
}

// Dispatches keeps the events whose workflow is not known to have started.
type Dispatches interface {
	// ClaimDispatches takes up to limit events whose lease is over, for longest first, and leases them. Claims of several
	// processes never overlap.
	ClaimDispatches(ctx context.Context, limit int, lease time.Duration) ([]Dispatch, error)
	// DeleteDispatches forgets events whose workflow has started.
	DeleteDispatches(ctx context.Context, keys []webhook.EventKey) error
	// ReleaseDispatches ends the leases of events whose workflow was not started, each after its time, so that any process
	// may claim them then.
	ReleaseDispatches(ctx context.Context, releases []Release) error
	// CountDispatches returns how many events wait for their workflow to start, most at most: at least those that were
	// accepted before the call and not deleted.
	CountDispatches(ctx context.Context, most int) (int, error)
}
