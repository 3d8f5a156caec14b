package activities

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// Store is what the activities need of package store.
type Store interface {
	store.Attempts
	HoldDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, at time.Time) (*webhook.Delivery, error)
	CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error)
	Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error)

	Endpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error)
	HeldDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, after webhook.DeliveryID, limit int) ([]store.HeldDelivery, error)
	ReleaseDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, ids []webhook.DeliveryID, at time.Time) error
	CancelDeliveriesOfDeleted(ctx context.Context, tenant string, endpoint webhook.EndpointID, reason string, at time.Time, limit int) ([]store.HeldDelivery, bool, error)
	RecoveryDone(ctx context.Context, tenant string, endpoint webhook.EndpointID, version int64) error
}

// Engine is what the activities need of the engine.
type Engine interface {
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error)
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error)
	TellCanceled(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error
	WakeDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID) error
}
