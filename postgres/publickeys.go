package postgres

import (
	"context"

	"waybill/store"
	"waybill/webhook"
)

const (
	selectTenantKeySet   = `SELECT ` + secretColumns + ` FROM tenants WHERE id = $1 AND secret_sealed IS NOT NULL`
	selectEndpointKeySet = `
		SELECT id, ` + secretColumns + ` FROM endpoints
		WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id = $2) AND ($3 OR signing IS NOT NULL) AND deleted_at IS NULL AND secret_sealed IS NOT NULL
		ORDER BY id`
)

// KeySet implements store.PublicKeys.
func (s *Store) KeySet(ctx context.Context, of store.KeySet) ([]webhook.SigningKeys, error) {
	type row struct {
		ID webhook.EndpointID `db:"id"`
		secretsRow
	}
	var rows []row
	var err error
	if of.Shared {
		err = s.list(ctx, &rows, selectTenantKeySet, of.Tenant)
	} else {
		err = s.list(ctx, &rows, selectEndpointKeySet, of.Tenant, orNullEndpoint(of.Endpoint), of.Every || !of.Endpoint.IsZero())
	}
	if err != nil {
		return nil, failed("list signing keys", err)
	}
	out := make([]webhook.SigningKeys, 0, len(rows))
	for i := range rows {
		owner := endpointSecrets(rows[i].ID)
		if of.Shared {
			owner = tenantSecrets(of.Tenant)
		}
		keys, err := s.openKeys(&rows[i].secretsRow, owner)
		switch {
		case err == nil:
			out = append(out, keys)
		case of.Unreadable != nil:
			of.Unreadable(err)
		default:
			return nil, err
		}
	}
	return out, nil
}
