package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
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

func deliveriesOf(rows []deliveryRow) []webhook.Delivery {
	out := make([]webhook.Delivery, len(rows))
	for i := range rows {
		out[i] = *rows[i].delivery()
	}
	return out
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

// Deliveries implements store.Deliveries.
func (s *Store) Deliveries(ctx context.Context, tenant string, f store.DeliveryFilter) ([]webhook.Delivery, error) {
	after, err := pageAfter[webhook.DeliveryID](f.Page)
	if err != nil {
		return nil, err
	}
	query, args := listQuery(tenant, f, after)
	var rows []deliveryRow
	err = s.list(ctx, &rows, query, args...)
	return deliveriesOf(rows), failed("list deliveries", err)
}

// listQuery returns the query of a list and its arguments. The filter decides on the index, and the conditions are written
// so that no other index can serve. Conditions outside of the index only check the rows that it finds.
func listQuery(tenant string, f store.DeliveryFilter, after webhook.DeliveryID) (string, []any) {
	var w where
	byStatus := f.Status != "" && f.Status != webhook.StatusDelivered
	switch {
	case !f.EndpointID.IsZero() && (!byStatus || f.Status == webhook.StatusHeld): // deliveries_by_endpoint, deliveries_held
		w.and("endpoint_id = %s", f.EndpointID)
		w.and("tenant_id || '' = %s", tenant)
		w.andText("status", string(f.Status))
		w.andText("event_type", f.EventType)
		if byStatus {
			w.text = append(w.text, "held_at IS NOT NULL")
		}
	case byStatus: // deliveries_by_status
		w.and("tenant_id = %s", tenant)
		w.and("status = %s", string(f.Status))
		w.text = append(w.text, "status <> 'delivered'")
		w.andText("event_type", f.EventType)
		if !f.EndpointID.IsZero() {
			w.and("endpoint_id::text = %s::text", f.EndpointID)
		}
	case f.EventType != "": // deliveries_by_type
		w.and("tenant_id = %s", tenant)
		w.and("event_type = %s", f.EventType)
		w.andText("status", string(f.Status))
	default: // deliveries_by_tenant
		w.and("tenant_id = %s", tenant)
		w.andText("status", string(f.Status))
	}
	if !after.IsZero() {
		w.and("id < %s", after)
	}
	w.andCreated(f.Since, f.Until)
	return `SELECT ` + deliveryColumns + ` FROM deliveries WHERE ` + strings.Join(w.text, " AND ") + ` ORDER BY id DESC LIMIT ` + w.arg(f.Page.Limit), w.args
}

// where gathers conditions and their arguments.
type where struct {
	text []string
	args []any
}

// arg adds an argument and returns its placeholder.
func (w *where) arg(value any) string {
	w.args = append(w.args, value)
	return fmt.Sprintf("$%d", len(w.args))
}

// and adds a condition, where %s is the placeholder of the value.
func (w *where) and(condition string, value any) {
	w.text = append(w.text, fmt.Sprintf(condition, w.arg(value)))
}

// andText adds a condition on a text column that no index serves; "": no condition.
func (w *where) andText(column, value string) {
	if value != "" {
		w.and(column+" || '' = %s", value)
	}
}

// idSlack is how far the moment inside a delivery's id may be from created_at: the time between the reading of a
// publication and its transaction, and the difference of the clocks that wrote the two.
const idSlack = 5 * time.Minute

// andCreated bounds created_at, and also the id, which limits the partitions and the range of the index.
func (w *where) andCreated(since, until time.Time) {
	if !since.IsZero() {
		w.and("id >= uuid_floor(%s::timestamptz)", clampTime(since.Add(-idSlack)))
		w.and("created_at >= %s", clampTime(since))
	}
	if !until.IsZero() {
		w.and("id < uuid_floor(%s::timestamptz)", clampTime(until.Add(idSlack)))
		w.and("created_at < %s", clampTime(until))
	}
}

// clampTime keeps a bound within the times that a UUIDv7 can express, without changing which rows it selects.
func clampTime(at time.Time) time.Time {
	first, last := time.Unix(0, 0).UTC(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)
	switch {
	case at.Before(first):
		return first
	case at.After(last):
		return last
	default:
		return at
	}
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
