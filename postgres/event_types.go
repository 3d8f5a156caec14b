package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	// putType counts the others before it stores. The tenant's row is locked, so that nobody else adds one.
	putType = `
		INSERT INTO event_types (tenant_id, type, description, schema, example, deprecated, created_at, updated_at)
		SELECT $1, $2, $3, $4, $5, $6, $7, $7
		WHERE (SELECT count(*) FROM event_types WHERE tenant_id = $1 AND type <> $2) < $8
		ON CONFLICT (tenant_id, type) DO UPDATE SET description = excluded.description, schema = excluded.schema, example = excluded.example,
			deprecated = excluded.deprecated, updated_at = excluded.updated_at
		RETURNING created_at`

	// touchTypes gives the tenant and its types new versions, and locks the tenant until the end of the transaction.
	touchTypes = `UPDATE tenants SET version = version + ` + versionStep + `, types_version = types_version + ` + versionStep + ` WHERE id = $1 RETURNING types_version`

	selectType = `SELECT type, description, schema, example, deprecated, created_at, updated_at FROM event_types WHERE tenant_id = $1 AND type = $2`

	// selectTypes is in the order of bytes, as the dialect's types that the same list shows, whatever order the database is made with.
	selectTypes = `
		SELECT type, description, deprecated, created_at, updated_at FROM event_types
		WHERE tenant_id = $1 AND type COLLATE "C" > $2 ORDER BY type COLLATE "C" LIMIT $3`
)

type ownTypeRow struct {
	webhook.OwnType
	SchemaJSON  []byte `db:"schema"`
	ExampleJSON []byte `db:"example"`
}

func (r *ownTypeRow) ownType() (*webhook.OwnType, error) {
	own := r.OwnType
	if r.SchemaJSON != nil {
		own.SetSchema(r.SchemaJSON)
	}
	if r.ExampleJSON != nil {
		own.Example = new(webhook.Example)
		if err := json.Unmarshal(r.ExampleJSON, own.Example); err != nil {
			return nil, fmt.Errorf("read the example of the event type %q: %w", own.Type, err)
		}
	}
	return &own, nil
}

// OwnType implements store.EventTypes.
func (s *Store) OwnType(ctx context.Context, tenant, name string) (*webhook.OwnType, error) {
	var row ownTypeRow
	if err := s.get(ctx, &row, selectType, tenant, name); err != nil {
		return nil, failed("find an event type", orNotFound(err, "event type", name))
	}
	return row.ownType()
}

// OwnTypes implements store.EventTypes.
func (s *Store) OwnTypes(ctx context.Context, tenant string, page store.Page) ([]webhook.OwnType, error) {
	var rows []ownTypeRow
	if err := s.list(ctx, &rows, selectTypes, tenant, page.After, page.Limit); err != nil {
		return nil, failed("list event types", err)
	}
	return readAll(rows, (*ownTypeRow).ownType)
}

// OwnTypeNames implements store.EventTypes.
func (s *Store) OwnTypeNames(ctx context.Context, tenant string) ([]string, error) {
	var names []string
	err := s.list(ctx, &names, `SELECT type FROM event_types WHERE tenant_id = $1 ORDER BY type`, tenant)
	return names, failed("list event types", err)
}

// PutOwnType implements store.EventTypes.
func (s *Store) PutOwnType(ctx context.Context, tenant string, own *webhook.OwnType) (created bool, err error) {
	var schema, example any
	if own.Schema != nil {
		schema = string(own.Schema)
	}
	if own.Example != nil {
		example = mustJSON(own.Example)
	}
	err = s.changeTypes(ctx, "store an event type", tenant, func(tx *sqlx.Tx) error {
		at := own.CreatedAt
		before, err := typeBefore(ctx, tx, tenant, own.Type)
		if err != nil {
			return err
		}
		err = tx.GetContext(ctx, &own.CreatedAt, putType, tenant, own.Type, own.Description, schema, example, own.Deprecated, at, webhook.MaxOwnTypes)
		if missing(err) {
			return webhook.Errorf(webhook.CodeConflict, "the tenant has %d event types of its own, which is the limit: delete one first", webhook.MaxOwnTypes)
		}
		if err != nil {
			return err
		}
		if created = own.CreatedAt.Equal(at); created {
			return s.audited(ctx, tx, tenant, "event_type.put", own.Type, nil, typeFields(own).all())
		}
		return s.auditedUpdate(ctx, tx, tenant, "event_type.put", own.Type, before, typeFields(own))
	})
	return created, err
}

// typeBefore returns the fields of an event type that is about to change, while the tenant is locked; none where it is new.
func typeBefore(ctx context.Context, tx *sqlx.Tx, tenant, name string) (auditFields, error) {
	var row ownTypeRow
	err := tx.GetContext(ctx, &row, selectType, tenant, name)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	own, err := row.ownType()
	if err != nil {
		return nil, err
	}
	return typeFields(own), nil
}

// DeleteOwnType implements store.EventTypes.
func (s *Store) DeleteOwnType(ctx context.Context, tenant, name string) error {
	return s.changeTypes(ctx, "delete an event type", tenant, func(tx *sqlx.Tx) error {
		before, err := typeBefore(ctx, tx, tenant, name)
		if err != nil {
			return err
		}
		var deleted string
		err = tx.GetContext(ctx, &deleted, `DELETE FROM event_types WHERE tenant_id = $1 AND type = $2 RETURNING type`, tenant, name)
		if err != nil {
			return orNotFound(err, "event type", name)
		}
		return s.audited(ctx, tx, tenant, "event_type.deleted", name, before.all(), nil)
	})
}

// changeTypes locks the tenant, whose new versions invalidate what the caches of all processes have of its types.
func (s *Store) changeTypes(ctx context.Context, what, tenant string, change func(tx *sqlx.Tx) error) error {
	return s.transact(ctx, what, func(tx *sqlx.Tx) error {
		var version int64
		if err := tx.GetContext(ctx, &version, touchTypes, tenant); err != nil {
			return orNotFound(err, "tenant", tenant)
		}
		return change(tx)
	})
}
