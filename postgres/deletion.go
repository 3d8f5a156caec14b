package postgres

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	// cancelDeliveriesOfDeleted finds the deliveries that wait for an endpoint with the indexes deliveries_held, deliveries_waiting
	// and deliveries_queued. What a process of an earlier version settled without telling the queue is taken out of it.
	cancelDeliveriesOfDeleted = `
		WITH waiting AS MATERIALIZED (
			(SELECT id FROM deliveries WHERE endpoint_id = $2 AND held_at IS NOT NULL ORDER BY id LIMIT $6)
			UNION
			(SELECT id FROM deliveries WHERE endpoint_id = $2 AND next_attempt_at IS NOT NULL ORDER BY id LIMIT $6)
			UNION
			(SELECT id FROM deliveries WHERE endpoint_id = $2 AND queue_due_at IS NOT NULL ORDER BY queue_due_at, id LIMIT $6)
			ORDER BY id LIMIT $6
		), locked AS MATERIALIZED (
			SELECT d.id, d.queue_due_at IS NOT NULL AS queued, d.status NOT IN ('pending', 'retrying', 'held') AS settled
			FROM waiting w JOIN deliveries d ON d.id = w.id
			WHERE d.tenant_id || '' = $3 AND (d.status || '' IN ('pending', 'retrying', 'held') OR d.queue_due_at IS NOT NULL)
				AND EXISTS (SELECT FROM endpoints e WHERE e.id = $2 AND e.tenant_id = $3 AND e.deleted_at IS NOT NULL)
			ORDER BY d.id FOR UPDATE OF d
		), canceled AS (
			UPDATE deliveries d SET status = 'canceled', indexed_status = 'canceled', reason = $4, held_at = NULL, next_attempt_at = NULL, queue_due_at = NULL,
				queue_lease = NULL, asked = false, updated_at = $5
			FROM locked WHERE d.id = locked.id AND NOT locked.settled
			RETURNING d.id, d.event_id, d.endpoint_id, d.tenant_id, d.test, d.updated_at, locked.queued
		), settled AS (
			UPDATE deliveries d SET queue_due_at = NULL, queue_lease = NULL, asked = false, indexed_status = nullif(status, 'delivered')
			FROM locked WHERE d.id = locked.id AND locked.settled RETURNING d.id, d.event_id
		), counted AS (` + countCanceled + `)
		SELECT id, event_id, queued, NOT test AS counted FROM canceled UNION ALL SELECT id, event_id, true, false FROM settled`

	// selectJustDeleted reports whether the endpoint was deleted so recently that a record which read it before may not be
	// committed yet.
	selectJustDeleted = `
		SELECT count(*) > 0 FROM endpoints WHERE id = $1 AND tenant_id = $2 AND deleted_at > clock_timestamp() - $3::bigint * interval '1 millisecond'`
)

// CancelDeliveriesOfDeleted implements store.Queues. It leaves out deliveries that were never attempted and that a workflow owns:
// their first attempt finds the endpoint deleted.
func (s *Store) CancelDeliveriesOfDeleted(ctx context.Context, tenant string, endpoint webhook.EndpointID, reason string, at time.Time, limit int) ([]store.HeldDelivery, bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	const what = "cancel what waits for a deleted endpoint"
	var canceled []struct {
		store.HeldDelivery
		Queued  bool `db:"queued"`
		Counted bool `db:"counted"`
	}
	err := s.writers.use(func(writer int) error {
		return s.selectHot(ctx, &canceled, cancelDeliveriesOfDeleted, writer, endpoint, tenant, cleanText(reason), at, limit)
	})
	if err != nil {
		return nil, false, failed(what, err)
	}
	var owned []store.HeldDelivery
	for _, d := range canceled {
		if d.Counted {
			s.metrics.canceled(1)
			s.logCanceled(ctx, &canceledRow{tenant, d.EventID, d.ID, endpoint, reason})
		}
		if !d.Queued {
			owned = append(owned, d.HeldDelivery)
		}
	}
	if len(canceled) > 0 {
		return owned, true, nil
	}
	var just bool
	err = s.get(ctx, &just, selectJustDeleted, endpoint, tenant, s.opts.Timeout.Milliseconds())
	return nil, just, failed(what, err)
}
