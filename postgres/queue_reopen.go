package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	// statusOpened is the status of a delivery d that is not settled, nor held, any more.
	statusOpened = `CASE WHEN d.attempts = 0 THEN 'pending' ELSE 'retrying' END`

	selectToReopen = `
		SELECT d.status, d.attempts, d.test, d.queue_due_at IS NOT NULL AS queued,
			d.queue_lease IS NOT NULL AND d.queue_due_at > now() AS leased, EXISTS (SELECT FROM events e WHERE e.id = d.event_key AND e.erased_at IS NULL) AS stored
		FROM deliveries d WHERE d.id = $1 FOR UPDATE OF d`

	// reopenDelivery gives a settled delivery the whole retry policy again. When it is due is by the database's clock, because that
	// of this process may be ahead.
	reopenDelivery = `
		UPDATE deliveries d SET status = ` + statusOpened + `, indexed_status = ` + statusOpened + `, reason = '', uncounted = attempts, asked = true,
			next_attempt_at = now(), queue_due_at = now(), queue_lease = NULL, recovery_id = NULL, updated_at = $2
		WHERE id = $1`

	// hastenDelivery keeps a delivery's place in the order where it is due already, and the schedule, which the attempt that is asked
	// for does not change.
	hastenDelivery = `
		UPDATE deliveries SET asked = true, queue_due_at = least(queue_due_at, now()), queue_lease = NULL, updated_at = $2
		WHERE id = $1`
)

type toReopen struct {
	Status   webhook.Status `db:"status"`
	Attempts int            `db:"attempts"`
	Test     bool           `db:"test"`
	Queued   bool           `db:"queued"`
	Leased   bool           `db:"leased"`
	Stored   bool           `db:"stored"`
}

// ReopenDelivery implements store.Queues.
func (s *Store) ReopenDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, seen webhook.Status, at time.Time) (*webhook.Delivery, error) {
	var d *webhook.Delivery
	err := s.transact(ctx, "open a delivery again", func(tx *sqlx.Tx) (err error) {
		if d, err = findDelivery(ctx, tx, tenant, id); err != nil {
			return err
		}
		e, err := lockEndpoint(ctx, tx, d.EndpointID)
		if err != nil {
			return err
		}
		var now toReopen
		if err := tx.GetContext(ctx, &now, selectToReopen, id); err != nil {
			return orNotFound(err, "delivery", id.String())
		}
		if err := now.refusal(e, seen); err != nil {
			return err
		}
		switch {
		case now.Status.Settled():
			_, err = tx.ExecContext(ctx, reopenDelivery, id, at)
		case !now.Leased:
			_, err = tx.ExecContext(ctx, hastenDelivery, id, at)
		}
		if err != nil {
			return err
		}
		if d, err = findDelivery(ctx, tx, tenant, id); err != nil {
			return err
		}
		return s.auditedDelivery(ctx, tx, tenant, "delivery.retried", d, map[string]any{"status": now.Status})
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// refusal says why the delivery, which somebody saw with a status, cannot be opened again, or asked to be attempted now; nil: it can.
func (d *toReopen) refusal(e *endpointState, seen webhook.Status) error {
	switch {
	case d.Test:
		return webhook.Errorf(webhook.CodeConflict, "the delivery is a test; test the endpoint again")
	case e.Deleted:
		return webhook.Errorf(webhook.CodeConflict, "the endpoint was deleted; make a recovery with missed for the endpoint that takes its place")
	case !d.Status.Settled() && !d.Queued:
		return store.ErrOwnedByWorkflow
	case d.Status == webhook.StatusDelivered && seen != webhook.StatusDelivered:
		return webhook.Errorf(webhook.CodeConflict, "%s", d.Status.SettledText()) // it arrived meanwhile: nobody wants it sent again
	case e.Disabled:
		return webhook.Errorf(webhook.CodeConflict, "the endpoint is disabled; enable it first")
	case !d.Stored:
		return webhook.Errorf(webhook.CodeConflict, "the event was erased, or is kept no longer; publish a new one")
	case d.Attempts >= webhook.MaxAttempts:
		return webhook.Errorf(webhook.CodeConflict, "the delivery has %d attempts, which is the limit; publish a new event", d.Attempts)
	}
	return nil
}
