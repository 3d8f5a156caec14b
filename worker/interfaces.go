package worker

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// Dispatches is what the dispatcher and the relay need of store.Dispatches.
type Dispatches interface {
	ClaimDispatches(ctx context.Context, limit int, lease time.Duration) ([]store.Dispatch, error)
	DeleteDispatches(ctx context.Context, keys []webhook.EventKey) error
	ReleaseDispatches(ctx context.Context, releases []store.Release) error
}

// Counter is what the backlog needs of store.Dispatches.
type Counter interface {
	CountDispatches(ctx context.Context, most int) (int, error)
}

// Maintained is what the upkeep needs of the store.
type Maintained interface {
	store.Partitions
	EndpointsToRecover(ctx context.Context, after webhook.EndpointID, limit int) ([]store.EndpointRef, error)
	CountSetAside(ctx context.Context, most int) (int, error)
	ForgetLostDispatches(ctx context.Context) error
	TrimQuarantine(ctx context.Context) (int, error)
}

// Starter starts the workflow of an event; that it was started before is no error. CodeInvalid: the event itself is refused, and
// would be again.
type Starter interface {
	Start(ctx context.Context, in *workflows.EventDeliveryInput) error
}

// RecoveryStarter starts the recovery of an endpoint; that one runs already is no error.
type RecoveryStarter interface {
	StartRecovery(ctx context.Context, tenant string, endpoint webhook.EndpointID) error
}

// Restarter is what the reconciler needs of the engine.
type Restarter interface {
	// Lives reports whether an event's workflow is there and not closed.
	Lives(ctx context.Context, tenant, eventID string) (bool, error)
	// Restart starts the workflow of an event anew; one that lives stays as it is.
	Restart(ctx context.Context, in *workflows.EventDeliveryInput) error
	// WakeDelivery tells an event's workflow that its endpoint is enabled. CodeNotFound: none lives.
	WakeDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID) error
	// LivingEvents lists the events whose workflows were started before a moment and live, page by page, from token on; nil for
	// the first page, and in the answer after the last one. CodeInvalid: the token is not known any more.
	LivingEvents(ctx context.Context, before time.Time, token []byte) (events []store.EventRef, next []byte, err error)
}
