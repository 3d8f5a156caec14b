package store

import (
	"context"

	"waybill/webhook"
)

// EventTypes keeps the event types that tenants have on top of those of their dialects.
type EventTypes interface {
	// KnownType returns an event type as a publication needs it: without description and example. nil: the tenant has none of this
	// name. It reads the database only when the type is not known at t.TypesVersion, and not at all for a tenant without own types.
	KnownType(ctx context.Context, t *webhook.Tenant, name string) (*webhook.OwnType, error)
	// OwnType answers CodeNotFound when the tenant has no such event type of its own.
	OwnType(ctx context.Context, tenant, name string) (*webhook.OwnType, error)
	// OwnTypes lists event types by name, without schemas and examples. Page.After is a name.
	OwnTypes(ctx context.Context, tenant string, page Page) ([]webhook.OwnType, error)
	// OwnTypeNames returns the names of all, which are at most webhook.MaxOwnTypes.
	OwnTypeNames(ctx context.Context, tenant string) ([]string, error)
	// PutOwnType stores an event type, which must be valid, in place of the one of its name, and reports whether that is new. It sets
	// CreatedAt to when that was created. CodeConflict: the tenant has webhook.MaxOwnTypes others.
	PutOwnType(ctx context.Context, tenant string, own *webhook.OwnType) (created bool, err error)
	// DeleteOwnType leaves what was published before.
	DeleteOwnType(ctx context.Context, tenant, name string) error
}
