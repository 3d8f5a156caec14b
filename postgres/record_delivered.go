package postgres

import (
	"context"

	"waybill/store"
)

const (
	// notSucceeded is true of a streak whose endpoint was not seen to succeed since its latest failure.
	notSucceeded = `(s.failures > 0 OR s.last_failure_at >= coalesce(s.last_success_at, '-infinity'))`

	// recordDelivered records first and later attempts that were delivered. It leaves out what needs a closer look: a delivery that
	// is delivered already, or whose attempts were counted meanwhile. Locks are taken in the order of every statement that writes
	// these tables: deliveries, streaks, statistics, each in the order of its key.
	recordDelivered = `
		WITH r AS (
			SELECT * FROM unnest(` + recordedArgs + `) AS r (` + recordedNames + `)
		), moved AS (
			UPDATE deliveries d SET attempts = r.number, status = 'delivered', indexed_status = NULL, reason = '', next_attempt_at = NULL, held_at = NULL,
				queue_due_at = NULL, queue_lease = NULL, asked = false, uncounted = d.uncounted + r.uncounted::integer, ` + setLastAttempt + `
			FROM r WHERE d.id = r.delivery_id AND d.tenant_id || '' = r.tenant_id AND d.attempts < r.number AND d.status || '' <> 'delivered'
			RETURNING ` + movedColumns + `
		), inserted AS (` + insertMoved + `
		), failing AS MATERIALIZED (
			SELECT s.endpoint_id, c.at FROM (SELECT endpoint_id, max(updated_at) AS at FROM moved WHERE NOT test GROUP BY endpoint_id) AS c
				JOIN endpoint_streaks s ON s.endpoint_id = c.endpoint_id
			WHERE ` + notSucceeded + ` ORDER BY s.endpoint_id FOR UPDATE OF s
		), ended AS (
			UPDATE endpoint_streaks s SET failures = 0, since = NULL, last_success_at = greatest(s.last_success_at, failing.at)
			FROM failing WHERE s.endpoint_id = failing.endpoint_id RETURNING 1
		), counted AS (
			INSERT INTO delivery_stats AS s (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
			SELECT endpoint_id, date_bin('5 minutes', updated_at, 'epoch'), $21::smallint, last_status_code, bucket, tenant_id, count(*), count(*), 0, 0
			FROM moved WHERE NOT test AND (SELECT count(*) FROM ended) >= 0 GROUP BY 1, 2, 4, 5, 6 ORDER BY 1, 2, 4, 5
			ON CONFLICT (endpoint_id, at, writer, status_code, duration)
				DO UPDATE SET attempts = s.attempts + excluded.attempts, delivered = s.delivered + excluded.delivered
		)
		SELECT ` + deliveryColumns + ` FROM moved`
)

// recordDelivered records attempts that were delivered, as far as nothing about them is unusual.
func (s *Store) recordDelivered(ctx context.Context, writer int, records []*store.Record) (rows []recordedRow, err error) {
	var columns newAttempts
	for _, r := range records {
		columns.add(r)
	}
	err = s.selectHot(ctx, &rows, recordDelivered, columns.args(writer)...)
	return rows, err
}
