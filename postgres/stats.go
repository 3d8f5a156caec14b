package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	statsSums = `sum(attempts)::bigint AS attempts, sum(delivered)::bigint AS delivered, sum(exhausted)::bigint AS exhausted,
		sum(canceled)::bigint AS canceled`

	selectEndpointStats = `
		SELECT date_bin($4::bigint * interval '1 ms', at, 'epoch') AS at, status_code, duration, ` + statsSums + `
		FROM delivery_stats WHERE endpoint_id = ANY ($2::uuid[]) AND tenant_id || '' = $1 AND at >= $3
		GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`

	// selectTenantStats adds up what the upkeep added up over endpoints, and what it did not get to yet.
	selectTenantStats = `
		SELECT date_bin($3::bigint * interval '1 ms', at, 'epoch') AS at, status_code, duration, ` + statsSums + ` FROM (
			SELECT at, status_code, duration, attempts, delivered, exhausted, canceled FROM tenant_stats
			WHERE tenant_id = $1 AND at >= $2
			UNION ALL
			SELECT at, status_code, duration, attempts, delivered, exhausted, canceled FROM delivery_stats
			WHERE tenant_id = $1 AND at >= $2 AND writer > 0
		) AS cells GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`

	// countedMost is how many rows the counts of what is not settled look at.
	countedMost = 10_000
	mostText    = `10000`

	// unswept are the deliveries that the last sweep has not come to. What is pending of the others has an indexed status, and is due or queued,
	// so that no count reads what an endpoint got weeks ago.
	unswept = `id > (SELECT position FROM reconciler_sweeps WHERE behind = '` + lastSweep + `')`

	// selectUnsettled reads deliveries_by_indexed_status, and what is pending and was not swept yet among the tenant's newest deliveries.
	selectUnsettled = `
		SELECT
			(SELECT count(*) FILTER (WHERE status = 'pending' AND indexed_status IS NULL) FROM (SELECT status, indexed_status FROM deliveries
				WHERE tenant_id = $1 AND ` + unswept + ` ORDER BY id DESC LIMIT ` + mostText + `) AS d) +
			(SELECT count(*) FROM (SELECT FROM deliveries WHERE tenant_id = $1 AND indexed_status = 'pending'
				ORDER BY id DESC LIMIT ` + mostText + `) AS d) AS pending,
			(SELECT count(*) FROM (SELECT FROM deliveries WHERE tenant_id = $1 AND indexed_status = 'retrying'
				ORDER BY id DESC LIMIT ` + mostText + `) AS d) AS retrying,
			(SELECT count(*) FROM (SELECT FROM deliveries WHERE tenant_id = $1 AND indexed_status = 'held'
				ORDER BY id DESC LIMIT ` + mostText + `) AS d) AS held`

	// selectUnsettledOfEndpoints reads deliveries_by_endpoint, deliveries_queued_active, deliveries_waiting and deliveries_held, $3 rows of each
	// endpoint at most. What waits for its next attempt and is pending was swept, opened again, or claimed by the queue; before that the queue's
	// has no next attempt.
	selectUnsettledOfEndpoints = `
		SELECT coalesce(sum(new.pending + queued.pending + waiting.pending), 0)::bigint AS pending, coalesce(sum(waiting.retrying), 0)::bigint AS retrying,
			coalesce(sum(held.held), 0)::bigint AS held
		FROM unnest($2::uuid[]) AS of (id),
			LATERAL (SELECT count(*) FILTER (WHERE tenant_id = $1 AND status = 'pending' AND next_attempt_at IS NULL AND queue_due_at IS NULL) AS pending FROM (
				SELECT tenant_id, status, next_attempt_at, queue_due_at FROM deliveries
				WHERE endpoint_id = of.id AND ` + unswept + ` ORDER BY id DESC LIMIT $3) AS d) AS new,
			LATERAL (SELECT count(*) FILTER (WHERE status = 'pending' AND next_attempt_at IS NULL) AS pending FROM (
				SELECT status, next_attempt_at FROM deliveries WHERE endpoint_id = of.id AND tenant_id || '' = $1 AND queue_due_at IS NOT NULL AND held_at IS NULL
				ORDER BY queue_due_at DESC LIMIT $3) AS d) AS queued,
			LATERAL (SELECT count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'retrying') AS retrying FROM (
				SELECT status FROM deliveries WHERE endpoint_id = of.id AND tenant_id || '' = $1 AND next_attempt_at IS NOT NULL
				ORDER BY id DESC LIMIT $3) AS d) AS waiting,
			LATERAL (SELECT count(*) AS held FROM (
				SELECT FROM deliveries WHERE endpoint_id = of.id AND tenant_id || '' = $1 AND held_at IS NOT NULL
				ORDER BY id DESC LIMIT $3) AS d) AS held`
)

// Stats implements store.Stats.
func (s *Store) Stats(ctx context.Context, of store.StatsOf, since time.Time, span time.Duration) ([]store.StatsCell, error) {
	endpoints, err := s.statsEndpoints(ctx, of)
	if err != nil {
		return nil, err
	}
	query, args := selectTenantStats, []any{of.TenantID, since, span.Milliseconds()}
	if endpoints != nil {
		query, args = selectEndpointStats, []any{of.TenantID, idsOf(endpoints), since, span.Milliseconds()}
	}
	var cells []store.StatsCell
	err = s.list(ctx, &cells, query, args...)
	return cells, failed("read statistics", err)
}

// statsEndpoints returns the endpoints to add up; nil: the whole tenant.
func (s *Store) statsEndpoints(ctx context.Context, of store.StatsOf) ([]webhook.EndpointID, error) {
	switch {
	case !of.EndpointID.IsZero():
		return []webhook.EndpointID{of.EndpointID}, nil
	case of.Within != nil:
		return s.EndpointsWithin(ctx, of.TenantID, of.Within)
	default:
		return nil, nil
	}
}

// CountUnsettled implements store.Stats.
func (s *Store) CountUnsettled(ctx context.Context, of store.StatsOf) (store.Unsettled, error) {
	endpoints, err := s.statsEndpoints(ctx, of)
	if err != nil {
		return store.Unsettled{}, err
	}
	query, args := selectUnsettled, []any{of.TenantID}
	if endpoints != nil {
		query, args = selectUnsettledOfEndpoints, []any{of.TenantID, idsOf(endpoints), max(countedMost/max(len(endpoints), 1), 10)}
	}
	var out store.Unsettled
	err = s.get(ctx, &out, query, args...)
	return out, failed("count what is not settled", err)
}

// What is compacted: cells that nobody adds to any more, taken away and added to larger ones in one statement. A cell that is being
// written is left to the next round. The statements tell how many cells they took.
const (
	addEndpointCells = `
		INSERT INTO delivery_stats AS s (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
		SELECT endpoint_id, date_bin($3::bigint * interval '1 ms', at, 'epoch'), $4::smallint, status_code, duration, tenant_id, ` + statsSums + `
		FROM taken GROUP BY 1, 2, status_code, duration, tenant_id ORDER BY 1, 2, status_code, duration
		ON CONFLICT (endpoint_id, at, writer, status_code, duration) DO UPDATE SET ` + addCells

	addTenantCells = `
		INSERT INTO tenant_stats AS s (tenant_id, at, hours, status_code, duration, attempts, delivered, exhausted, canceled)
		SELECT tenant_id, date_bin($3::bigint * interval '1 ms', at, 'epoch'), $4::smallint = 0, status_code, duration, ` + statsSums + `
		FROM taken GROUP BY 1, 2, status_code, duration ORDER BY 1, 2, status_code, duration
		ON CONFLICT (tenant_id, at, hours, status_code, duration) DO UPDATE SET ` + addCells

	addCells = `attempts = s.attempts + excluded.attempts, delivered = s.delivered + excluded.delivered,
			exhausted = s.exhausted + excluded.exhausted, canceled = s.canceled + excluded.canceled`

	compactWritten = `
		WITH taken AS (
			DELETE FROM delivery_stats WHERE ctid = ANY (ARRAY(
				SELECT ctid FROM delivery_stats WHERE writer > 0 AND at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))
			RETURNING *
		), endpoints AS (` + addEndpointCells + `), tenants AS (` + addTenantCells + `)
		SELECT count(*) FROM taken`

	compactMinutes = `
		WITH taken AS (
			DELETE FROM delivery_stats WHERE ctid = ANY (ARRAY(
				SELECT ctid FROM delivery_stats WHERE writer = -1 AND at < $1 ORDER BY at LIMIT $2 FOR UPDATE))
			RETURNING *
		), endpoints AS (` + addEndpointCells + `)
		SELECT count(*) FROM taken`

	compactTenants = `
		WITH taken AS (
			DELETE FROM tenant_stats WHERE ctid = ANY (ARRAY(
				SELECT ctid FROM tenant_stats WHERE NOT hours AND at < $1 ORDER BY at LIMIT $2 FOR UPDATE))
			RETURNING *
		), tenants AS (` + addTenantCells + `)
		SELECT count(*) FROM taken`

	forgetHours = `
		WITH endpoints AS (
			DELETE FROM delivery_stats WHERE ctid = ANY (ARRAY(SELECT ctid FROM delivery_stats WHERE writer = 0 AND at < $1 ORDER BY at LIMIT $2))
			RETURNING 1
		), tenants AS (
			DELETE FROM tenant_stats WHERE ctid = ANY (ARRAY(SELECT ctid FROM tenant_stats WHERE hours AND at < $1 ORDER BY at LIMIT $2))
			RETURNING 1
		)
		SELECT greatest((SELECT count(*) FROM endpoints), (SELECT count(*) FROM tenants))`
)

// Ages of cells, from their begin. Nobody adds to five minutes that ended a minute ago, except a process that is slow or whose clock
// is behind: its cells are added up later.
const (
	statsSettle  = 6 * time.Minute
	statsMinutes = 2 * time.Hour
)

// CompactStats implements store.Stats.
func (s *Store) CompactStats(ctx context.Context, keep time.Duration, limit int) (more bool, err error) {
	err = s.transact(ctx, "add up statistics", func(tx *sqlx.Tx) error {
		more = false
		// Two at once would wait for each other's cells.
		var mine bool
		if err := tx.GetContext(ctx, &mine, `SELECT pg_try_advisory_xact_lock(hashtext('waybill.stats'), hashtext(current_schema()))`); err != nil || !mine {
			return err
		}
		var now time.Time
		if err := tx.GetContext(ctx, &now, `SELECT now()`); err != nil {
			return err
		}
		for _, step := range []struct {
			query string
			args  []any
		}{
			{compactWritten, []any{now.Add(-statsSettle), limit, (5 * time.Minute).Milliseconds(), -1}},
			{compactMinutes, []any{now.Add(-statsMinutes).Truncate(time.Hour), limit, time.Hour.Milliseconds(), 0}},
			{compactTenants, []any{now.Add(-statsMinutes).Truncate(time.Hour), limit, time.Hour.Milliseconds(), 0}},
			{forgetHours, []any{now.Add(-keep), limit}},
		} {
			var took int
			if err := tx.GetContext(ctx, &took, step.query, step.args...); err != nil {
				return err
			}
			more = more || took == limit
		}
		return nil
	})
	return more, err
}
