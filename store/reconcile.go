package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// StallRule says which deliveries are stalled: those whose next attempt, or the end of whose hold, has been due for
// longer than After.
type StallRule struct {
	After time.Duration
	// Holds is how long the dialects hold a delivery; one that holds for good is left out.
	Holds map[string]time.Duration
}

// Stalled is a delivery that is overdue.
type Stalled struct {
	ID       webhook.DeliveryID `db:"id"`
	TenantID string             `db:"tenant_id"`
	EventID  string             `db:"event_id"`
	EventKey webhook.EventKey   `db:"event_key"`
	Status   webhook.Status     `db:"status"`
	// Since is when the next attempt was due, and when it was held while held.
	Since time.Time `db:"since"`
}

// EventState is an event as the log has it: what its workflow would know.
type EventState struct {
	Dispatch
	// Log is how each delivery stands, with its attempts.
	Log []webhook.DeliveryHistory
	// HeldAt is since when the held deliveries are.
	HeldAt map[webhook.DeliveryID]time.Time
}

// Settled reports whether no delivery needs a workflow.
func (s *EventState) Settled() bool {
	for i := range s.Log {
		if !s.Log[i].Status.Settled() {
			return false
		}
	}
	return true
}

// EventRef names an event of a tenant by the id that callers know.
type EventRef struct {
	TenantID string `db:"tenant_id"`
	EventID  string `db:"event_id"`
}

// Reconciliation finds what stands still although the log says that something is to come.
type Reconciliation interface {
	// ClaimReconciler makes holder, a UUID, the process that reconciles for the time of the lease, and reports whether it
	// is. A holder renews its own lease.
	ClaimReconciler(ctx context.Context, holder string, lease time.Duration) (bool, error)
	// SweepDeliveries looks for pending deliveries that are older than after, limit at a time, so that StalledDeliveries
	// finds them, and reports whether there may be more to look at.
	SweepDeliveries(ctx context.Context, after time.Duration, limit int) (more bool, err error)
	// StalledDeliveries lists the deliveries that are stalled, longest first, from the one after after.
	StalledDeliveries(ctx context.Context, rule StallRule, after Stalled, limit int) ([]Stalled, error)
	// CountStalled counts what StalledDeliveries lists, up to 10,000 that are overdue and as many that are held too long.
	CountStalled(ctx context.Context, rule StallRule) (int, error)
	// RecoverForgotten marks for recovery the endpoints that have held a delivery for longer than after although they are
	// enabled or deleted and no recovery is due, and returns them.
	RecoverForgotten(ctx context.Context, after time.Duration) ([]EndpointRef, error)
	// EventState returns an event as the log has it, with today's retry policies; CodeNotFound when it is not stored.
	EventState(ctx context.Context, key webhook.EventKey) (*EventState, error)
	// UnknownEvents returns those of the events that are not stored.
	UnknownEvents(ctx context.Context, events []EventRef) ([]EventRef, error)
}

// Partitions keeps room for what is to come.
type Partitions interface {
	// EnsurePartitions creates the partitions that are due and missing.
	EnsurePartitions(ctx context.Context) error
}
