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
	// Holds is how long each dialect holds a delivery. A dialect that holds without limit is left out.
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

// EventState is the state of an event in the log, from which its workflow can be restarted.
type EventState struct {
	Dispatch
	// Log has the state and the attempts of each delivery.
	Log []webhook.DeliveryHistory
	// HeldAt says since when each held delivery has been held that the workflow owns.
	HeldAt map[webhook.DeliveryID]time.Time
	// Queued are the deliveries that belong to their endpoint's queue.
	Queued map[webhook.DeliveryID]bool
}

// Settled reports whether no delivery needs a workflow: each is settled, or belongs to its endpoint's queue.
func (s *EventState) Settled() bool {
	for i := range s.Log {
		if d := &s.Log[i]; !d.Status.Settled() && !s.Queued[d.ID] {
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

// Reconciliation finds stalled deliveries and events whose workflow is lost.
type Reconciliation interface {
	// ClaimReconciler gives holder, a UUID, the right to reconcile for the time of the lease, and reports whether it has
	// it. A holder can renew its own lease, and a lease of 0 gives it back.
	ClaimReconciler(ctx context.Context, holder string, lease time.Duration) (bool, error)
	// SweepDeliveries looks through pending deliveries that are older than after, limit at a time, so that
	// StalledDeliveries finds them. It reports whether there may be more.
	SweepDeliveries(ctx context.Context, after time.Duration, limit int) (more bool, err error)
	// StalledDeliveries lists the deliveries that are stalled, longest overdue first, from the one after after.
	StalledDeliveries(ctx context.Context, rule StallRule, after Stalled, limit int) ([]Stalled, error)
	// CountStalled counts what StalledDeliveries lists, up to 10,000 that are overdue and as many that are held too long.
	CountStalled(ctx context.Context, rule StallRule) (int, error)
	// EventState returns an event as the log has it, with today's retry policies; CodeNotFound when it is not stored.
	EventState(ctx context.Context, key webhook.EventKey) (*EventState, error)
	// UnknownEvents returns those of the events that are not stored.
	UnknownEvents(ctx context.Context, events []EventRef) ([]EventRef, error)
}

// Partitions creates partitions ahead of time.
type Partitions interface {
	// EnsurePartitions creates the missing partitions of this month and the next ones. CodeUnavailable: a table is locked;
	// call it again. Without an error it may leave a partition that another process is at to the next call.
	EnsurePartitions(ctx context.Context) error
}
