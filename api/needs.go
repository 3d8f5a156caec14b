package api

import (
	"context"
	"time"

	"waybill/webhook"
)

// Store is what the API needs of the database. Every method may answer CodeUnavailable; methods that name a thing
// answer CodeNotFound when the tenant has none such.
type Store interface {
	TenantStore
	EndpointStore
	KeyStore
	LogStore
	// Accept stores the event and its deliveries and returns after the commit. CodeEventIDConflict: the caller's id was
	// used for another event.
	Accept(ctx context.Context, p *webhook.Publication) (*webhook.Receipt, error)
	Ping(ctx context.Context) error
}

// Backlog bounds how many accepted events wait to be dispatched.
type Backlog interface {
	// Admit makes room for events that are about to be stored, or answers CodeBacklogFull, or CodeUnavailable when that
	// cannot be told. Done has to follow.
	Admit(events int) error
	// Done says that the store has answered for events that were admitted, and how many of them wait to be dispatched now.
	Done(admitted, waiting int)
}

// TenantStore keeps tenants.
type TenantStore interface {
	// CreateTenant answers CodeConflict when the id is taken. A zero secret means that the tenant has none.
	CreateTenant(ctx context.Context, t *webhook.Tenant, secret webhook.Secret) error
	Tenant(ctx context.Context, id string) (*webhook.Tenant, error)
	Tenants(ctx context.Context, page webhook.Page) ([]webhook.Tenant, error)
	UpdateTenant(ctx context.Context, id string, change func(*webhook.Tenant) error) (*webhook.Tenant, error)
	TenantSecret(ctx context.Context, id string) (webhook.Secret, error)
}

// EndpointStore keeps endpoints.
type EndpointStore interface {
	// CreateEndpoint answers CodeConflict when the tenant has limit endpoints already; 0 is no limit.
	CreateEndpoint(ctx context.Context, e *webhook.Endpoint, secret webhook.Secret, limit int) error
	Endpoint(ctx context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error)
	Endpoints(ctx context.Context, tenant string, page webhook.Page) ([]webhook.Endpoint, error)
	UpdateEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change func(*webhook.Endpoint) error) (*webhook.Endpoint, error)
	// DisableEndpoint and EnableEndpoint report whether anything changed.
	DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, reason string, at time.Time) (*webhook.Endpoint, bool, error)
	EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) (*webhook.Endpoint, bool, error)
	DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) error
	EndpointSecret(ctx context.Context, tenant string, id webhook.EndpointID) (webhook.Secret, error)
}

// KeyStore keeps API keys by the SHA-256 of their text.
type KeyStore interface {
	CreateAPIKey(ctx context.Context, k *webhook.APIKey, hash []byte) error
	APIKeys(ctx context.Context, tenant string, page webhook.Page) ([]webhook.APIKey, error)
	RevokeAPIKey(ctx context.Context, tenant string, id webhook.KeyID, at time.Time) error
	// APIKeyByHash answers CodeUnauthorized for an unknown or revoked key.
	APIKeyByHash(ctx context.Context, hash []byte) (*webhook.APIKey, error)
}

// LogStore is the delivery log.
type LogStore interface {
	Event(ctx context.Context, tenant, eventID string) (*webhook.StoredEvent, error)
	History(ctx context.Context, tenant, eventID string) (*webhook.History, error)
	// Deliveries are listed newest first.
	Deliveries(ctx context.Context, tenant string, f webhook.DeliveryFilter) ([]webhook.Delivery, error)
	Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error)
	// CancelDelivery answers CodeConflict when the delivery is settled.
	CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error)
	// Attempts are listed by number, from 1.
	Attempts(ctx context.Context, tenant string, delivery webhook.DeliveryID, page webhook.Page) ([]webhook.Attempt, error)
	Attempt(ctx context.Context, tenant string, id webhook.AttemptID) (*webhook.Attempt, error)
}

// Engine is what the API needs of the running workflows.
type Engine interface {
	// History answers CodeNotFound when no workflow is known and CodeUnavailable when the engine is down.
	History(ctx context.Context, tenant, eventID string) (*webhook.History, error)
	// EndpointDisabled and EndpointEnabled tell the running workflows in the background; they never fail the call.
	EndpointDisabled(tenant string, id webhook.EndpointID, reason string)
	EndpointEnabled(tenant string, id webhook.EndpointID)
	RetryNow(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error
	CancelDelivery(ctx context.Context, tenant, eventID string, endpoint webhook.EndpointID, reason string) error
	Ready(ctx context.Context) error
}
