package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// Target identifies the delivery and the endpoint of an attempt.
type Target struct {
	Tenant     string
	EventKey   webhook.EventKey
	DeliveryID webhook.DeliveryID
	EndpointID webhook.EndpointID
}

// Sending is all that an attempt depends on, as the database has it at this moment. The pointers may be shared with
// other attempts: read only. Of a settled delivery, which nothing is sent for, all but Delivery may be missing.
type Sending struct {
	Delivery webhook.Delivery
	// Deleted says that the endpoint was deleted. Endpoint is then nil.
	Deleted  bool
	Endpoint *webhook.Endpoint
	Tenant   *webhook.Tenant
	// Keys are the endpoint's, or the tenant's where the dialect says so.
	Keys webhook.SigningKeys
	Body webhook.Body
	// Traceparent is the event's; "": it is in no trace.
	Traceparent webhook.Traceparent
}

// Record is an attempt that was made, and its delivery's new state.
type Record struct {
	TenantID string
	Attempt  webhook.Attempt
	// Status is the verdict: delivered, retrying or exhausted.
	Status webhook.Status
	// NextAttemptAt is set while retrying.
	NextAttemptAt *time.Time
	At            time.Time
	// Queued says that the endpoint's queue made the attempt, and Uncounted that its retry policy does not count it.
	Queued, Uncounted bool
	// Holder is whose lease the attempt of the queue was made under; "": that is not looked at.
	Holder string
	// AutoDisable is the rule in force for the endpoint; nil: none.
	AutoDisable *webhook.AutoDisable
}

// Recorded is a delivery after the commit of an attempt.
type Recorded struct {
	webhook.Delivery
	// Streak is the endpoint's after a failed attempt; nil after a success and after a test.
	Streak *webhook.Streak
	// Settled says that this attempt settled the delivery: it was not, or it was not delivered.
	Settled bool
}

// Attempts is what an attempt reads before it sends and writes afterwards.
type Attempts interface {
	// Sending reads the state of delivery, endpoint and tenant at a moment after the call began. It must be called for each
	// attempt. CodeNotFound: the tenant has no such delivery, or its event is gone.
	Sending(ctx context.Context, in Target) (*Sending, error)
	// RecordAttempt stores the attempt and its delivery's new state, and returns the delivery as it is after the commit. A
	// delivery that was canceled in the meantime stays canceled unless the attempt delivered it; an attempt whose number is
	// not above the delivery's changes nothing. An attempt of the event's workflow that ends after the delivery went to the queue
	// is counted and may deliver it, but leaves its status and schedule otherwise. So does one of the queue whose lease has ended and
	// whose delivery was leased by another, held or opened again since.
	RecordAttempt(ctx context.Context, r *Record) (*Recorded, error)
	// RecordedAttempts returns a delivery's attempts from a number on, in order.
	RecordedAttempts(ctx context.Context, delivery webhook.DeliveryID, from int) ([]webhook.AttemptSummary, error)
}
