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
	ClaimDispatches(ctx context.Context, c store.DispatchClaim) (events []store.Dispatch, last string, err error)
	DeleteDispatches(ctx context.Context, keys []webhook.EventKey) error
	ReleaseDispatches(ctx context.Context, releases []store.Release) error
}

// Counter is what the backlog needs of store.Dispatches.
type Counter interface {
	CountDispatches(ctx context.Context, each int) (*store.Backlog, error)
}

// UpkeepStore is what the upkeep needs of the store.
type UpkeepStore interface {
	store.Partitions
	QueuesToWake(ctx context.Context, after webhook.EndpointID, limit int) ([]store.EndpointRef, error)
	AdoptHeld(ctx context.Context, limit int) ([]store.AdoptedDelivery, error)
	ExpireHeld(ctx context.Context, holds map[string]time.Duration, at time.Time, limit int) (more bool, err error)
	CountSetAside(ctx context.Context, most int) (int, error)
	ForgetLostDispatches(ctx context.Context) error
	store.OnceKeys
	store.EndedSecrets
	TrimQuarantine(ctx context.Context) (int, error)
	CompactStats(ctx context.Context, keep time.Duration, limit int) (more bool, err error)
	store.Certificates
	OldSeals(ctx context.Context) (map[string]int, error)
	Retain(ctx context.Context, rule store.RetentionRule) ([]store.Expired, error)
	FinishErasedEvents(ctx context.Context, after time.Duration, limit int) (more bool, err error)
	OpenErasures(ctx context.Context, limit int) ([]string, error)
}

// Starter is what the dispatcher needs of the engine.
type Starter interface {
	Start(ctx context.Context, in *workflows.EventDeliveryInput) error
}

// QueueWaker is what the upkeep needs of the engine.
type QueueWaker interface {
	WakeQueue(ctx context.Context, tenant string, endpoint webhook.EndpointID) error
}

// Teller is what the upkeep needs of the engine besides.
type Teller interface {
	QueueWaker
	StartErasure(ctx context.Context, tenant string) error
	TellHandedOver(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID) error
}

// ReconcilerLog is what the reconciler needs of the store.
type ReconcilerLog interface {
	store.Reconciliation
	OverdueQueues(ctx context.Context, after time.Duration, from webhook.EndpointID, limit int) ([]store.EndpointRef, error)
	FailingEndpoints(ctx context.Context, after time.Duration, from webhook.EndpointID, limit int) ([]store.FailingEndpoint, error)
}

// NoticeStore is what Notices needs of store.Notices.
type NoticeStore interface {
	ClaimNotices(ctx context.Context, silent []string, lease time.Duration, limit int) ([]store.EndpointRef, error)
	ReleaseNotices(ctx context.Context, endpoints []webhook.EndpointID) error
	NoteWorking(ctx context.Context, limit int) (int, error)
	ForgetNotices(ctx context.Context, silent []string, after time.Duration, limit int) (int, error)
}

// NoticeWaker is what Notices needs of the engine.
type NoticeWaker interface {
	WakeNotices(ctx context.Context, tenant string, endpoint webhook.EndpointID) error
}

// Restarter is what the reconciler needs of the engine.
type Restarter interface {
	QueueWaker
	IsQueueRunning(ctx context.Context, tenant string, endpoint webhook.EndpointID) (bool, error)
	DisableFailing(ctx context.Context, tenant string, id webhook.EndpointID, rule *webhook.AutoDisable, at time.Time) (*webhook.Endpoint, error)
	IsRunning(ctx context.Context, tenant, eventID string) (bool, error)
	Restart(ctx context.Context, in *workflows.EventDeliveryInput) error
	RunningEvents(ctx context.Context, before time.Time, token []byte) (events []store.EventRef, next []byte, err error)
}
