package postgres

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	// cancelDeliveriesOfDeleted finds the deliveries that wait for an endpoint with the indexes deliveries_held and
	// deliveries_waiting.
	cancelDeliveriesOfDeleted = `
		WITH waiting AS MATERIALIZED (
			(SELECT id FROM deliveries WHERE endpoint_id = $1 AND held_at IS NOT NULL ORDER BY id LIMIT $5)
			UNION
			(SELECT id FROM deliveries WHERE endpoint_id = $1 AND next_attempt_at IS NOT NULL ORDER BY id LIMIT $5)
			ORDER BY id LIMIT $5
		), locked AS MATERIALIZED (
			SELECT d.id FROM waiting w JOIN deliveries d ON d.id = w.id
			WHERE d.tenant_id || '' = $2 AND d.status || '' IN ('pending', 'retrying', 'held') ORDER BY d.id FOR UPDATE OF d
		)
		UPDATE deliveries d SET status = 'canceled', reason = $3, held_at = NULL, next_attempt_at = NULL, updated_at = $4
		FROM locked WHERE d.id = locked.id
			AND EXISTS (SELECT FROM endpoints e WHERE e.id = $1 AND e.tenant_id = $2 AND e.deleted_at IS NOT NULL)
		RETURNING d.id, d.event_id`

	// selectJustDeleted reports whether the endpoint was deleted so recently that a record which read it before may not be
	// committed yet.
	selectJustDeleted = `
		SELECT count(*) > 0 FROM endpoints WHERE id = $1 AND tenant_id = $2 AND deleted_at > clock_timestamp() - $3::bigint * interval '1 millisecond'`
)

// CancelDeliveriesOfDeleted implements store.HeldRecoveries. It leaves out deliveries that were never attempted: their first
// attempt finds the endpoint deleted.
func (s *Store) CancelDeliveriesOfDeleted(ctx context.Context, tenant string, endpoint webhook.EndpointID, reason string, at time.Time, limit int) ([]store.HeldDelivery, bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	const what = "cancel what waits for a deleted endpoint"
	var canceled []store.HeldDelivery
	err := s.list(ctx, &canceled, cancelDeliveriesOfDeleted, endpoint, tenant, reason, at, limit)
	if err != nil || len(canceled) > 0 {
		return canceled, err == nil, failed(what, err)
	}
	var just bool
	err = s.get(ctx, &just, selectJustDeleted, endpoint, tenant, s.opts.Timeout.Milliseconds())
	return nil, just, failed(what, err)
}
