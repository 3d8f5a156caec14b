package postgres

import (
	"context"
	"time"

	"waybill/webhook"
)

// holdQueued finds what to hold with the index deliveries_queued_active. It waits for records that are under way, so that nothing
// which they leave in the queue is missed. What a process of an earlier version settled without telling the queue is taken out of it.
const holdQueued = `
	WITH off AS MATERIALIZED (
		SELECT id, disabled_reason FROM endpoints
		WHERE id = $1 AND tenant_id || '' = $2 AND disabled_at IS NOT NULL AND deleted_at IS NULL FOR SHARE
	), waiting AS MATERIALIZED (
		SELECT d.id FROM off CROSS JOIN LATERAL (
			SELECT id FROM deliveries
			WHERE endpoint_id = off.id AND queue_due_at IS NOT NULL AND held_at IS NULL AND (queue_lease IS NULL OR queue_due_at <= now())
			ORDER BY queue_due_at, id LIMIT $4
		) AS d
	), locked AS MATERIALIZED (
		SELECT d.id, d.status NOT IN ('pending', 'retrying') AS settled FROM waiting w JOIN deliveries d ON d.id = w.id
		WHERE d.queue_due_at IS NOT NULL AND (d.queue_lease IS NULL OR d.queue_due_at <= now()) AND d.held_at IS NULL
		ORDER BY d.id FOR UPDATE OF d
	), held AS (
		UPDATE deliveries d SET status = 'held', indexed_status = 'held', held_at = $3, reason = off.disabled_reason, next_attempt_at = NULL, updated_at = $3, ` + handOver + `
		FROM locked, off WHERE d.id = locked.id AND NOT locked.settled
	), settled AS (
		UPDATE deliveries d SET queue_due_at = NULL, queue_lease = NULL, asked = false, indexed_status = nullif(status, 'delivered')
		FROM locked WHERE d.id = locked.id AND locked.settled
	)
	SELECT count(*) FROM waiting`

// HoldQueued implements store.Queues.
func (s *Store) HoldQueued(ctx context.Context, tenant string, endpoint webhook.EndpointID, at time.Time, limit int) (more bool, err error) {
	var found []int
	if err := s.selectHot(ctx, &found, holdQueued, endpoint, tenant, at, limit); err != nil {
		return false, failed("hold what is queued", err)
	}
	return found[len(found)-1] == limit, nil
}

// expireHeld finds what is held too long with the index deliveries_held_since: $2 are the dialects, $3 their hold times in ms, $4
// the reasons. What an endpoint held that is enabled again waits for its turn, and does not expire. It uses scalar subqueries, so
// that it begins with the deliveries.
const expireHeld = `
	WITH expired AS MATERIALIZED (
		SELECT d.id, d.tenant_id FROM deliveries d
		WHERE d.held_at < now() - (SELECT min(ms) FROM unnest($3::bigint[]) AS ms) * interval '1 millisecond' AND d.status || '' = 'held'
			AND d.held_at < now() - interval '1 millisecond' * (
				SELECT hold.ms FROM tenants t JOIN unnest($2::text[], $3::bigint[]) AS hold (dialect, ms) ON hold.dialect = t.dialect WHERE t.id = d.tenant_id)
			AND d.queue_due_at IS NOT NULL
			AND (SELECT e.disabled_at IS NOT NULL AND e.deleted_at IS NULL FROM endpoints e WHERE e.id = d.endpoint_id)
		ORDER BY d.held_at, d.id LIMIT $6
	), locked AS MATERIALIZED (
		SELECT d.id, hold.reason FROM expired x JOIN deliveries d ON d.id = x.id JOIN tenants t ON t.id = x.tenant_id
			JOIN unnest($2::text[], $4::text[]) AS hold (dialect, reason) ON hold.dialect = t.dialect
		WHERE d.status || '' = 'held' ORDER BY d.id FOR UPDATE OF d
	), canceled AS (
		UPDATE deliveries d SET status = 'canceled', indexed_status = 'canceled', reason = locked.reason, held_at = NULL, queue_due_at = NULL, asked = false, updated_at = $5
		FROM locked WHERE d.id = locked.id RETURNING d.*
	), counted AS (` + countCanceled + `)
	SELECT x.found, c.id, c.tenant_id, c.event_id, c.endpoint_id, c.reason
	FROM (SELECT count(*) AS found FROM expired) AS x LEFT JOIN (SELECT * FROM canceled WHERE NOT test) AS c ON true`

// ExpireHeld implements store.Queues.
func (s *Store) ExpireHeld(ctx context.Context, holds map[string]time.Duration, at time.Time, limit int) (more bool, err error) {
	if len(holds) == 0 {
		return false, nil
	}
	dialects, times, reasons := new(arrayBuilder), new(arrayBuilder), new(arrayBuilder)
	for dialect, hold := range holds {
		dialects.addText(dialect)
		times.addInt(hold.Milliseconds())
		reasons.addText("held for longer than " + webhook.Duration(hold).String())
	}
	var rows []struct {
		Found      int                 `db:"found"`
		ID         *webhook.DeliveryID `db:"id"` // nil: nothing was canceled
		TenantID   *string             `db:"tenant_id"`
		EventID    *string             `db:"event_id"`
		EndpointID *webhook.EndpointID `db:"endpoint_id"`
		Reason     *string             `db:"reason"`
	}
	err = s.writers.use(func(writer int) error {
		return s.selectHot(ctx, &rows, expireHeld, writer, dialects, times, reasons, at, limit)
	})
	if err != nil {
		return false, failed("expire held deliveries", err)
	}
	for _, r := range rows {
		if r.ID != nil {
			s.metrics.canceled(1)
			s.logCanceled(ctx, &canceledRow{*r.TenantID, *r.EventID, *r.ID, *r.EndpointID, *r.Reason})
		}
	}
	return rows[len(rows)-1].Found == limit, nil // after a broken connection there may be rows of that one too
}
