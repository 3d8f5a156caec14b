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
	QueueDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, after time.Duration) (queued bool, err error)
	HoldDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, at time.Time) (*webhook.Delivery, error)
	CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error)
	Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error)
	NoteRetry(ctx context.Context, tenant string, id webhook.DeliveryID, attempt int, reason string) error

	Receiver(ctx context.Context, tenant string, id webhook.EndpointID) (*store.Sending, error)

	CancelDeliveriesOfDeleted(ctx context.Context, tenant string, endpoint webhook.EndpointID, reason string, at time.Time, limit int) ([]store.HeldDelivery, bool, error)
}

// Queues is what a drain needs of store.Queues.
type Queues interface {
	ClaimQueued(ctx context.Context, tenant string, endpoint webhook.EndpointID, holder string, lease time.Duration, limit int) ([]store.Queued, error)
	RenewQueued(ctx context.Context, holder string, ids []webhook.DeliveryID, lease time.Duration) error
	ReleaseQueued(ctx context.Context, holder string, ids []webhook.DeliveryID) error
	PostponeQueued(ctx context.Context, holder string, ids []webhook.DeliveryID, least, most time.Duration) error
	QueueState(ctx context.Context, tenant string, endpoint webhook.EndpointID, most int) (*store.QueueState, error)
	HoldQueued(ctx context.Context, tenant string, endpoint webhook.EndpointID, at time.Time, limit int) (more bool, err error)
	QueueWoken(ctx context.Context, tenant string, endpoint webhook.EndpointID, version int64) error
}

// Recoveries is what a drain needs of store.Recoveries.
type Recoveries interface {
	AdvanceRecovery(ctx context.Context, tenant string, endpoint webhook.EndpointID, limit int) (sent int, next time.Duration, err error)
}

// Engine is what the activities need of the engine.
type Engine interface {
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error)
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error)
	DisableFailing(ctx context.Context, tenant string, id webhook.EndpointID, rule *webhook.AutoDisable, at time.Time) (*webhook.Endpoint, error)
	TellCanceled(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error
	WakeQueue(ctx context.Context, tenant string, endpoint webhook.EndpointID) error
	EndWorkflowsOf(ctx context.Context, tenant string, before time.Time) error
}
