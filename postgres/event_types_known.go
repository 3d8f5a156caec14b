package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

// knownType identifies an event type of a tenant in the cache. An entry is nil where the tenant has none of the name.
type knownType struct {
	tenant  string
	version int64 // Tenant.TypesVersion
	name    string
}

// selectKnownTypes reads what publications need of event types.
const selectKnownTypes = `
	SELECT t.tenant_id, t.type, t.schema, t.deprecated FROM unnest($1::text[], $2::text[]) AS asked (tenant_id, type)
	JOIN event_types t ON t.tenant_id = asked.tenant_id AND t.type = asked.type`

// KnownType implements store.EventTypes.
func (s *Store) KnownType(ctx context.Context, t *webhook.Tenant, name string) (*webhook.OwnType, error) {
	if t.TypesVersion == 0 {
		return nil, nil
	}
	key := knownType{t.ID, t.TypesVersion, name}
	if own, ok := s.caches.types.GetIfPresent(key); ok {
		return own, nil
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	found, err := s.readTypes(ctx, s.db, []knownType{key})
	return found[key], failed("find an event type", err)
}

// readTypes reads event types and puts them into the cache, nil for those that the tenants do not have. They may be newer than the
// version that is asked for, never older.
func (s *Store) readTypes(ctx context.Context, q sqlx.QueryerContext, keys []knownType) (map[knownType]*webhook.OwnType, error) {
	tenants, names := new(arrayBuilder), new(arrayBuilder)
	type name struct{ tenant, name string }
	stored := map[name]*webhook.OwnType{}
	for _, key := range keys {
		tenants.addText(key.tenant)
		names.addText(key.name)
	}
	var rows []struct {
		ownTypeRow
		TenantID string `db:"tenant_id"`
	}
	if err := sqlx.SelectContext(ctx, q, &rows, selectKnownTypes, tenants, names); err != nil {
		return nil, err
	}
	for i := range rows {
		own, err := rows[i].ownType()
		if err != nil {
			return nil, err
		}
		stored[name{rows[i].TenantID, own.Type}] = own
	}
	found := make(map[knownType]*webhook.OwnType, len(keys))
	for _, key := range keys {
		found[key] = stored[name{key.tenant, key.name}]
		s.caches.types.Set(key, found[key])
	}
	return found, nil
}

// typesOf returns the tenants' own event types that rows of the outbox have, by the rows' positions.
func (g *ingestion) typesOf(ctx context.Context, a *acceptance) (map[int64]*webhook.OwnType, error) {
	own := map[int64]*webhook.OwnType{}
	asked := map[int64]knownType{}
	var unknown []knownType
	for i := range g.rows {
		row := &g.rows[i]
		t := a.tenants[row.TenantID]
		if t == nil || t.tenant.TypesVersion == 0 || !webhook.IsEventType(row.Type) {
			continue
		}
		key := knownType{row.TenantID, t.tenant.TypesVersion, row.Type}
		if known, ok := g.store.caches.types.GetIfPresent(key); ok {
			own[row.Position] = known
		} else {
			asked[row.Position] = key
			unknown = append(unknown, key)
		}
	}
	if len(unknown) == 0 {
		return own, nil
	}
	found, err := g.store.readTypes(ctx, a.tx, unknown)
	if err != nil {
		return nil, err
	}
	for position, key := range asked {
		own[position] = found[key]
	}
	return own, nil
}
