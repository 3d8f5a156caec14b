package worker

import (
	"context"
	"time"

	"waybill/webhook"
)

// Outbox is what the dispatcher and the relay need of the database. Every method may answer CodeUnavailable. Leases are
// measured by the database's clock.
type Outbox interface {
	// ClaimDispatches takes up to limit events whose lease is over, oldest first, and leases them. Claims of several
	// processes never overlap.
	ClaimDispatches(ctx context.Context, limit int, lease time.Duration) ([]webhook.Dispatch, error)
	// MarkDispatched forgets events whose workflow has started.
	MarkDispatched(ctx context.Context, keys []webhook.EventKey) error
	// ReleaseDispatches ends the lease of events whose workflow could not be started, so that the relay tries again.
	ReleaseDispatches(ctx context.Context, keys []webhook.EventKey) error
	// EndpointsToRecover lists endpoints that were enabled and whose held deliveries are still to be woken.
	EndpointsToRecover(ctx context.Context, limit int) ([]webhook.EndpointRef, error)
	// EnsurePartitions creates the partitions of this month and the next.
	EnsurePartitions(ctx context.Context) error
}
