package postgres

import (
	"context"
	"log/slog"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
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
	canceled, err := s.cancel(ctx, tenant, id, reason, at)
	if canceled != nil || err != nil {
		return canceled, err
	}
	settled, err := s.Delivery(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	return nil, webhook.Errorf(webhook.CodeConflict, "%s", settled.Status.SettledText())
}

// cancel returns the canceled delivery; nil: it was settled, or there is none. What Waybill cancels by itself, such as for a
// deleted endpoint, is in the delivery log and no audit entry.
func (s *Store) cancel(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error) {
	var canceled *webhook.Delivery
	err := s.writers.use(func(writer int) error {
		return s.transactHot(ctx, "cancel a delivery", []string{cancelDelivery}, func(tx hotTx) error {
			var rows []deliveryRow
			err := tx.selectHot(ctx, &rows, cancelDelivery, writer, id, tenant, cleanText(reason), at)
			if err != nil || len(rows) == 0 {
				return err
			}
			canceled = rows[0].delivery()
			return s.auditedDelivery(ctx, tx.Tx, tenant, "delivery.canceled", canceled, nil)
		})
	})
	if err != nil {
		return nil, err
	}
	if canceled != nil && !canceled.Test {
		s.metrics.canceled(1)
		if store.ActorOf(ctx).Name == webhook.ByWaybill { // a person's has its line of the audit log
			s.logCanceled(ctx, &canceledRow{tenant, canceled.EventID, canceled.ID, canceled.EndpointID, canceled.Reason})
		}
	}
	return canceled, nil
}

// canceledRow is a delivery that Waybill canceled by itself.
type canceledRow struct {
	TenantID   string             `db:"tenant_id"`
	EventID    string             `db:"event_id"`
	ID         webhook.DeliveryID `db:"id"`
	EndpointID webhook.EndpointID `db:"endpoint_id"`
	Reason     string             `db:"reason"`
}

// logCanceled writes the line of a delivery that nobody attempts any more, as activities does of one that an attempt settled badly.
func (s *Store) logCanceled(ctx context.Context, c *canceledRow) {
	s.log.LogAttrs(ctx, slog.LevelWarn, "a delivery is canceled", slog.String("tenant", c.TenantID), slog.String("event_id", c.EventID),
		slog.String("delivery_id", c.ID.String()), slog.String("endpoint_id", c.EndpointID.String()), slog.String("reason", c.Reason))
}

// auditedDelivery writes the entry of what a person did to a delivery.
func (s *Store) auditedDelivery(ctx context.Context, tx *sqlx.Tx, tenant, action string, d *webhook.Delivery, before any) error {
	if store.ActorOf(ctx).Name == webhook.ByWaybill {
		return nil
	}
	after := map[string]any{"status": d.Status, "event_id": d.EventID, "endpoint_id": d.EndpointID}
	if d.Reason != "" {
		after["reason"] = d.Reason
	}
	return s.audited(ctx, tx, tenant, action, d.ID.String(), before, after)
}
