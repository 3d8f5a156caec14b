package store

import (
	"context"
	"time"

	"waybill/webhook"
)

// SecretOwner is whose a signing secret is: an endpoint's, or the tenant's where Endpoint is zero.
type SecretOwner struct {
	Tenant   string
	Endpoint webhook.EndpointID
}

// Secrets rotates signing secrets. What is signed after a method returned, in any process, is signed with what the method left. An
// owner that does not exist is CodeNotFound, and so is one that has no secret.
type Secrets interface {
	// SigningKeys returns the owner's secrets. The previous one may be past its end.
	SigningKeys(ctx context.Context, of SecretOwner) (*webhook.SigningKeys, error)
	// SecondDialects returns the names of the dialects that, at a moment, sign with the owner's secret beside the tenant's own.
	SecondDialects(ctx context.Context, of SecretOwner, at time.Time) ([]string, error)
	// RotateSecret replaces the owner's secret; its errors are those of webhook.SigningKeys.Rotate. keys become what they are then, before
	// once is asked for its answer. Another algorithm is for endpoints only, and becomes the endpoint's.
	RotateSecret(ctx context.Context, of SecretOwner, r *webhook.Rotation, keys *webhook.SigningKeys, once *Once) error
	// RetireSecret ends the owner's previous secret at once and returns what is left. It does nothing where there is none.
	RetireSecret(ctx context.Context, of SecretOwner) (*webhook.SigningKeys, error)
}

// EndedSecrets forgets secrets that do not sign any more.
type EndedSecrets interface {
	// ForgetEndedSecrets deletes previous secrets whose overlap is over for longer than grace, limit at a time of tenants and of
	// endpoints. more: there may be others.
	ForgetEndedSecrets(ctx context.Context, grace time.Duration, limit int) (more bool, err error)
}
