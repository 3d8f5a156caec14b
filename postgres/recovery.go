package postgres

import (
	"context"
	"time"

	"waybill/store"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

// A delivery is held, and an endpoint enabled, under a lock of the endpoint's row. So either the holder is first, and the
// recovery that the enabling asks for finds the held delivery; or it is second, sees the endpoint enabled, and holds
// nothing.

// HoldDelivery makes an unsettled delivery held, but only while its endpoint is disabled, and returns the delivery as it
// stands after the commit. A deleted endpoint holds nothing. CodeNotFound: the tenant has no such delivery.
func (s *Store) HoldDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, at time.Time) (*webhook.Delivery, error) {
	var d *webhook.Delivery
	err := s.transact(ctx, "hold a delivery", func(tx *sqlx.Tx) (err error) {
		if d, err = findDelivery(ctx, tx, tenant, id); err != nil {
			return err
		}
		disabled, reason, err := lockEndpoint(ctx, tx, d.EndpointID)
		if err != nil {
			return err
		}
		if disabled {
			_, err = tx.ExecContext(ctx, `
				UPDATE deliveries SET status = 'held', held_at = $2, reason = $3, next_attempt_at = NULL, updated_at = $2
				WHERE id = $1 AND status IN ('pending', 'retrying')`, id, at, reason)
			if err != nil {
				return err
			}
		}
		d, err = findDelivery(ctx, tx, tenant, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// lockEndpoint reports whether the endpoint is disabled, and keeps it so until the end of the transaction.
func lockEndpoint(ctx context.Context, tx *sqlx.Tx, id webhook.EndpointID) (disabled bool, reason string, err error) {
	var row struct {
		Disabled bool   `db:"disabled"`
		Reason   string `db:"disabled_reason"`
	}
	err = tx.GetContext(ctx, &row, `
		SELECT disabled_at IS NOT NULL AND deleted_at IS NULL AS disabled, disabled_reason FROM endpoints WHERE id = $1 FOR SHARE`, id)
	return row.Disabled, row.Reason, orNotFound(err, "endpoint", id.String())
}

// HeldDeliveries lists an endpoint's held deliveries by id, from the one after after; zero for the first page. The
// endpoint may be deleted.
func (s *Store) HeldDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, after webhook.DeliveryID, limit int) ([]store.HeldDelivery, error) {
	var held []store.HeldDelivery
	err := s.db.SelectContext(ctx, &held, `
		SELECT id, event_id FROM deliveries
		WHERE endpoint_id = $1 AND held_at IS NOT NULL AND id > $2 AND tenant_id = $3 AND status = 'held' ORDER BY id LIMIT $4`,
		endpoint, after, tenant, limit)
	return held, failed("list held deliveries", err)
}

// ReleaseDeliveries makes held deliveries pending, or retrying where an attempt was made, unless the endpoint is disabled
// again. Their next attempt is due at once, so that the reconciler finds those that nobody wakes. Those that are not
// held, or not of this endpoint, stay as they are.
func (s *Store) ReleaseDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, ids []webhook.DeliveryID, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return s.transact(ctx, "release deliveries", func(tx *sqlx.Tx) error {
		disabled, _, err := lockEndpoint(ctx, tx, endpoint)
		if err != nil || disabled {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			UPDATE deliveries SET status = CASE WHEN attempts = 0 THEN 'pending' ELSE 'retrying' END, held_at = NULL, reason = '',
				next_attempt_at = $4, updated_at = $4
			WHERE id = ANY ($1::uuid[]) AND tenant_id = $2 AND endpoint_id = $3 AND status = 'held'`, idsOf(ids), tenant, endpoint, at)
		return err
	})
}

// EndpointsToRecover lists endpoints that were enabled or deleted and whose held deliveries are still to be woken.
func (s *Store) EndpointsToRecover(ctx context.Context, limit int) ([]store.EndpointRef, error) {
	var due []store.EndpointRef
	err := s.db.SelectContext(ctx, &due, `SELECT tenant_id, id FROM endpoints WHERE recovery_due ORDER BY id LIMIT $1`, limit)
	return due, failed("list endpoints to recover", err)
}

// RecoveryDone clears the mark that EnableEndpoint set, if the endpoint has not changed since version. A deleted endpoint
// changes no more, so that any version will do.
func (s *Store) RecoveryDone(ctx context.Context, tenant string, endpoint webhook.EndpointID, version int64) error {
	_, err := s.db.ExecContext(ctx, `
		UPDATE endpoints SET recovery_due = false
		WHERE id = $1 AND tenant_id = $2 AND recovery_due AND (version = $3 OR deleted_at IS NOT NULL)`, endpoint, tenant, version)
	return failed("end a recovery", err)
}
