package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

// DisableEndpoint makes an endpoint send nothing from now on and reports whether anything changed: one that is disabled
// keeps its first reason and time.
func (s *Store) DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, reason string, at time.Time) (*webhook.Endpoint, bool, error) {
	return s.switchEndpoint(ctx, tenant, id, "disable an endpoint", func(e *webhook.Endpoint) bool {
		if e.DisabledAt != nil {
			return false
		}
		e.DisabledAt, e.DisabledReason, e.UpdatedAt = &at, storable(reason), at
		return true
	})
}

// EnableEndpoint lets an endpoint send again and reports whether anything changed. It marks the endpoint for recovery:
// EndpointsToRecover lists it until RecoveryDone.
func (s *Store) EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) (*webhook.Endpoint, bool, error) {
	return s.switchEndpoint(ctx, tenant, id, "enable an endpoint", func(e *webhook.Endpoint) bool {
		if e.DisabledAt == nil {
			return false
		}
		e.DisabledAt, e.DisabledReason, e.UpdatedAt = nil, "", at
		return true
	})
}

// switchEndpoint writes what change did to the endpoint. Recovery is due exactly when it is enabled: what it did not get
// to before the endpoint was disabled again stays held.
func (s *Store) switchEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, what string, change func(*webhook.Endpoint) bool) (*webhook.Endpoint, bool, error) {
	// When many attempts find the endpoint gone, all but the first end here and do not queue for the tenant's row.
	e, err := s.Endpoint(ctx, tenant, id)
	if err != nil {
		return nil, false, err
	}
	if unchanged := *e; !change(&unchanged) {
		return e, false, nil
	}
	changed := false
	e, err = s.changeEndpoint(ctx, tenant, id, what, func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		if changed = change(e); !changed {
			return nil
		}
		e.Version++
		_, err := tx.ExecContext(ctx, `
			UPDATE endpoints SET disabled_at = $2, disabled_reason = $3, recovery_due = $2::timestamptz IS NULL, updated_at = $4,
				version = $5 WHERE id = $1`, id, e.DisabledAt, e.DisabledReason, e.UpdatedAt, e.Version)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return e, changed, nil
}

// DeleteEndpoint forgets URL, headers and secret; the row stays, so that old deliveries still name it. It marks the
// endpoint for recovery: its held deliveries are to be woken, and are canceled when they find it deleted.
func (s *Store) DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time) error {
	_, err := s.changeEndpoint(ctx, tenant, id, "delete an endpoint", func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		_, err := tx.ExecContext(ctx, `
			UPDATE endpoints SET deleted_at = $2, updated_at = $2, url = '', filter = NULL, description = '', headers_sealed = NULL,
				secret_sealed = NULL, recovery_due = true, version = version + 1 WHERE id = $1`, id, at)
		return err
	})
	return err
}
