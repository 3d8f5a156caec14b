package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

const (
	// withdrawPage is how many deliveries one transaction takes out of the queue.
	withdrawPage = 1000
	// withdrawTime bounds how long CancelRecovery takes deliveries out of the queue. AdvanceRecovery takes out the rest.
	withdrawTime = 8 * time.Second
)

const (
	// statusWithdrawn is the status of a delivery d that a canceled recovery takes out of the queue.
	statusWithdrawn = `CASE WHEN d.attempts > 0 THEN 'exhausted' ELSE 'canceled' END`

	startWithdrawing = `
		UPDATE recoveries SET status = 'canceled', phase = 'withdrawing', position = '00000000-0000-0000-0000-000000000000', finished_at = $2
		WHERE id = $1`

	// withdrawDeliveries settles again what the recovery put into the queue and nobody attempted, as far as nobody is attempting it, in
	// the order of the ids, with the index deliveries_recovered.
	withdrawDeliveries = `
		WITH page AS MATERIALIZED (
			SELECT d.id FROM deliveries d
			WHERE d.recovery_id = $1 AND d.id > $2 AND d.queue_due_at IS NOT NULL
				AND (d.queue_lease IS NULL OR d.queue_due_at <= now()) AND d.attempts = d.uncounted
			ORDER BY d.id LIMIT $3 FOR UPDATE
		), settled AS (
			UPDATE deliveries d SET status = ` + statusWithdrawn + `, indexed_status = ` + statusWithdrawn + `,
				reason = CASE WHEN d.attempts > 0 THEN '' ELSE 'the recovery was canceled before it was sent' END,
				held_at = NULL, next_attempt_at = NULL, queue_due_at = NULL, recovery_id = NULL, updated_at = clock_timestamp()
			FROM page WHERE d.id = page.id RETURNING d.id
		)
		SELECT (SELECT count(*) FROM settled) AS withdrawn, (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last`

	saveWithdrawn = `UPDATE recoveries SET position = $2, sent = sent - $3 WHERE id = $1`

	// finishRecovery stores the counts of recoveryProgress.
	finishRecovery = `
		UPDATE recoveries SET status = $2, phase = 'ended', finished_at = coalesce(recoveries.finished_at, clock_timestamp()),
			delivered = progress.delivered, failed = progress.failed
		FROM (SELECT count(*) FILTER (WHERE d.status = 'delivered') AS delivered,
				count(*) FILTER (WHERE d.status <> 'delivered' AND d.attempts > d.uncounted) AS failed
			FROM deliveries d WHERE d.recovery_id = $1) AS progress
		WHERE recoveries.id = $1
		RETURNING recoveries.sent, progress.delivered, progress.failed`
)

// CancelRecovery implements store.Recoveries. The first transaction ends the recovery, and pages of others take its deliveries out
// of the queue. When the process dies in between, AdvanceRecovery goes on: the deliveries that are left keep the queue alive.
func (s *Store) CancelRecovery(ctx context.Context, tenant string, id webhook.RecoveryID, at time.Time) (*webhook.Recovery, error) {
	err := s.transact(ctx, "cancel a recovery", func(tx *sqlx.Tx) error {
		r, err := lockRecovery(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		if r.Status != webhook.RecoveryRunning {
			return webhook.Errorf(webhook.CodeConflict, "the recovery is %s already", r.Status)
		}
		if _, err := tx.ExecContext(ctx, startWithdrawing, id, at); err != nil {
			return err
		}
		return s.audited(ctx, tx, tenant, "recovery.canceled", id.String(), nil, map[string]any{"endpoint_id": r.EndpointID, "sent": r.Sent})
	})
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(min(withdrawTime, s.opts.Timeout)); time.Now().Before(end); {
		ended := false
		err := s.transact(ctx, "take a canceled recovery out of the queue", func(tx *sqlx.Tx) error {
			r, err := lockRecovery(ctx, tx, tenant, id)
			if err != nil {
				return err
			}
			if ended = r.Phase != phaseWithdrawing; ended {
				return nil
			}
			return s.withdraw(ctx, tx, r)
		})
		if err != nil {
			return nil, err
		}
		if ended {
			break
		}
	}
	return s.Recovery(ctx, tenant, id)
}

func lockRecovery(ctx context.Context, tx *sqlx.Tx, tenant string, id webhook.RecoveryID) (*recoveryRow, error) {
	var row recoveryRow
	err := tx.GetContext(ctx, &row, `
		SELECT id, tenant_id, endpoint_id, status, matched, sent, phase, position FROM recoveries WHERE id = $1 AND tenant_id || '' = $2 FOR UPDATE`,
		id, tenant)
	return &row, orNotFound(err, "recovery", id.String())
}

// withdraw takes a page of deliveries out of the queue, and ends the recovery when none is left. It forgets them, so that they do
// not count as sent.
func (s *Store) withdraw(ctx context.Context, tx *sqlx.Tx, r *recoveryRow) error {
	var page struct {
		Withdrawn int64               `db:"withdrawn"`
		Last      *webhook.DeliveryID `db:"last"`
	}
	if err := tx.GetContext(ctx, &page, withdrawDeliveries, r.ID, r.Position, withdrawPage); err != nil {
		return err
	}
	if page.Last == nil {
		return s.endRecovery(ctx, tx, r, webhook.RecoveryCanceled)
	}
	_, err := tx.ExecContext(ctx, saveWithdrawn, r.ID, *page.Last, page.Withdrawn)
	return err
}

// endRecoveriesOf cancels what runs for an endpoint that is being deleted. Its deliveries are canceled with it.
func (s *Store) endRecoveriesOf(ctx context.Context, tx *sqlx.Tx, tenant string, endpoint webhook.EndpointID) error {
	var open []openRecovery
	if err := tx.SelectContext(ctx, &open, lockRecoveries, endpoint, tenant); err != nil {
		return err
	}
	for i := range open {
		if err := s.endRecovery(ctx, tx, &open[i].recoveryRow, webhook.RecoveryCanceled); err != nil {
			return err
		}
	}
	return nil
}

// endRecovery stores what became of the deliveries, and tells the operator.
func (s *Store) endRecovery(ctx context.Context, tx *sqlx.Tx, r *recoveryRow, status webhook.RecoveryStatus) error {
	var counts struct {
		Sent      int64 `db:"sent"`
		Delivered int64 `db:"delivered"`
		Failed    int64 `db:"failed"`
	}
	if err := tx.GetContext(ctx, &counts, finishRecovery, r.ID, status); err != nil {
		return err
	}
	return s.tellOperator(ctx, tx, r.TenantID, webhook.TypeRecoveryCompleted, recoveryEnded{
		r.TenantID, r.EndpointID, r.ID, status, r.Matched, counts.Sent, counts.Delivered, counts.Failed,
	})
}

// recoveryEnded is the data of the operational event recovery.completed.
type recoveryEnded struct {
	Tenant     string                 `json:"tenant"`
	EndpointID webhook.EndpointID     `json:"endpoint_id"`
	RecoveryID webhook.RecoveryID     `json:"recovery_id"`
	Status     webhook.RecoveryStatus `json:"status"`
	Matched    int64                  `json:"matched"`
	Sent       int64                  `json:"sent"`
	Delivered  int64                  `json:"delivered"`
	Failed     int64                  `json:"failed"`
}

// tellOperator publishes an operational event in the transaction that it reports. Nobody is told of the operator's own endpoints.
func (s *Store) tellOperator(ctx context.Context, tx *sqlx.Tx, tenant, eventType string, data any) error {
	if s.opts.OperatorTenant == "" || s.opts.OperatorTenant == tenant {
		return nil
	}
	_, err := tx.ExecContext(ctx, `SELECT publish($1, $2, $3::json)`, s.opts.OperatorTenant, eventType, string(mustJSON(data)))
	return err
}
