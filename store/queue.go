package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// Queued is a delivery that its endpoint's queue leased, so that the holder of the lease makes its next attempt.
type Queued struct {
	ID        webhook.DeliveryID `db:"id"`
	EventKey  webhook.EventKey   `db:"event_key"`
	EventID   string             `db:"event_id"`
	EventType string             `db:"event_type"`
	// Attempts is how many attempts were recorded, and Uncounted how many of them the retry policy does not count.
	Attempts  int `db:"attempts"`
	Uncounted int `db:"uncounted"`
	// Asked says that a person asked for the next attempt.
	Asked bool `db:"asked"`
	// Scheduled says that the delivery is here by its own schedule, and not because it was held, opened again or recovered: there is no
	// more of it than the receiver was sent anyway.
	Scheduled bool `db:"scheduled"`
}

// QueueState is what waits in an endpoint's queue.
type QueueState struct {
	// Deleted and Disabled say why the queue does not send.
	Deleted, Disabled bool
	// Version is the endpoint's, for QueueWoken.
	Version int64
	// Waiting is how many deliveries the queue owns, counted up to what was asked for.
	Waiting int
	// DueIn is how long until the first may be attempted, by the database's clock, 0 when one is due; nil when none waits. A
	// leased delivery is due when its lease ends.
	DueIn *time.Duration
	// Recovering says that a recovery of the endpoint is running, or was canceled and is still being taken out of the queue.
	Recovering bool
	// Leased says that the endpoint is disabled and somebody holds a lease that has not ended, so that the record of an attempt may
	// follow.
	Leased bool
}

// Queues keeps what waits for an endpoint and belongs to no event's workflow (design, section 3, "Two owners"): deliveries that
// are held, and those that were opened again. What waits is due at a moment; a lease moves that moment to its own end, so that
// what a dead process leased is due again by itself.
type Queues interface {
	// ClaimQueued leases up to limit due deliveries of an endpoint to holder, a UUID, the longest due first. Claims never
	// overlap. It claims nothing while the endpoint is disabled or deleted. A claimed delivery that was held is pending or
	// retrying again.
	ClaimQueued(ctx context.Context, tenant string, endpoint webhook.EndpointID, holder string, lease time.Duration, limit int) ([]Queued, error)
	// RenewQueued moves the ends of leases that holder still has: the attempts are under way.
	RenewQueued(ctx context.Context, holder string, ids []webhook.DeliveryID, lease time.Duration) error
	// ReleaseQueued ends the leases of deliveries that holder did not attempt. They are due at once.
	ReleaseQueued(ctx context.Context, holder string, ids []webhook.DeliveryID) error
	// PostponeQueued ends the leases of deliveries that holder could not attempt because of a fault of ours. Each is due again after as
	// long as it has not changed, at least least and at most most, so that the pause grows with every try.
	PostponeQueued(ctx context.Context, holder string, ids []webhook.DeliveryID, least, most time.Duration) error
	// QueueDelivery gives a delivery that was never attempted to its endpoint's queue, due after the time, by the database's clock.
	// queued: it did. A test, one that is settled, held, queued or attempted already, and one that the tenant does not have, is left as it is.
	QueueDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, after time.Duration) (queued bool, err error)
	// QueueState counts what waits up to most. It works for deleted endpoints too. CodeNotFound: the tenant never had the endpoint.
	QueueState(ctx context.Context, tenant string, endpoint webhook.EndpointID, most int) (*QueueState, error)
	// HoldQueued makes held what waits in the queue of a disabled endpoint and is not leased, limit at a time. more: call it again.
	HoldQueued(ctx context.Context, tenant string, endpoint webhook.EndpointID, at time.Time, limit int) (more bool, err error)
	// CancelDeliveriesOfDeleted cancels deliveries of a deleted endpoint that are held, queued or wait for their next attempt,
	// limit at a time, and returns those that an event's workflow owns. more: the call must be repeated, because others wait, or
	// because an attempt that began before the deletion may still be recorded.
	CancelDeliveriesOfDeleted(ctx context.Context, tenant string, endpoint webhook.EndpointID, reason string, at time.Time, limit int) (canceled []HeldDelivery, more bool, err error)

	// QueuesToWake lists, by id, the endpoints that were enabled, disabled or deleted and whose queue was not told, from the one
	// after after; zero for the first page.
	QueuesToWake(ctx context.Context, after webhook.EndpointID, limit int) ([]EndpointRef, error)
	// QueueWoken says that the queue knows of the endpoint's state at version. A deleted endpoint cannot change, so any version
	// counts.
	QueueWoken(ctx context.Context, tenant string, endpoint webhook.EndpointID, version int64) error
	// OverdueQueues lists, by id, the endpoints whose queue should have attempted a delivery, or gone on with a recovery, longer
	// than after ago, from the one after from: no queue works on them. Disabled endpoints are left out.
	OverdueQueues(ctx context.Context, after time.Duration, from webhook.EndpointID, limit int) ([]EndpointRef, error)

	// ReopenDelivery opens a settled delivery again and puts it into its endpoint's queue, due at once, with the whole retry policy
	// (design, section 3, "Settled is not final"). One that the queue owns already is due at once; one that is being attempted is
	// left as it is. CodeConflict: the endpoint is disabled or deleted, the event is no longer stored, the delivery is a test, it
	// has webhook.MaxAttempts, or it was delivered since the person saw it with another status. ErrOwnedByWorkflow: it is not settled
	// and its event's workflow owns it.
	ReopenDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, seen webhook.Status, at time.Time) (*webhook.Delivery, error)
	// AdoptHeld gives held deliveries to the queue that a process of an earlier version left to the workflow, limit at a time, and
	// returns them, so that their workflows can be told.
	AdoptHeld(ctx context.Context, limit int) ([]AdoptedDelivery, error)
	// ExpireHeld cancels deliveries that are held for longer than their dialect's hold time, limit at a time. Dialects that hold
	// without limit are left out of holds.
	ExpireHeld(ctx context.Context, holds map[string]time.Duration, at time.Time, limit int) (more bool, err error)
}

// AdoptedDelivery is a delivery whose event's workflow still takes it for its own.
type AdoptedDelivery struct {
	TenantID   string             `db:"tenant_id"`
	EventID    string             `db:"event_id"`
	EndpointID webhook.EndpointID `db:"endpoint_id"`
}

// ErrOwnedByWorkflow says that a delivery must be told through its event's workflow.
var ErrOwnedByWorkflow = webhook.Errorf(webhook.CodeConflict, "the delivery's workflow makes its attempts")
