package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

// DisableEndpoint implements store.Endpoints.
func (s *Store) DisableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error) {
	return s.setEnabled(ctx, tenant, id, "disable an endpoint", func(e *webhook.Endpoint) bool {
		if e.DisabledAt != nil {
			return false
		}
		e.DisabledAt, e.DisabledBy, e.DisabledReason, e.UpdatedAt = &change.At, cleanText(change.By), cleanText(change.Reason), change.At
		return true
	})
}

// EnableEndpoint implements store.Endpoints.
func (s *Store) EnableEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error) {
	return s.setEnabled(ctx, tenant, id, "enable an endpoint", func(e *webhook.Endpoint) bool {
		if e.DisabledAt == nil {
			return false
		}
		e.DisabledAt, e.DisabledBy, e.DisabledReason, e.UpdatedAt = nil, "", "", change.At
		return true
	})
}

// setEnabled writes what change did to the endpoint. A recovery is due exactly when the endpoint is enabled: deliveries
// that it did not reach before the endpoint was disabled again stay held.
func (s *Store) setEnabled(ctx context.Context, tenant string, id webhook.EndpointID, what string, change func(*webhook.Endpoint) bool) (*webhook.Endpoint, bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	// When many attempts find that the receiver is gone, all except the first return here and do not wait for the tenant's
	// row.
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
			UPDATE endpoints SET disabled_at = $2, disabled_reason = $3, recovery_due = $2::timestamptz IS NULL, wake_due = true, updated_at = $4,
				version = $5, disabled_by = $6 WHERE id = $1`, id, e.DisabledAt, e.DisabledReason, e.UpdatedAt, e.Version, e.DisabledBy)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return e, changed, nil
}

// DeleteEndpoint implements store.Endpoints. The row stays, so that old deliveries still name it. When it was deleted is by the
// database's clock, which says when no record can come any more.
func (s *Store) DeleteEndpoint(ctx context.Context, tenant string, id webhook.EndpointID, at time.Time, checks ...func(*webhook.Endpoint) error) error {
	_, err := s.changeEndpoint(ctx, tenant, id, "delete an endpoint", func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		for _, check := range checks {
			if err := check(e); err != nil {
				return refusal{err}
			}
		}
		_, err := tx.ExecContext(ctx, `
			UPDATE endpoints SET deleted_at = clock_timestamp(), updated_at = $2, url = '', filter = NULL, description = '', metadata = NULL, headers_sealed = NULL,
				secret_sealed = NULL, recovery_due = true, wake_due = true, version = version + 1 WHERE id = $1`, id, at)
		if err != nil {
			return err
		}
		return s.endRecoveriesOf(ctx, tx, tenant, id)
	})
	return err
}
