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
	// Tries counts the starts that failed for a fault of the event's own.
	Tries int
	// Fault says why the event cannot be dispatched as the database has it; nil when it can.
	Fault error
}

// DispatchDelivery is one delivery of a Dispatch.
type DispatchDelivery struct {
	ID         webhook.DeliveryID
	EndpointID webhook.EndpointID
	// Retry is the endpoint's own; nil where the tenant's or the dialect's holds.
	Retry *webhook.RetryPolicy
}

// Release gives an event back whose workflow was not started. Any process may claim it again after After.
type Release struct {
	EventKey webhook.EventKey
	After    time.Duration
	// Error is the fault of the event's own that the start failed for, at most 500 bytes without control characters, and counts
	// one more of its Tries. It is "" when the event is not to blame.
	Error string
	// SetAside means that nobody claims the event any more before RetryDispatch. After is ignored.
	SetAside bool
}

// SetAside is an event that could not be dispatched for a fault of its own, and that is not tried any more.
type SetAside struct {
	EventKey  webhook.EventKey `db:"event_key"`
	TenantID  string           `db:"tenant_id"`
	EventID   string           `db:"event_id"`
	EventType string           `db:"event_type"`
	Tries     int              `db:"tries"`
	// Error is that of the last try.
	Error string `db:"error"`
	// At is when it was set aside; nil after RetryDispatch.
	At *time.Time `db:"set_aside_at"`
}

// Dispatches keeps the events whose workflow is not known to have started.
type Dispatches interface {
	// ClaimDispatches takes up to limit events whose lease is over, for longest first, and leases them. Claims of several
	// processes never overlap.
	ClaimDispatches(ctx context.Context, limit int, lease time.Duration) ([]Dispatch, error)
	// DeleteDispatches forgets events whose workflow has started.
	DeleteDispatches(ctx context.Context, keys []webhook.EventKey) error
	// ReleaseDispatches ends the leases of events whose workflow was not started, each after its time, so that any process
	// may claim them then. It sets those aside that say so.
	ReleaseDispatches(ctx context.Context, releases []Release) error
	// CountDispatches returns how many events wait for their workflow to start, most at most: at least those that were
	// accepted before the call and not deleted. Events that are set aside are among them.
	CountDispatches(ctx context.Context, most int) (int, error)
	// SetAsideDispatches lists the events that are set aside, oldest first. Page.After is an event key.
	SetAsideDispatches(ctx context.Context, page Page) ([]SetAside, error)
	// CountSetAside returns how many events are set aside, most at most.
	CountSetAside(ctx context.Context, most int) (int, error)
	// RetryDispatch lets an event that is set aside be claimed again, at once and with all its tries, and returns it.
	// CodeNotFound: it is not set aside.
	RetryDispatch(ctx context.Context, key webhook.EventKey) (*SetAside, error)
	// ForgetLostDispatches deletes the dispatches that are set aside and whose events retention removed.
	ForgetLostDispatches(ctx context.Context) error
}
