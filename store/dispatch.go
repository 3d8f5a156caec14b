package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// Dispatch is an accepted event whose workflow must be started: ids and retry policies, nothing else.
type Dispatch struct {
	EventKey  webhook.EventKey
	TenantID  string
	EventID   string
	EventType string
	// Dialect and Retry are the tenant's; Retry is nil where the dialect's policy holds.
	Dialect string
	Retry   *webhook.RetryPolicy
	// Express is the tenant's setting.
	Express bool
	// Traceparent is the event's; "": it is in no trace.
	Traceparent webhook.Traceparent
	Deliveries  []DispatchDelivery
	// Tries counts the starts that failed because of the event itself.
	Tries int
	// Fault says what is wrong with the event as stored, so that it cannot be dispatched; nil: nothing.
	Fault error
}

// DispatchClaim says which events to lease.
type DispatchClaim struct {
	// Limit is how many at most.
	Limit int
	Lease time.Duration
	// After is the tenant whose turn was last in the claim before; "": the first tenant's turn is next.
	After string
	// Without are tenants that have no turn.
	Without []string
	// ExpressOnly leaves out the tenants that do not have the setting Express.
	ExpressOnly bool
}

// MaxCountedTenants bounds Backlog.Of.
const MaxCountedTenants = 1000

// Backlog is how many events wait for their workflow to start: in all, and of the tenants that have most, at most MaxCountedTenants of
// them.
type Backlog struct {
	All int
	Of  map[string]int
}

// DispatchDelivery is one delivery of a Dispatch.
type DispatchDelivery struct {
	ID         webhook.DeliveryID
	EndpointID webhook.EndpointID
	// Retry is the endpoint's own; nil where the tenant's or the dialect's holds.
	Retry *webhook.RetryPolicy
}

// Release gives back an event whose workflow was not started. Any process may claim it again after the delay After.
type Release struct {
	EventKey webhook.EventKey
	After    time.Duration
	// Error says why the start failed because of the event itself, in at most 500 bytes without control characters. It adds
	// one to Tries. It is "" when the event is not the cause.
	Error string
	// SetAside means that the event is not claimed until RetryDispatch. After is then ignored.
	SetAside bool
}

// SetAside is an event that could not be dispatched because of the event itself and is not tried any more.
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
	// ClaimDispatches leases events whose lease has expired. Tenants take turns, and of each the longest expired go first. Claims of
	// several processes never overlap. last is the tenant whose turn was last; "": all have had their turn.
	ClaimDispatches(ctx context.Context, c DispatchClaim) (events []Dispatch, last string, err error)
	// DeleteDispatches forgets events whose workflow has started.
	DeleteDispatches(ctx context.Context, keys []webhook.EventKey) error
	// ReleaseDispatches ends the leases of events whose workflow was not started, each after its delay, so that any process
	// may claim them then. It sets aside those with SetAside.
	ReleaseDispatches(ctx context.Context, releases []Release) error
	// CountDispatches returns how many events wait for their workflow to start, each tenant's counted up to each. It includes all that
	// were accepted before the call and not deleted, and those that are set aside.
	CountDispatches(ctx context.Context, each int) (*Backlog, error)
	// SetAsideDispatches lists the events that are set aside, oldest first. Page.After is an event key.
	SetAsideDispatches(ctx context.Context, page Page) ([]SetAside, error)
	// CountSetAside returns how many events are set aside, counted up to most.
	CountSetAside(ctx context.Context, most int) (int, error)
	// RetryDispatch lets an event that is set aside be claimed again, at once and with all its tries, and returns it.
	// CodeNotFound: it is not set aside.
	RetryDispatch(ctx context.Context, key webhook.EventKey) (*SetAside, error)
	// ForgetLostDispatches deletes the dispatches that are set aside and whose events retention removed.
	ForgetLostDispatches(ctx context.Context) error
}
