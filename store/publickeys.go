package store

import (
	"context"

	"waybill/webhook"
)

// KeySet selects signing secrets of a tenant whose public keys are asked for.
type KeySet struct {
	Tenant string
	// Endpoint is whose; zero: of all endpoints that chose how they are signed.
	Endpoint webhook.EndpointID
	// Every takes the endpoints, too, that chose nothing. Shared takes the tenant's own secret in place of its endpoints'.
	Every, Shared bool
	// Unreadable is told of the endpoints, or the tenant, whose secrets cannot be opened and are left out; nil: they fail the call.
	Unreadable func(err error)
}

// PublicKeys serves the keys that receivers verify with.
type PublicKeys interface {
	// KeySet returns the secrets that are selected, by endpoint id; none is no error.
	KeySet(ctx context.Context, of KeySet) ([]webhook.SigningKeys, error)
}
