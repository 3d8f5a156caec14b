package postgres

import (
	"context"
	"time"

	"waybill/store"
)

const (
	claimReconciler = `
		UPDATE reconciler_lease SET holder = $1, lease_until = clock_timestamp() + $2::bigint * interval '1 millisecond'
		WHERE holder = $1 OR lease_until <= clock_timestamp() RETURNING one`

	// sweepDeliveries advances one sweep by a page. It makes a pending delivery due since its creation, so that overdue
	// finds it until it is settled, whether its workflow has not started, is running or is lost. It skips a sweep that
	// another process is advancing. It uses now() instead of clock_timestamp(), so that the index can serve the bound.
	sweepDeliveries = `
		WITH sweep AS MATERIALIZED (
			SELECT behind, position FROM reconciler_sweeps WHERE behind = $1::interval FOR UPDATE SKIP LOCKED
		), page AS MATERIALIZED (
			SELECT d.id, d.status, d.next_attempt_at, d.queue_due_at FROM sweep CROSS JOIN LATERAL (
				SELECT id, status, next_attempt_at, queue_due_at FROM deliveries
				WHERE id > sweep.position AND id < uuid_floor(now() - sweep.behind - $2::bigint * interval '1 millisecond') ORDER BY id LIMIT $3
			) AS d
		), marked AS (
			UPDATE deliveries d SET next_attempt_at = d.created_at, indexed_status = 'pending' FROM page
			WHERE d.id = page.id AND page.status = 'pending' AND page.next_attempt_at IS NULL AND page.queue_due_at IS NULL
				AND d.status || '' = 'pending'
		), moved AS (
			UPDATE reconciler_sweeps s SET position = last.id FROM (SELECT id FROM page ORDER BY id DESC LIMIT 1) AS last WHERE s.behind = $1::interval
		)
		SELECT count(*) FROM page`

	// overdue finds, with the index deliveries_due, deliveries that are late by more than $1 ms. It leaves out events in
	// dispatches, which the relay starts, events that retention removed, and what an endpoint's queue owns.
	overdue = `
		FROM deliveries d
		WHERE d.next_attempt_at < now() - $1::bigint * interval '1 millisecond' AND d.status || '' IN ('pending', 'retrying') AND d.queue_due_at IS NULL
			AND NOT EXISTS (SELECT FROM dispatches w WHERE w.event_key = d.event_key)
			AND EXISTS (SELECT FROM events e WHERE e.id = d.event_key)`

	// heldTooLong finds, with the index deliveries_held_since, deliveries that are held for more than $1 ms longer than the
	// hold time of their dialect, and that no queue owns: $2 are the dialects, $3 their hold times in ms.
	heldTooLong = `
		FROM deliveries d JOIN tenants t ON t.id = d.tenant_id
			JOIN unnest($2::text[], $3::bigint[]) AS hold (dialect, ms) ON hold.dialect = t.dialect
		WHERE d.held_at < now() - ($1::bigint + (SELECT min(ms) FROM unnest($3::bigint[]) AS ms)) * interval '1 millisecond'
			AND d.held_at < now() - ($1::bigint + hold.ms) * interval '1 millisecond' AND d.status || '' = 'held'
			AND d.queue_due_at IS NULL AND EXISTS (SELECT FROM events e WHERE e.id = d.event_key)`

	selectStalled = `
		SELECT * FROM (
			(SELECT d.id, d.tenant_id, d.event_id, d.event_key, d.status, d.next_attempt_at AS since ` + overdue + `
				AND (d.next_attempt_at, d.id) > ($4::timestamptz, $5::uuid) ORDER BY d.next_attempt_at, d.id LIMIT $6)
			UNION ALL
			(SELECT d.id, d.tenant_id, d.event_id, d.event_key, d.status, d.held_at AS since ` + heldTooLong + `
				AND (d.held_at, d.id) > ($4::timestamptz, $5::uuid) ORDER BY d.held_at, d.id LIMIT $6)
		) AS stalled ORDER BY since, id LIMIT $6`

	// countStalled stops at 10,000 of either kind, which is enough for the metric and bounds the statement.
	countStalled = `
		SELECT (SELECT count(*) FROM (SELECT ` + overdue + ` LIMIT 10000) AS late) +
			(SELECT count(*) FROM (SELECT ` + heldTooLong + ` LIMIT 10000) AS held)`
)

// lastSweep is the sweep that is the furthest behind.
const lastSweep = "1 hour"

// sweeps are the rows of reconciler_sweeps.
var sweeps = []string{"0", lastSweep}

// ClaimReconciler implements store.Reconciliation.
func (s *Store) ClaimReconciler(ctx context.Context, holder string, lease time.Duration) (bool, error) {
	var claimed []bool
	err := s.selectHot(ctx, &claimed, claimReconciler, holder, lease.Milliseconds())
	return len(claimed) > 0, failed("claim the reconciler", err)
}

// SweepDeliveries implements store.Reconciliation. limit is per sweep.
func (s *Store) SweepDeliveries(ctx context.Context, after time.Duration, limit int) (more bool, err error) {
	for _, sweep := range sweeps {
		var looked []int
		if err := s.selectHot(ctx, &looked, sweepDeliveries, sweep, after.Milliseconds(), limit); err != nil {
			return false, failed("sweep deliveries", err)
		}
		more = more || len(looked) > 0 && looked[len(looked)-1] == limit
	}
	return more, nil
}

// StalledDeliveries implements store.Reconciliation.
func (s *Store) StalledDeliveries(ctx context.Context, rule store.StallRule, after store.Stalled, limit int) ([]store.Stalled, error) {
	var found []store.Stalled
	err := s.selectHot(ctx, &found, selectStalled, append(stallArgs(rule), after.Since, after.ID, limit)...)
	return found, failed("list stalled deliveries", err)
}

// CountStalled implements store.Reconciliation.
func (s *Store) CountStalled(ctx context.Context, rule store.StallRule) (int, error) {
	var n []int
	if err := s.selectHot(ctx, &n, countStalled, stallArgs(rule)...); err != nil {
		return 0, failed("count stalled deliveries", err)
	}
	return n[len(n)-1], nil
}

func stallArgs(rule store.StallRule) []any {
	dialects, holds := new(arrayBuilder), new(arrayBuilder)
	for dialect, hold := range rule.Holds {
		dialects.addText(dialect)
		holds.addInt(hold.Milliseconds())
	}
	return []any{rule.After.Milliseconds(), dialects, holds}
}
