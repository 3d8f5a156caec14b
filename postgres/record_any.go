package postgres

import (
	"context"

	"waybill/store"
)

const (
	// judged locks the deliveries and decides what becomes of each. kept: it keeps its status and its schedule, because its event's
	// workflow, which does not own it any more, made an attempt that failed, because the lease of the attempt has ended and it was
	// leased again, held or opened again since, or because it is settled. gone and off: its endpoint is deleted, or disabled. next: when the queue makes the next
	// attempt, by the database's clock, because those of the processes may differ; a manual attempt leaves the schedule as it was.
	//
	// An attempt whose number is not above the delivery's was recorded by another run of it. Where two owners made attempts, both
	// have the same number; then its id tells, and it gets the next number.
	judged = `
		WITH r AS (
			SELECT * FROM unnest(` + recordedArgs + `, $22::text[], $23::timestamptz[], $24::boolean[], $25::integer[], $26::bigint[], $27::uuid[])
				AS r (` + recordedNames + `, verdict, next_attempt_at, queued, max_failures, max_span_ms, holder)
		), before AS MATERIALIZED (
			SELECT r.*, d.status AS was, d.attempts AS made, d.queue_due_at IS NOT NULL AND (NOT r.queued OR d.queue_lease IS DISTINCT FROM r.holder AND r.holder IS NOT NULL) AS late,
				d.next_attempt_at AS scheduled,
				e.deleted_at IS NOT NULL AS gone, e.disabled_at IS NOT NULL AND e.deleted_at IS NULL AND NOT d.test AS off, e.disabled_reason,
				e.url AS endpoint_url
			FROM r JOIN deliveries d ON d.id = r.delivery_id LEFT JOIN endpoints e ON e.id = d.endpoint_id
			WHERE d.tenant_id || '' = r.tenant_id AND (d.attempts < r.number
				OR (r.queued OR d.queue_due_at IS NOT NULL) AND NOT EXISTS (SELECT FROM attempts a WHERE a.id = r.attempt_id))
			ORDER BY d.id FOR UPDATE OF d
		), kept AS MATERIALIZED (
			SELECT *, was = 'delivered' OR verdict <> 'delivered' AND (late OR was IN ('exhausted', 'canceled')) AS kept FROM before
		), judged AS MATERIALIZED (
			SELECT *, CASE WHEN kept THEN was WHEN verdict = 'retrying' AND gone THEN 'canceled' WHEN verdict = 'retrying' AND queued AND off THEN 'held'
				ELSE verdict END AS becomes,
				CASE WHEN queued AND uncounted THEN greatest(scheduled, now()) WHEN queued THEN now() + (next_attempt_at - at) ELSE next_attempt_at END AS next
			FROM kept
		)`

	// moveJudged updates the deliveries. What the queue attempted stays in the queue while it retries, and is held there while its
	// endpoint is disabled.
	moveJudged = `
		UPDATE deliveries d SET
			attempts = greatest(r.number, r.made + 1),
			status = r.becomes,
			indexed_status = CASE WHEN r.becomes = 'pending' THEN d.indexed_status ELSE nullif(r.becomes, 'delivered') END,
			reason = CASE WHEN r.kept THEN d.reason WHEN r.becomes = 'canceled' THEN 'the endpoint was deleted'
				WHEN r.becomes = 'held' THEN r.disabled_reason ELSE '' END,
			next_attempt_at = CASE WHEN r.kept THEN d.next_attempt_at WHEN r.becomes = 'retrying' THEN r.next END,
			held_at = CASE WHEN r.kept THEN d.held_at WHEN r.becomes = 'held' THEN r.at END,
			queue_due_at = CASE WHEN r.kept THEN d.queue_due_at WHEN r.becomes = 'held' THEN ` + sincePublication + `
				WHEN r.queued AND r.becomes = 'retrying' THEN r.next END,
			queue_lease = CASE WHEN r.kept THEN d.queue_lease END,
			asked = r.kept AND d.asked,
			uncounted = d.uncounted + (r.uncounted OR r.kept AND r.late)::integer,
			failed_at = CASE WHEN r.verdict <> 'delivered' THEN coalesce(d.failed_at, r.at) ELSE d.failed_at END,
			` + setLastAttempt + `
		FROM judged r WHERE d.id = r.delivery_id
		RETURNING ` + movedColumns + `, r.was, r.gone, r.endpoint_url, r.max_failures, r.max_span_ms`

	countMoved = `
		INSERT INTO delivery_stats AS s (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
		SELECT endpoint_id, date_bin('5 minutes', updated_at, 'epoch'), $21::smallint, last_status_code, bucket, tenant_id, count(*),
			count(*) FILTER (WHERE status = 'delivered' AND was <> 'delivered'), count(*) FILTER (WHERE status = 'exhausted' AND was <> 'exhausted'),
			count(*) FILTER (WHERE status = 'canceled' AND was <> 'canceled')
		FROM moved WHERE NOT test AND (SELECT count(*) FROM streaks) >= 0 GROUP BY 1, 2, 4, 5, 6 ORDER BY 1, 2, 4, 5
		ON CONFLICT (endpoint_id, at, writer, status_code, duration) DO UPDATE SET attempts = s.attempts + excluded.attempts,
			delivered = s.delivered + excluded.delivered, exhausted = s.exhausted + excluded.exhausted, canceled = s.canceled + excluded.canceled
		RETURNING 1`

	// recordAny records attempts of any outcome, with what follows from failures. recordAnyTelling also publishes operational events
	// to the tenant $28. Locks are taken in the order of every statement that writes these tables: deliveries, streaks, statistics,
	// notices, each in the order of its key.
	recordAnyWrites = judged + `, moved AS (` + moveJudged + `
		), inserted AS (` + insertMoved + `
		), changes AS MATERIALIZED (` + streakChanges + `
		), streaks AS (` + upsertStreaks + `
		), counted AS (` + countMoved + `
		), noticed AS (` + upsertNotices + `
		)
		SELECT ` + deliveryColumns + `, was, streak_failures, streak_since, streak_last_failure_at`

	recordAnyReads = `
		FROM moved LEFT JOIN (
			SELECT endpoint_id AS streak_of, failures AS streak_failures, since AS streak_since, last_failure_at AS streak_last_failure_at FROM streaks
		) AS t ON t.streak_of = endpoint_id AND outcome <> 'delivered' AND NOT test`

	recordAny        = recordAnyWrites + recordAnyReads
	recordAnyTelling = recordAnyWrites + `, ` + tellRecorded + ` AS told` + recordAnyReads
)

// recordAny records attempts of any outcome.
func (s *Store) recordAny(ctx context.Context, writer int, records []*store.Record) (rows []recordedRow, err error) {
	var columns newAttempts
	for _, r := range records {
		columns.add(r)
		columns.addOutcome(r)
	}
	query, args := recordAny, append(columns.args(writer), columns.outcomeArgs()...)
	if s.opts.OperatorTenant != "" {
		query, args = recordAnyTelling, append(args, s.opts.OperatorTenant)
	}
	err = s.selectHot(ctx, &rows, query, args...)
	return rows, err
}
