package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	selectHeldDeliveries = `
		SELECT id, event_id FROM deliveries
		WHERE endpoint_id = $1 AND held_at IS NOT NULL AND id > $2 AND tenant_id || '' = $3 AND status || '' = 'held' ORDER BY id LIMIT $4`

	releaseDeliveries = `
		UPDATE deliveries SET status = CASE WHEN attempts = 0 THEN 'pending' ELSE 'retrying' END, held_at = NULL, reason = '',
			next_attempt_at = $4, queue_due_at = NULL, updated_at = $4
		WHERE id = ANY ($1::uuid[]) AND tenant_id || '' = $2 AND endpoint_id::text = $3::text AND status || '' = 'held'`
)

// HeldDeliveries implements store.HeldRecoveries.
func (s *Store) HeldDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, after webhook.DeliveryID, limit int) ([]store.HeldDelivery, error) {
	var held []store.HeldDelivery
	err := s.list(ctx, &held, selectHeldDeliveries, endpoint, after, tenant, limit)
	return held, failed("list held deliveries", err)
}

// ReleaseDeliveries implements store.HeldRecoveries. The next attempt is due at once, so that the reconciler finds deliveries
// that nobody wakes. The workflow that is woken owns the delivery again.
func (s *Store) ReleaseDeliveries(ctx context.Context, tenant string, endpoint webhook.EndpointID, ids []webhook.DeliveryID, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	return s.transact(ctx, "release deliveries", func(tx *sqlx.Tx) error {
		e, err := lockEndpoint(ctx, tx, endpoint)
		if err != nil || e.Disabled && !e.Deleted {
			return err
		}
		_, err = tx.ExecContext(ctx, releaseDeliveries, idsOf(ids), tenant, endpoint, at)
		return err
	})
}

// EndpointsToRecover implements store.HeldRecoveries.
func (s *Store) EndpointsToRecover(ctx context.Context, after webhook.EndpointID, limit int) ([]store.EndpointRef, error) {
	var due []store.EndpointRef
	err := s.list(ctx, &due, `
		SELECT tenant_id, id FROM endpoints WHERE recovery_due AND id > $1 ORDER BY id LIMIT $2`, after, limit)
	return due, failed("list endpoints to recover", err)
}

// RecoveryDone implements store.HeldRecoveries.
func (s *Store) RecoveryDone(ctx context.Context, tenant string, endpoint webhook.EndpointID, version int64) error {
	err := s.exec(ctx, `
		UPDATE endpoints SET recovery_due = false
		WHERE id = $1 AND tenant_id = $2 AND recovery_due AND (version = $3 OR deleted_at IS NOT NULL)`, endpoint, tenant, version)
	return failed("end a recovery", err)
}
