package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

// Statements that lock both lock the endpoint before its deliveries. Of the deliveries, those that wait for a lock take them in the
// order of the ids; a claim does not wait.

const (
	// sincePublication makes a delivery of the queue due at once, at its place in the order of publication, also where the clock of the
	// process that accepted its event is ahead of the database's.
	sincePublication = `least(d.created_at, now())`

	// handOver gives a held delivery of an event's workflow to the endpoint's queue. It is due since its publication, so that the
	// queue drains the oldest first, and its schedule goes on where it was: the workflow does not count manual attempts.
	handOver = `queue_due_at = ` + sincePublication + `, queue_lease = NULL,
		uncounted = CASE WHEN d.queue_due_at IS NULL THEN (SELECT count(*) FROM attempts a WHERE ` + ofDelivery + ` AND a.manual) ELSE d.uncounted END`

	// holdDelivery also hands over what a process of an earlier version held.
	holdDelivery = `
		UPDATE deliveries d SET status = 'held', indexed_status = 'held', held_at = coalesce(d.held_at, $2), reason = $3, next_attempt_at = NULL,
			updated_at = $2, ` + handOver + `
		WHERE d.id = $1 AND NOT d.test AND (d.status || '' IN ('pending', 'retrying') OR d.status || '' = 'held' AND d.queue_due_at IS NULL)`

	// adoptHeld finds what to adopt with the index deliveries_held_unowned, which is empty once all processes have this version.
	adoptHeld = `
		WITH held AS MATERIALIZED (
			SELECT id FROM deliveries WHERE held_at IS NOT NULL AND queue_due_at IS NULL ORDER BY id LIMIT $1
		), locked AS MATERIALIZED (
			SELECT d.id FROM held h JOIN deliveries d ON d.id = h.id WHERE d.status || '' = 'held' ORDER BY d.id FOR UPDATE OF d
		), adopted AS (
			UPDATE deliveries d SET ` + handOver + ` FROM locked WHERE d.id = locked.id
			RETURNING d.tenant_id, d.event_id, d.endpoint_id
		)
		SELECT tenant_id, event_id, endpoint_id FROM adopted`
)

// Holding a delivery and enabling its endpoint both lock the endpoint's row. If the hold is first, the queue that enabling wakes
// finds the held delivery. If it is second, it sees the endpoint enabled and holds nothing.

// HoldDelivery implements store.Deliveries.
func (s *Store) HoldDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, at time.Time) (*webhook.Delivery, error) {
	var d *webhook.Delivery
	err := s.transact(ctx, "hold a delivery", func(tx *sqlx.Tx) (err error) {
		if d, err = findDelivery(ctx, tx, tenant, id); err != nil {
			return err
		}
		e, err := lockEndpoint(ctx, tx, d.EndpointID)
		if err != nil {
			return err
		}
		if e.Disabled && !e.Deleted {
			if _, err = tx.ExecContext(ctx, holdDelivery, id, at, e.Reason); err != nil {
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

// AdoptHeld implements store.Queues.
func (s *Store) AdoptHeld(ctx context.Context, limit int) ([]store.AdoptedDelivery, error) {
	var adopted []store.AdoptedDelivery
	err := s.selectHot(ctx, &adopted, adoptHeld, limit)
	return adopted, failed("adopt held deliveries", err)
}

// endpointState is whether an endpoint sends, and why it does not.
type endpointState struct {
	Disabled bool   `db:"disabled"`
	Deleted  bool   `db:"deleted"`
	Reason   string `db:"disabled_reason"`
}

// lockEndpoint returns the endpoint's state and keeps it until the end of the transaction.
func lockEndpoint(ctx context.Context, tx *sqlx.Tx, id webhook.EndpointID) (*endpointState, error) {
	var e endpointState
	err := tx.GetContext(ctx, &e, `
		SELECT disabled_at IS NOT NULL AS disabled, deleted_at IS NOT NULL AS deleted, disabled_reason FROM endpoints WHERE id = $1 FOR SHARE`, id)
	if err != nil {
		return nil, orNotFound(err, "endpoint", id.String())
	}
	return &e, nil
}
