package postgres

import (
	"context"
	"slices"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	selectQueueState = `
		SELECT e.deleted_at IS NOT NULL AS deleted, e.disabled_at IS NOT NULL AS disabled, e.version,
			(SELECT count(*) FROM (SELECT FROM deliveries d WHERE d.endpoint_id = e.id AND d.queue_due_at IS NOT NULL LIMIT $3) AS owned) AS waiting,
			(SELECT greatest(extract(epoch FROM d.queue_due_at - clock_timestamp()) * 1000, 0)::bigint FROM deliveries d
				WHERE d.endpoint_id = e.id AND d.queue_due_at IS NOT NULL ORDER BY d.queue_due_at LIMIT 1) AS due_in_ms,
			EXISTS (SELECT FROM recoveries r WHERE r.endpoint_id = e.id AND r.phase <> 'ended') AS recovering,
			e.disabled_at IS NOT NULL AND EXISTS (SELECT FROM deliveries d
				WHERE d.endpoint_id = e.id AND d.queue_due_at > clock_timestamp() AND d.held_at IS NULL AND d.queue_lease IS NOT NULL) AS leased
		FROM endpoints e WHERE e.id = $1 AND e.tenant_id || '' = $2`

	// queueDeliveries tells the index of statuses what is pending, because the sweep passes over what is queued.
	queueDeliveries = `
		WITH locked AS MATERIALIZED (
			SELECT d.id, q.after_ms FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS q (id, tenant_id, after_ms) JOIN deliveries d ON d.id = q.id
			WHERE d.tenant_id || '' = q.tenant_id AND d.status || '' = 'pending' AND d.attempts = 0 AND d.queue_due_at IS NULL AND NOT d.test
			ORDER BY d.id FOR UPDATE OF d
		)
		UPDATE deliveries d SET queue_due_at = now() + locked.after_ms * interval '1 millisecond', queue_lease = NULL, indexed_status = 'pending'
		FROM locked WHERE d.id = locked.id
		RETURNING d.id`

	selectQueuesToWake = `SELECT tenant_id, id FROM endpoints WHERE wake_due AND id > $1 ORDER BY id LIMIT $2`

	queueWoken = `
		UPDATE endpoints SET wake_due = false
		WHERE id = $1 AND tenant_id || '' = $2 AND wake_due AND (version = $3 OR deleted_at IS NOT NULL)`

	// overdueQueues steps from endpoint to endpoint that has a queue, not from delivery to delivery, and reads of each queue the
	// first delivery. Of a disabled endpoint's queue it reads what is not held. It uses scalar subqueries, because the planner
	// would turn EXISTS into a join.
	overdueQueues = `
		WITH RECURSIVE queue AS (
			(SELECT endpoint_id FROM deliveries WHERE queue_due_at IS NOT NULL AND endpoint_id > $2 ORDER BY endpoint_id LIMIT 1)
			UNION ALL
			SELECT next.endpoint_id FROM queue q CROSS JOIN LATERAL (
				SELECT d.endpoint_id FROM deliveries d WHERE d.queue_due_at IS NOT NULL AND d.endpoint_id > q.endpoint_id ORDER BY d.endpoint_id LIMIT 1
			) AS next
		), late AS (SELECT now() - $1::bigint * interval '1 millisecond' AS at)
		SELECT e.tenant_id, e.id FROM queue q JOIN endpoints e ON e.id = q.endpoint_id CROSS JOIN late
		WHERE CASE
			WHEN e.deleted_at IS NOT NULL THEN e.deleted_at < late.at
			WHEN e.disabled_at IS NULL THEN (
				SELECT d.queue_due_at < late.at FROM deliveries d WHERE d.endpoint_id = e.id AND d.queue_due_at IS NOT NULL ORDER BY d.queue_due_at LIMIT 1)
			ELSE e.disabled_at < late.at AND (
				SELECT d.queue_due_at < late.at FROM deliveries d
				WHERE d.endpoint_id = e.id AND d.queue_due_at IS NOT NULL AND d.held_at IS NULL ORDER BY d.queue_due_at LIMIT 1)
			END
		UNION
		SELECT r.tenant_id, r.endpoint_id FROM recoveries r CROSS JOIN late
		WHERE r.phase <> 'ended' AND r.page_at < late.at AND r.endpoint_id > $2
			AND (SELECT e.disabled_at IS NULL AND e.deleted_at IS NULL FROM endpoints e WHERE e.id = r.endpoint_id)
		ORDER BY id LIMIT $3`
)

// queueing is a delivery to queue.
type queueing struct {
	tenant string
	id     webhook.DeliveryID
	after  time.Duration
}

// QueueDelivery implements store.Queues. Concurrent calls share a transaction. A call whose answer is lost finds the delivery queued.
func (s *Store) QueueDelivery(ctx context.Context, tenant string, id webhook.DeliveryID, after time.Duration) (queued bool, err error) {
	return s.queueings.do(ctx, queueing{tenant, id, after})
}

func (s *Store) queueGroup(ctx context.Context, in []queueing) ([]result[bool], error) {
	var ids, tenants, afters arrayBuilder
	for i := range in {
		ids.addID(in[i].id)
		tenants.addText(in[i].tenant)
		afters.addInt(in[i].after.Milliseconds())
	}
	var queued []webhook.DeliveryID
	if err := s.selectHot(ctx, &queued, queueDeliveries, &ids, &tenants, &afters); err != nil {
		return nil, failed("queue deliveries", err)
	}
	results := make([]result[bool], len(in))
	for i := range in {
		results[i].out = slices.Contains(queued, in[i].id)
	}
	return results, nil
}

// QueueState implements store.Queues.
func (s *Store) QueueState(ctx context.Context, tenant string, endpoint webhook.EndpointID, most int) (*store.QueueState, error) {
	var rows []struct {
		store.QueueState
		DueInMS *int64 `db:"due_in_ms"`
	}
	if err := s.selectHot(ctx, &rows, selectQueueState, endpoint, tenant, most); err != nil {
		return nil, failed("read the state of a queue", err)
	}
	if len(rows) == 0 {
		return nil, notFound("endpoint", endpoint.String())
	}
	state := rows[len(rows)-1].QueueState
	if ms := rows[len(rows)-1].DueInMS; ms != nil {
		due := time.Duration(*ms) * time.Millisecond
		state.DueIn = &due
	}
	return &state, nil
}

// QueuesToWake implements store.Queues.
func (s *Store) QueuesToWake(ctx context.Context, after webhook.EndpointID, limit int) ([]store.EndpointRef, error) {
	var due []store.EndpointRef
	err := s.selectHot(ctx, &due, selectQueuesToWake, after, limit)
	return due, failed("list queues to wake", err)
}

// QueueWoken implements store.Queues.
func (s *Store) QueueWoken(ctx context.Context, tenant string, endpoint webhook.EndpointID, version int64) error {
	return failed("note that a queue was woken", s.execHot(ctx, queueWoken, endpoint, tenant, version))
}

// OverdueQueues implements store.Queues. Of a disabled endpoint it lists the queue where something was left that is not held.
func (s *Store) OverdueQueues(ctx context.Context, after time.Duration, from webhook.EndpointID, limit int) ([]store.EndpointRef, error) {
	var overdue []store.EndpointRef
	err := s.selectHot(ctx, &overdue, overdueQueues, after.Milliseconds(), from, limit)
	return overdue, failed("list overdue queues", err)
}
