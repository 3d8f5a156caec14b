package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

// erasureGrace is how long after the begin of an erasure a request or an attempt may still write: the longest attempt, and the time
// for its record.
const erasureGrace = webhook.MaxTimeout + 30*time.Second

const (
	hideTenant = `
		UPDATE tenants SET erased_at = coalesce(erased_at, clock_timestamp()), contact_email = '', version = version + ` + versionStep + ` WHERE id = $1
		RETURNING erased_at`

	// deleteEndpointsOf does to all endpoints what DeleteEndpoint does to one.
	deleteEndpointsOf = `
		UPDATE endpoints SET ` + deletesEndpoint + `
		WHERE id = ANY (ARRAY(SELECT id FROM endpoints WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY id FOR UPDATE))`

	endRecoveriesOfTenant = `
		UPDATE recoveries SET status = 'canceled', phase = 'ended', finished_at = $2, delivered = coalesce(delivered, 0), failed = coalesce(failed, 0)
		WHERE tenant_id = $1 AND phase <> 'ended'`

	insertErasure = `
		INSERT INTO erasures AS e (tenant_id, started_at) VALUES ($1, $2)
		ON CONFLICT (tenant_id) DO UPDATE SET started_at = CASE WHEN e.finished_at IS NULL THEN e.started_at ELSE excluded.started_at END,
			rows = CASE WHEN e.finished_at IS NULL THEN e.rows ELSE 0 END, finished_at = NULL
		RETURNING tenant_id, rows, started_at, finished_at`

	selectErasure = `SELECT tenant_id, rows, started_at, finished_at FROM erasures WHERE tenant_id = $1`

	selectErasing = `
		SELECT greatest(extract(epoch FROM erased_at + $2::bigint * interval '1 millisecond' - clock_timestamp()) * 1000, 0)::bigint
		FROM tenants WHERE id = $1 AND erased_at IS NOT NULL`
)

// BeginErasure implements store.Erasures. Whatever the tenant's processes still do finds no tenant, no key and deleted endpoints. When
// it began is by the database's clock: what is older is ended at the end of the erasure, and a process whose clock is ahead must not
// name a moment at which the id is another tenant's already.
func (s *Store) BeginErasure(ctx context.Context, tenant string, at time.Time) (*store.Erasure, error) {
	var e store.Erasure
	err := s.transact(ctx, "begin to erase a tenant", func(tx *sqlx.Tx) error {
		var running bool
		err := tx.GetContext(ctx, &running, `SELECT erased_at IS NOT NULL FROM tenants WHERE id = $1 FOR UPDATE`, tenant)
		if err != nil {
			return orNotFound(err, "tenant", tenant)
		}
		if running {
			return tx.GetContext(ctx, &e, selectErasure, tenant)
		}
		var erased time.Time
		if err := tx.GetContext(ctx, &erased, hideTenant, tenant); err != nil {
			return err
		}
		for _, statement := range []struct {
			text string
			args []any
		}{
			{`DELETE FROM sessions WHERE tenant_id = $1`, []any{tenant}},
			{`DELETE FROM portal_links WHERE tenant_id = $1`, []any{tenant}},
			{`DELETE FROM api_keys WHERE tenant_id = $1`, []any{tenant}},
			{deleteEndpointsOf, []any{tenant, at}},
			{endRecoveriesOfTenant, []any{tenant, at}},
		} {
			if _, err := tx.ExecContext(ctx, statement.text, statement.args...); err != nil {
				return err
			}
		}
		if err := tx.GetContext(ctx, &e, insertErasure, tenant, erased); err != nil {
			return err
		}
		return s.audited(ctx, tx, tenant, "tenant.erased", tenant, nil, nil)
	})
	if err != nil {
		return nil, err
	}
	return &e, nil
}

// TenantErasure implements store.Erasures.
func (s *Store) TenantErasure(ctx context.Context, tenant string) (*store.Erasure, error) {
	var e store.Erasure
	if err := s.get(ctx, &e, selectErasure, tenant); err != nil {
		return nil, failed("find an erasure", orNotFound(err, "erasure", tenant))
	}
	return &e, nil
}

// OpenErasures implements store.Erasures.
func (s *Store) OpenErasures(ctx context.Context, limit int) ([]string, error) {
	var tenants []string
	err := s.list(ctx, &tenants, `SELECT tenant_id FROM erasures WHERE finished_at IS NULL ORDER BY tenant_id LIMIT $1`, limit)
	return tenants, failed("list erasures", err)
}
