package worker

import (
	"context"
	"time"

	"waybill/webhook"
	"waybill/workflows"
)

// Outbox is what the dispatcher and the relay need of the database. Every method may answer CodeUnavailable. Leases are
// measured by the database's clock.
type Outbox interface {
	// ClaimDispatches takes up to limit events whose lease is over, for longest first, and leases them. Claims of several
	// processes never overlap.
	ClaimDispatches(ctx context.Context, limit int, lease time.Duration) ([]webhook.Dispatch, error)
	// MarkDispatched forgets events whose workflow has started.
	MarkDispatched(ctx context.Context, keys []webhook.EventKey) error
	// ReleaseDispatches ends the leases of events whose workflow was not started, so that the relay tries again.
	ReleaseDispatches(ctx context.Context, releases []webhook.Release) error
	// EndpointsToRecover lists endpoints that were enabled and whose held deliveries are still to be woken.
	EndpointsToRecover(ctx context.Context, limit int) ([]webhook.EndpointRef, error)
	// EnsurePartitions creates the partitions of this month and the next.
	EnsurePartitions(ctx context.Context) error
}

// Log is what the reconciler needs of the database. Every method may answer CodeUnavailable. Times are measured by the
// database's clock.
type Log interface {
	// ClaimReconciler makes holder, a UUID, the process that reconciles for the time of the lease, and reports whether it
	// is.
	ClaimReconciler(ctx context.Context, holder string, lease time.Duration) (bool, error)
	// SweepDeliveries looks for pending deliveries that are older than after, limit at a time, and reports whether there
	// may be more to look at.
	SweepDeliveries(ctx context.Context, after time.Duration, limit int) (more bool, err error)
	// StalledDeliveries lists the deliveries that stand still, longest first, from the one after after.
	StalledDeliveries(ctx context.Context, still webhook.Standstill, after webhook.Stalled, limit int) ([]webhook.Stalled, error)
	// CountStalled counts them.
	CountStalled(ctx context.Context, still webhook.Standstill) (int, error)
	// RecoverForgotten marks for recovery the endpoints that hold deliveries although nothing disables them.
	RecoverForgotten(ctx context.Context, after time.Duration) ([]webhook.EndpointRef, error)
	// Standing returns an event as the log has it; CodeNotFound when it is not stored.
	Standing(ctx context.Context, key webhook.EventKey) (*webhook.Standing, error)
	// UnknownEvents returns those of the events that are not stored.
	UnknownEvents(ctx context.Context, events []webhook.EventRef) ([]webhook.EventRef, error)
}

// Restarter is what the reconciler needs of the workflows.
type Restarter interface {
	// Lives reports whether an event's workflow is there and not closed.
	Lives(ctx context.Context, tenant, eventID string) (bool, error)
	// Restart starts the workflow of an event anew; one that lives stays as it is.
	Restart(ctx context.Context, in *workflows.EventDeliveryInput) error
	// WakeDelivery tells an event's workflow that its endpoint is enabled. CodeNotFound: none lives.
	WakeDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID) error
	// LivingEvents calls visit with the events whose workflows were started before a moment and live, page by page.
	LivingEvents(ctx context.Context, before time.Time, visit func([]webhook.EventRef) error) error
}
