package activities

import (
	"context"
	"time"

	"waybill/webhook"
)

// Store is what the activities need of the database. Every method may answer CodeUnavailable.
type Store interface {
	// Sending reads, for each attempt anew, how delivery, endpoint and tenant stand now. CodeNotFound: the delivery or
	// its event is not there.
	Sending(ctx context.Context, in webhook.Target) (*webhook.Sending, error)
	// RecordAttempt stores the attempt and its delivery's new state, and returns the delivery as it stands after the
	// commit. A delivery that was canceled meanwhile stays canceled unless the attempt delivered it; an attempt whose
	// number is recorded already changes nothing.
	RecordAttempt(ctx context.Context, r *webhook.Record) (*webhook.Delivery, error)
	// RecordedAttempt returns an attempt by its number; CodeNotFound when there is none.
	RecordedAttempt(ctx context.Context, delivery webhook.DeliveryID, number int) (*webhook.AttemptSummary, error)
	// HoldDelivery makes an unsettled delivery held, but only while its endpoint is disabled, and returns the delivery as
	// it stands after the commit.
	HoldDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, at time.Time) (*webhook.Delivery, error)
	// CancelDelivery answers CodeConflict when the delivery is settled.
	CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error)
	Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error)
	// DisableEndpoint and EnableEndpoint report whether anything changed.
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, reason string, at time.Time) (*webhook.Endpoint, bool, error)
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) (*webhook.Endpoint, bool, error)

	// Endpoint answers CodeNotFound for a deleted endpoint too.
	Endpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error)
	// HeldDeliveries lists an endpoint's held deliveries by id.
	HeldDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, after webhook.DeliveryID, limit int) ([]webhook.HeldDelivery, error)
	// ReleaseDeliveries makes held deliveries pending, or retrying where an attempt was made, unless the endpoint is
	// disabled again.
	ReleaseDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, ids []webhook.DeliveryID, at time.Time) error
	// RecoveryDone clears the mark that EnableEndpoint set, if the endpoint has not changed since version.
	RecoveryDone(ctx context.Context, tenant string, endpoint webhook.EndpointID, version int64) error
}

// Engine is what the activities need of the running workflows.
type Engine interface {
	// EndpointDisabled and EndpointEnabled tell the running workflows in the background; they never fail the call.
	EndpointDisabled(tenant string, id webhook.EndpointID, reason string)
	EndpointEnabled(tenant string, id webhook.EndpointID)
	// WakeDelivery tells an event's workflow that the endpoint is enabled. CodeNotFound: no such workflow runs.
	WakeDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID) error
}
