package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"waybill/store"
	"waybill/webhook"
)

const tenantColumns = `id, name, dialect, contact_email, url, allow_unknown_types, express, retry, max_endpoints, max_keys, retention_ms, metadata, created_at, version, types_version, verify_endpoints, branding`

type tenantRow struct {
	webhook.Tenant
	RetryJSON    []byte `db:"retry"`
	MaxEndpoints *int   `db:"max_endpoints"`
	MaxKeys      *int   `db:"max_keys"`
	RetentionMS  *int64 `db:"retention_ms"`
	MetadataJSON []byte `db:"metadata"`
	BrandingJSON []byte `db:"branding"`
	secretsRow
}

func (r *tenantRow) tenant() (*webhook.Tenant, error) {
	t := r.Tenant
	var err error
	if t.Retry, err = readRetry(r.RetryJSON); err != nil {
		return nil, fmt.Errorf("read the tenant %q: %w", t.ID, err)
	}
	if t.Metadata, err = readStrings(r.MetadataJSON); err != nil {
		return nil, fmt.Errorf("read the tenant %q: %w", t.ID, err)
	}
	if r.BrandingJSON != nil {
		t.Branding = new(webhook.Branding)
		if err := json.Unmarshal(r.BrandingJSON, t.Branding); err != nil {
			return nil, fmt.Errorf("read the branding of the tenant %q: %w", t.ID, err)
		}
	}
	if r.MaxEndpoints != nil {
		t.Limits = &webhook.TenantLimits{Endpoints: *r.MaxEndpoints, Keys: valueOf(r.MaxKeys)}
	}
	if r.RetentionMS != nil {
		retention := webhook.Duration(time.Duration(*r.RetentionMS) * time.Millisecond)
		t.Retention = &retention
	}
	return &t, nil
}

// retentionMS returns the value of the column retention_ms.
func retentionMS(t *webhook.Tenant) any {
	if t.Retention == nil {
		return nil
	}
	return t.Retention.Std().Milliseconds()
}

// maxEndpoints returns the value of the column max_endpoints.
func maxEndpoints(t *webhook.Tenant) any {
	if t.Limits == nil {
		return nil
	}
	return t.Limits.Endpoints
}

// maxKeys returns the value of the column max_keys.
func maxKeys(t *webhook.Tenant) any {
	if t.Limits == nil || t.Limits.Keys == 0 {
		return nil
	}
	return t.Limits.Keys
}

func readRetry(stored []byte) (*webhook.RetryPolicy, error) {
	if stored == nil {
		return nil, nil
	}
	p := new(webhook.RetryPolicy)
	if err := json.Unmarshal(stored, p); err != nil {
		return nil, fmt.Errorf("retry policy: %w", err)
	}
	return p, nil
}

// CreateTenant implements store.Tenants.
func (s *Store) CreateTenant(ctx context.Context, t *webhook.Tenant, secret webhook.Secret, once *store.Once) error {
	return s.transactOnce(ctx, "create a tenant", once, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `
			INSERT INTO tenants (id, name, dialect, contact_email, url, allow_unknown_types, express, retry, max_endpoints, metadata,
				secret_sealed, created_at, retention_ms, verify_endpoints, max_keys, branding, version)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, `+versionStep+`)`,
			t.ID, t.Name, t.Dialect, t.ContactEmail, t.URL, t.AllowUnknownTypes, t.Express, optionalJSON(t.Retry, t.Retry != nil),
			maxEndpoints(t), optionalJSON(t.Metadata, len(t.Metadata) > 0),
			s.keys.seal([]byte(secret.Reveal()), tenantSecrets(t.ID).current()), t.CreatedAt, retentionMS(t), t.VerifyEndpoints, maxKeys(t),
			optionalJSON(t.Branding, t.Branding != nil))
		if pq.As(err, pqerror.UniqueViolation) != nil {
			return webhook.Errorf(webhook.CodeConflict, "the tenant %q exists already, or is being erased", t.ID)
		}
		if err != nil {
			return err
		}
		return s.audited(ctx, tx, t.ID, "tenant.created", t.ID, nil, tenantFields(t).all())
	})
}

// Tenant implements store.Tenants.
func (s *Store) Tenant(ctx context.Context, id string) (*webhook.Tenant, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	t, err := s.findTenant(ctx, s.db, id, "")
	return t, failed("find a tenant", err)
}

// findTenant returns a tenant; locking is "" or a locking clause.
func (s *Store) findTenant(ctx context.Context, q sqlx.QueryerContext, id, locking string) (*webhook.Tenant, error) {
	var row tenantRow
	err := sqlx.GetContext(ctx, q, &row, `SELECT `+tenantColumns+` FROM tenants WHERE id = $1 AND erased_at IS NULL `+locking, id)
	if err != nil {
		return nil, orNotFound(err, "tenant", id)
	}
	return s.readTenant(&row)
}

// readTenant returns the row's tenant as this process is configured.
func (s *Store) readTenant(r *tenantRow) (*webhook.Tenant, error) {
	t, err := r.tenant()
	if err != nil {
		return nil, err
	}
	t.Operator = t.ID == s.opts.OperatorTenant
	return t, nil
}

// Tenants implements store.Tenants.
func (s *Store) Tenants(ctx context.Context, f store.TenantFilter) (*store.Part[webhook.Tenant], error) {
	var w where
	w.and("id > %s AND erased_at IS NULL", f.Page.After)
	source := "SELECT " + tenantColumns + " FROM tenants WHERE " + w.take()
	if f.Dialect != "" {
		w.and("dialect = %s", f.Dialect)
	}
	if f.Text != "" {
		w.contains(f.Text, "id", "name")
	}
	w.andMembers("metadata", f.Metadata)
	type row struct {
		tenantRow
		found
	}
	var rows []row
	if err := s.list(ctx, &rows, upQuery(tenantColumns, source, w.take(), w.arg(f.Page.Limit)), w.args...); err != nil {
		return nil, failed("list tenants", err)
	}
	return partOf(rows, func(r *row) string { return r.ID }, func(r *row) (*webhook.Tenant, error) { return s.readTenant(&r.tenantRow) })
}

// readAll converts rows to values.
func readAll[R, T any](rows []R, read func(*R) (*T, error)) ([]T, error) {
	out := make([]T, 0, len(rows))
	for i := range rows {
		t, err := read(&rows[i])
		if err != nil {
			return nil, err
		}
		out = append(out, *t)
	}
	return out, nil
}

// UpdateTenant implements store.Tenants.
func (s *Store) UpdateTenant(ctx context.Context, id string, change func(*webhook.Tenant) error) (*webhook.Tenant, error) {
	var t *webhook.Tenant
	err := s.transact(ctx, "update a tenant", func(tx *sqlx.Tx) (err error) {
		if t, err = s.findTenant(ctx, tx, id, "FOR UPDATE"); err != nil {
			return err
		}
		before := tenantFields(t)
		if err := change(t); err != nil {
			return refusal{err}
		}
		t.Version = nextVersion(t.Version)
		_, err = tx.ExecContext(ctx, `
			UPDATE tenants SET name = $2, contact_email = $3, url = $4, allow_unknown_types = $5, express = $6, retry = $7,
				max_endpoints = $8, version = $9, metadata = $10, retention_ms = $11, verify_endpoints = $12, max_keys = $13, branding = $14 WHERE id = $1`,
			id, t.Name, t.ContactEmail, t.URL, t.AllowUnknownTypes, t.Express, optionalJSON(t.Retry, t.Retry != nil),
			maxEndpoints(t), t.Version, optionalJSON(t.Metadata, len(t.Metadata) > 0), retentionMS(t), t.VerifyEndpoints, maxKeys(t),
			optionalJSON(t.Branding, t.Branding != nil))
		if err != nil {
			return err
		}
		return s.auditedUpdate(ctx, tx, id, "tenant.updated", id, before, tenantFields(t))
	})
	if err != nil {
		return nil, unrefused(err)
	}
	return t, nil
}

// touchTenant gives the tenant a new version, and locks the tenant until the end of the transaction.
func touchTenant(ctx context.Context, tx *sqlx.Tx, id string) error {
	var version int64
	err := tx.GetContext(ctx, &version, `UPDATE tenants SET version = version + `+versionStep+` WHERE id = $1 AND erased_at IS NULL RETURNING version`, id)
	return orNotFound(err, "tenant", id)
}

// TenantSecret implements store.Tenants.
func (s *Store) TenantSecret(ctx context.Context, id string) (*webhook.SigningKeys, error) {
	return s.revealed(ctx, "find a tenant's secret", id, id, func(tx *sqlx.Tx) (webhook.SigningKeys, error) {
		var row secretsRow
		if err := tx.GetContext(ctx, &row, `SELECT `+secretColumns+` FROM tenants WHERE id = $1`, id); err != nil {
			return webhook.SigningKeys{}, orNotFound(err, "tenant", id)
		}
		return s.openKeys(&row, tenantSecrets(id))
	})
}

// revealed runs read, which returns a secret that a person asked for. The look is an audit entry, unless there is no secret.
func (s *Store) revealed(ctx context.Context, what, tenant, target string, read func(tx *sqlx.Tx) (webhook.SigningKeys, error)) (*webhook.SigningKeys, error) {
	var keys webhook.SigningKeys
	err := s.transact(ctx, what, func(tx *sqlx.Tx) (err error) {
		if keys, err = read(tx); err != nil || keys.Current.IsZero() {
			return err
		}
		return s.audited(ctx, tx, tenant, "secret.revealed", target, nil, nil)
	})
	if err != nil {
		return nil, err
	}
	return &keys, nil
}
