package api

import (
	"context"

	"waybill/store"
	"waybill/webhook"
)

// checkAlsoSignAs refuses a second dialect, nil for none, that cannot read the secrets of an endpoint. Of one that is being made, id is
// zero, and fresh its secret, which is zero where it shares the tenant's.
func (s *Server) checkAlsoSignAs(ctx context.Context, c *call, id webhook.EndpointID, also *webhook.AlsoSignAs, fresh ...webhook.Secret) error {
	if also == nil {
		return nil
	}
	other, ok := s.dialects[also.Dialect]
	if !ok {
		return nil // the endpoint's own check says so
	}
	var keys []webhook.SigningKeys
	for _, secret := range fresh {
		keys = append(keys, webhook.SigningKeys{Current: secret})
	}
	if shared := c.dialect.Secret.Scope == webhook.SecretOfTenant; shared || !id.IsZero() {
		found, err := s.store.KeySet(ctx, store.KeySet{Tenant: c.tenant.ID, Endpoint: id, Shared: shared})
		if err != nil {
			return err
		}
		keys = append(keys, found...)
	}
	if other.CanSign(s.now(), keys...) {
		return nil
	}
	return invalid("endpoint", webhook.FieldError{Field: "also_sign_as.dialect",
		Detail: "cannot be " + other.Name + ": it reads its key as base64 from the secret, and the endpoint's secret is not that"})
}
