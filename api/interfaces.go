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
	store.Events
	LogStore
	DispatchStore
	QuarantineStore
	store.Health
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

// EndpointStore is what the API needs of store.Endpoints; disabling and enabling goes by the engine.
type EndpointStore interface {
	CreateEndpoint(ctx context.Context, e *webhook.Endpoint, secret webhook.Secret, limit int) error
	Endpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error)
	Endpoints(ctx context.Context, tenant string, page store.Page) ([]webhook.Endpoint, error)
	UpdateEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change func(*webhook.Endpoint) error) (*webhook.Endpoint, error)
	EndpointSecret(ctx context.Context, tenant string, id webhook.EndpointID) (webhook.Secret, error)
}

// LogStore is what the API needs of store.Deliveries.
type LogStore interface {
	Deliveries(ctx context.Context, tenant string, f store.DeliveryFilter) ([]webhook.Delivery, error)
	Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error)
	CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error)
	Attempts(ctx context.Context, tenant string, delivery webhook.DeliveryID, page store.Page) ([]webhook.Attempt, error)
	Attempt(ctx context.Context, tenant string, id webhook.AttemptID) (*webhook.Attempt, error)
}

// Backlog bounds how many accepted events wait to be dispatched.
type Backlog interface {
	// Admit makes room for events that are about to be stored, or answers CodeBacklogFull, or CodeUnavailable when that
	// cannot be told. Done has to follow.
	Admit(events int) error
	// Done says that the store has answered for events that were admitted, and how many of them wait to be dispatched now.
	Done(admitted, waiting int)
}

// Engine is what the API needs of package engine.
type Engine interface {
	History(ctx context.Context, tenant, eventID string) (*webhook.History, error)
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, reason string, at time.Time) (*webhook.Endpoint, error)
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) (*webhook.Endpoint, error)
	DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) error
	RetryNow(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error
	CancelDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error
	Ready(ctx context.Context) error
}
