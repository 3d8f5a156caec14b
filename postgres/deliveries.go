package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

const (
	storedColumns = `id, event_id, event_type, endpoint_id, status, attempts, next_attempt_at, reason, created_at, updated_at,
		test, held_at, last_attempt_at, last_duration_ms, last_status_code, last_error_class, last_error`

	deliveryColumns = storedColumns + `, queue_due_at IS NOT NULL AS queued`
)

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

const selectDelivery = `SELECT ` + deliveryColumns + ` FROM deliveries WHERE id = $1 AND tenant_id || '' = $2`

// Delivery implements store.Deliveries.
func (s *Store) Delivery(ctx context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error) {
	rows, err := hotRows[deliveryRow](ctx, s, selectDelivery, id, tenant)
	if err != nil {
		return nil, failed("find a delivery", err)
	}
	if len(rows) == 0 {
		return nil, notFound("delivery", id.String())
	}
	return rows[0].delivery(), nil
}

func findDelivery(ctx context.Context, q sqlx.QueryerContext, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error) {
	var row deliveryRow
	err := sqlx.GetContext(ctx, q, &row, selectDelivery, id, tenant)
	if err != nil {
		return nil, orNotFound(err, "delivery", id.String())
	}
	return row.delivery(), nil
}
