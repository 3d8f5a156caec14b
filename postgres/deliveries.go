package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

const deliveryColumns = `id, event_id, event_type, endpoint_id, status, attempts, next_attempt_at, reason, created_at, updated_at,
	test, held_at, queue_due_at IS NOT NULL AS queued, last_attempt_at, last_duration_ms, last_status_code, last_error_class, last_error`

type deliveryRow struct {
	webhook.Delivery
	LastAttemptAt  *time.Time          `db:"last_attempt_at"`
	LastDurationMS *int64              `db:"last_duration_ms"`
	LastStatusCode *int                `db:"last_status_code"`
	LastErrorClass *webhook.ErrorClass `db:"last_error_class"`
	LastError      *string             `db:"last_error"`
}

// delivery returns the row's delivery. One whose latest attempt an earlier version recorded has no LastAttempt.
func (r *deliveryRow) delivery() *webhook.Delivery {
	d := r.Delivery
	if r.LastAttemptAt != nil {
		d.LastAttempt = &webhook.LastAttempt{
			Number: d.Attempts, StartedAt: *r.LastAttemptAt, DurationMS: valueOf(r.LastDurationMS), StatusCode: valueOf(r.LastStatusCode),
			ErrorClass: valueOf(r.LastErrorClass), Error: valueOf(r.LastError),
		}
	}
	return &d
}

// valueOf returns what p points to, the zero value for nil.
func valueOf[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

const (
	selectDelivery = `SELECT ` + deliveryColumns + ` FROM deliveries WHERE id = $1 AND tenant_id || '' = $2`

	cancelDelivery = `
		UPDATE deliveries SET status = 'canceled', reason = $3, held_at = NULL, next_attempt_at = NULL, updated_at = $4
		WHERE id = $1 AND tenant_id || '' = $2 AND status || '' IN ('pending', 'retrying', 'held') RETURNING ` + deliveryColumns

	holdDelivery = `
		UPDATE deliveries SET status = 'held', held_at = $2, reason = $3, next_attempt_at = NULL, updated_at = $2
		WHERE id = $1 AND status || '' IN ('pending', 'retrying')`
)

// Delivery implements store.Deliveries.
func (s *Store) Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	d, err := findDelivery(ctx, s.db, tenant, id)
	return d, failed("find a delivery", err)
}

func findDelivery(ctx context.Context, q sqlx.QueryerContext, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error) {
	var row deliveryRow
	err := sqlx.GetContext(ctx, q, &row, selectDelivery, id, tenant)
	if err != nil {
		return nil, orNotFound(err, "delivery", id.String())
	}
	return row.delivery(), nil
}

// CancelDelivery implements store.Deliveries.
func (s *Store) CancelDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error) {
	var d *webhook.Delivery
	err := s.transact(ctx, "cancel a delivery", func(tx *sqlx.Tx) error {
		var canceled deliveryRow
		err := tx.GetContext(ctx, &canceled, cancelDelivery, id, tenant, cleanText(reason), at)
		if err == nil {
			d = canceled.delivery()
			return nil
		}
		if !missing(err) {
			return err
		}
		settled, err := findDelivery(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		return webhook.Errorf(webhook.CodeConflict, "%s", settled.Status.SettledText())
	})
	return d, err
}

// Holding a delivery and enabling its endpoint both lock the endpoint's row. If the hold is first, the recovery that
// enabling requests finds the held delivery. If it is second, it sees the endpoint enabled and holds nothing.

// HoldDelivery implements store.Deliveries.
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
			_, err = tx.ExecContext(ctx, holdDelivery, id, at, reason)
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

// lockEndpoint reports whether the endpoint is disabled, and locks that state until the end of the transaction.
func lockEndpoint(ctx context.Context, tx *sqlx.Tx, id webhook.EndpointID) (disabled bool, reason string, err error) {
	var row struct {
		Disabled bool   `db:"disabled"`
		Reason   string `db:"disabled_reason"`
	}
	err = tx.GetContext(ctx, &row, `
		SELECT disabled_at IS NOT NULL AND deleted_at IS NULL AS disabled, disabled_reason FROM endpoints WHERE id = $1 FOR SHARE`, id)
	return row.Disabled, row.Reason, orNotFound(err, "endpoint", id.String())
}
