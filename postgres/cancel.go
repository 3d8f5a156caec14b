package postgres

import (
	"context"
	"time"

	"waybill/webhook"
)

const cancelDelivery = `
	WITH canceled AS (
		UPDATE deliveries SET status = 'canceled', indexed_status = 'canceled', reason = $4, held_at = NULL, next_attempt_at = NULL, queue_due_at = NULL, queue_lease = NULL,
			asked = false, updated_at = $5
		WHERE id = $2 AND tenant_id || '' = $3 AND status || '' IN ('pending', 'retrying', 'held') RETURNING *
	), counted AS (` + countCanceled + `)
	SELECT ` + deliveryColumns + ` FROM canceled`

// CancelDelivery implements store.Deliveries.
func (s *Store) CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var canceled []deliveryRow
	err := s.writers.use(func(writer int) error {
		return s.selectHot(ctx, &canceled, cancelDelivery, writer, id, tenant, cleanText(reason), at)
	})
	if err != nil {
		return nil, failed("cancel a delivery", err)
	}
	if len(canceled) > 0 {
		return canceled[0].delivery(), nil
	}
	settled, err := s.Delivery(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return nil, webhook.Errorf(webhook.CodeConflict, "%s", settled.Status.SettledText())
}
