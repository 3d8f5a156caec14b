package postgres

import (
	"context"

	"github.com/lib/pq"

	"waybill/webhook"
)

const selectTenantVersions = `SELECT id, version FROM tenants WHERE id = ANY ($1::text[]) AND erased_at IS NULL`

// readSubscribers returns the existing tenants with their state in this transaction. A cached entry counts only if it has
// the tenant's current version, so that an endpoint created before a publication is always among its recipients.
func (s *Store) readSubscribers(ctx context.Context, tx hotTx, tenants []string) (map[string]*subscribers, error) {
	var rows []struct {
		ID      string `db:"id"`
		Version int64  `db:"version"`
	}
	if err := tx.selectHot(ctx, &rows, selectTenantVersions, pq.StringArray(tenants)); err != nil {
		return nil, err
	}
	out := make(map[string]*subscribers, len(rows))
	var stale []string
	for _, row := range rows {
		if known, ok := s.caches.subscribers.GetIfPresent(row.ID); ok && known.tenant.Version == row.Version {
			out[row.ID] = known
		} else {
			stale = append(stale, row.ID)
		}
	}
	if len(stale) == 0 {
		return out, nil
	}
	fresh, err := s.loadSubscribers(ctx, tx, stale)
	if err != nil {
		return nil, err
	}
	for _, f := range fresh {
		out[f.tenant.ID] = f
		if f.err == nil {
			s.caches.subscribers.Set(f.tenant.ID, f)
		}
	}
	return out, nil
}

// loadSubscribers reads the tenants before their endpoints. A change in between leaves new endpoints under an old
// version, which the next call reads again; the other order would keep old endpoints under a new version. What cannot be read
// is an error of its tenant, not of all.
func (s *Store) loadSubscribers(ctx context.Context, tx hotTx, tenants []string) ([]*subscribers, error) {
	var tenantRows []tenantRow
	err := tx.SelectContext(ctx, &tenantRows, `SELECT `+tenantColumns+` FROM tenants WHERE id = ANY ($1::text[]) AND erased_at IS NULL`, pq.StringArray(tenants))
	if err != nil {
		return nil, err
	}
	var endpointRows []endpointRow
	err = tx.SelectContext(ctx, &endpointRows, `
		SELECT id, tenant_id, event_types, filter, retry FROM endpoints
		WHERE tenant_id = ANY ($1::text[]) AND deleted_at IS NULL ORDER BY id`, pq.StringArray(tenants))
	if err != nil {
		return nil, err
	}
	var out []*subscribers
	byID := map[string]*subscribers{}
	for i := range tenantRows {
		t, err := s.readTenant(&tenantRows[i])
		if err != nil {
			t = &tenantRows[i].Tenant
		}
		f := &subscribers{tenant: t, retries: map[webhook.EndpointID]*webhook.RetryPolicy{}, err: err}
		out, byID[t.ID] = append(out, f), f
	}
	for i := range endpointRows {
		f := byID[endpointRows[i].TenantID]
		e, err := endpointRows[i].subscription()
		if err != nil {
			f.err = err
			continue
		}
		f.endpoints = append(f.endpoints, *e)
		f.retries[e.ID] = e.Retry
	}
	return out, nil
}
