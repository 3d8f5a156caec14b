package api

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// Store is what the API needs of package store.
type Store interface {
	store.Tenants
	EndpointStore
	store.Keys
	store.Repetitions
	store.Sessions
	store.EventTypes
	store.PublicKeys
	store.Secrets
	store.Events
	LogStore
	RecoveryStore
	StatsStore
	DispatchStore
	QuarantineStore
	store.Audits
	ErasureStore
	store.Health
}

// ErasureStore is what the API needs of store.Erasures.
type ErasureStore interface {
	EraseEvent(ctx context.Context, tenant, eventID string, at time.Time) (*store.ErasedEvent, error)
	BeginErasure(ctx context.Context, tenant string, at time.Time) (*store.Erasure, error)
	TenantErasure(ctx context.Context, tenant string) (*store.Erasure, error)
}

// QuarantineStore is what the API needs of store.Quarantine.
type QuarantineStore interface {
	QuarantinedRows(ctx context.Context, page store.Page) ([]store.QuarantinedRow, error)
	QuarantinedRow(ctx context.Context, position int64) (*store.QuarantinedRow, error)
	RetryQuarantined(ctx context.Context, position int64) error
	DeleteQuarantined(ctx context.Context, position int64) error
}

// DispatchStore is what the API needs of store.Dispatches.
type DispatchStore interface {
	SetAsideDispatches(ctx context.Context, page store.Page) ([]store.SetAside, error)
	RetryDispatch(ctx context.Context, key webhook.EventKey) (*store.SetAside, error)
}

// EndpointStore is what the API needs of store.Endpoints; the engine disables, enables and deletes.
type EndpointStore interface {
	CreateEndpoint(ctx context.Context, e *webhook.Endpoint, secret webhook.Secret, limit int, once *store.Once) error
	Endpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error)
	Endpoints(ctx context.Context, tenant string, f store.EndpointFilter) (*store.Part[webhook.Endpoint], error)
	EndpointsWithin(ctx context.Context, tenant string, within webhook.Confinement) ([]webhook.EndpointID, error)
	UpdateEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change func(*webhook.Endpoint) error) (*webhook.Endpoint, error)
	EndpointSecret(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.SigningKeys, error)
}

// LogStore is what the API needs of store.Deliveries and store.Queues.
type LogStore interface {
	Deliveries(ctx context.Context, tenant string, f store.DeliveryFilter) (*store.Part[webhook.Delivery], error)
	Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error)
	CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error)
	ReopenDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, seen webhook.Status, at time.Time) (*webhook.Delivery, error)
	Attempts(ctx context.Context, tenant string, delivery webhook.DeliveryID, page store.Page) ([]webhook.Attempt, error)
	Attempt(ctx context.Context, tenant string, id webhook.AttemptID) (*store.SentAttempt, error)
}

// RecoveryStore is what the API needs of store.Recoveries.
type RecoveryStore interface {
	CountRecovery(ctx context.Context, r *webhook.Recovery) (*store.RecoveryCount, error)
	CreateRecovery(ctx context.Context, r *webhook.Recovery, once *store.Once) error
	Recovery(ctx context.Context, tenant string, id webhook.RecoveryID) (*webhook.Recovery, error)
	Recoveries(ctx context.Context, tenant string, f store.RecoveryFilter) ([]webhook.Recovery, error)
	CancelRecovery(ctx context.Context, tenant string, id webhook.RecoveryID, at time.Time) (*webhook.Recovery, error)
}

// StatsStore is what the API needs of store.Stats.
type StatsStore interface {
	Stats(ctx context.Context, of store.StatsOf, since time.Time, span time.Duration) ([]store.StatsCell, error)
	EndpointStats(ctx context.Context, tenant string, endpoints []webhook.EndpointID, since time.Time, span time.Duration) (map[webhook.EndpointID]*store.EndpointStats, error)
	CountUnsettled(ctx context.Context, of store.StatsOf) (store.Unsettled, error)
}

// Backlog bounds how many accepted events wait to be dispatched.
type Backlog interface {
	// Admit reserves room for a tenant's events that are about to be stored. CodeBacklogFull: there is none for this tenant.
	// CodeUnavailable: it cannot be told. The caller must call Done afterwards.
	Admit(tenant string, events int) error
	// Done records the store's answer for admitted events: how many of them wait to be dispatched.
	Done(tenant string, admitted, waiting int)
	// Limit is how many events of one tenant may wait while nobody else's do; 0: no limit.
	Limit() int
}

// Engine is what the API needs of package engine.
type Engine interface {
	History(ctx context.Context, tenant, eventID string) (*webhook.History, error)
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error)
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, error)
	ChallengeEndpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Proof, error)
	VerifyEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, proof webhook.Proof) (*webhook.Endpoint, error)
	DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error
	RetryNow(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error
	CancelDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error
	WakeQueue(ctx context.Context, tenant string, endpoint webhook.EndpointID) error
	TellErased(ctx context.Context, tenant, eventID string) error
	StartErasure(ctx context.Context, tenant string) error
	Ready(ctx context.Context) error
}
