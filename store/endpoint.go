package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// EndpointRef names an endpoint of a tenant.
type EndpointRef struct {
	TenantID string             `db:"tenant_id"`
	ID       webhook.EndpointID `db:"id"`
}

// Endpoints keeps endpoints. One that was deleted is CodeNotFound.
type Endpoints interface {
	// CreateEndpoint answers CodeConflict when the tenant has limit endpoints already; 0 is no limit. A zero secret means
	// that the tenant's signs.
	CreateEndpoint(ctx context.Context, e *webhook.Endpoint, secret webhook.Secret, limit int) error
	Endpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error)
	// Endpoints lists a tenant's endpoints by id. Page.After is an id.
	Endpoints(ctx context.Context, tenant string, page Page) ([]webhook.Endpoint, error)
	// UpdateEndpoint applies change while nobody else can change the endpoint. An error of change is returned as it is and
	// nothing is stored. What DisableEndpoint and EnableEndpoint set stays as it is.
	UpdateEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change func(*webhook.Endpoint) error) (*webhook.Endpoint, error)
	// DisableEndpoint makes an endpoint send nothing from now on and reports whether anything changed: one that is disabled
	// keeps its first reason and time.
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, reason string, at time.Time) (*webhook.Endpoint, bool, error)
	// EnableEndpoint lets an endpoint send again and reports whether anything changed. It marks the endpoint for recovery:
	// EndpointsToRecover lists it until RecoveryDone.
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) (*webhook.Endpoint, bool, error)
	// DeleteEndpoint forgets URL, headers and secret, and marks the endpoint for recovery: what waits for it is to be canceled.
	DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) error
	// EndpointSecret returns the endpoint's own signing secret, the zero secret when the tenant's signs.
	EndpointSecret(ctx context.Context, tenant string, id webhook.EndpointID) (webhook.Secret, error)
}

// HeldDelivery names a delivery to wake, or one that was canceled and whose workflow is to be told.
type HeldDelivery struct {
	ID      webhook.DeliveryID `db:"id"`
	EventID string             `db:"event_id"`
}

// Recoveries wakes what endpoints hold that were enabled or deleted.
type Recoveries interface {
	// EndpointsToRecover lists endpoints by id that were enabled or deleted and whose held deliveries are still to be woken,
	// from the one after after; zero for the first page.
	EndpointsToRecover(ctx context.Context, after webhook.EndpointID, limit int) ([]EndpointRef, error)
	// HeldDeliveries lists an endpoint's held deliveries by id, from the one after after; zero for the first page. The
	// endpoint may be deleted.
	HeldDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, after webhook.DeliveryID, limit int) ([]HeldDelivery, error)
	// ReleaseDeliveries makes held deliveries pending, or retrying where an attempt was made, unless the endpoint is disabled
	// again. Their next attempt is due at once. Those that are not held, or not of this endpoint, stay as they are.
	ReleaseDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, ids []webhook.DeliveryID, at time.Time) error
	// CancelDeliveriesOfDeleted cancels what waits for a deleted endpoint, held or for its next attempt, limit deliveries at a
	// time, and returns them. more: the call is to be repeated, because others wait, or because an attempt that began before the
	// deletion may be recorded at this moment.
	CancelDeliveriesOfDeleted(ctx context.Context, tenant string, endpoint webhook.EndpointID, reason string, at time.Time, limit int) (canceled []HeldDelivery, more bool, err error)
	// RecoveryDone ends what EnableEndpoint and DeleteEndpoint asked for, if the endpoint has not changed since version. A deleted
	// endpoint changes no more, so any version will do.
	RecoveryDone(ctx context.Context, tenant string, endpoint webhook.EndpointID, version int64) error
}
