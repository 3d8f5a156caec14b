package webhook

import "time"

// Target names what an attempt is about.
type Target struct {
	Tenant     string
	EventKey   EventKey
	DeliveryID DeliveryID
	EndpointID EndpointID
}

// Sending is all that an attempt depends on, as the database has it at this moment. The pointers may be shared with
// other attempts: read only.
type Sending struct {
	Delivery Delivery
	// Deleted says that the endpoint is gone; Endpoint is then nil.
	Deleted  bool
	Endpoint *Endpoint
	Tenant   *Tenant
	// Secret is the endpoint's, or the tenant's where the dialect says so.
	Secret Secret
	Body   Body
}

// Record is an attempt that was made, and what it makes of its delivery.
type Record struct {
	TenantID string
	Attempt  Attempt
	// Status is the verdict: delivered, retrying or exhausted.
	Status Status
	// NextAttemptAt is set while retrying.
	NextAttemptAt *time.Time
	At            time.Time
}

// HeldDelivery names a delivery to wake.
type HeldDelivery struct {
	ID      DeliveryID `db:"id"`
	EventID string     `db:"event_id"`
}
