package main

import (
	"context"
	"fmt"

	"github.com/lib/pq"
)

// The statistics of a week in which every endpoint gets something in each five minutes: answers of 200 in four buckets of duration,
// of 500 in two, and none. The first tenant has 490 endpoints besides, which only the statistics know, so that they are those
// of a tenant with 500. They are as the upkeep leaves them: hours, five minutes of up to three hours, and what four writers wrote in
// the last ten minutes.
// $1: tenants, $2: their endpoints in turn.
const (
	statsEndpoints = `
		WITH endpoints AS (
			SELECT ($1::text[])[1 + (n - 1) / 10] AS tenant, ($2::uuid[])[n] AS id FROM generate_series(1, cardinality($2::uuid[])) AS n
			UNION ALL
			SELECT ($1::text[])[1], md5('bench ' || n)::uuid FROM generate_series(1, 490) AS n
		), kinds AS (
			SELECT * FROM (VALUES (200, 6), (200, 7), (200, 8), (200, 10), (500, 6), (500, 9), (0, 30)) AS k (code, duration)
		), spans AS (
			SELECT date_bin('1 hour', now(), 'epoch') - n * interval '1 hour' AS at, 0 AS writer FROM generate_series(3, 170) AS n
			UNION ALL
			SELECT date_bin('5 minutes', now(), 'epoch') - n * interval '5 minutes', -1 FROM generate_series(2, 30) AS n
			UNION ALL
			SELECT date_bin('5 minutes', now(), 'epoch') - n * interval '5 minutes', w FROM generate_series(0, 1) AS n, generate_series(1, 4) AS w
		)`
	insertStats = statsEndpoints + `
		INSERT INTO delivery_stats (endpoint_id, at, writer, status_code, duration, tenant_id, attempts, delivered, exhausted, canceled)
		SELECT id, at, writer, code, duration, tenant, 3, CASE code WHEN 200 THEN 3 ELSE 0 END, CASE code WHEN 200 THEN 0 ELSE 1 END, 0
		FROM endpoints, spans, kinds`
	insertTenantStats = `
		INSERT INTO tenant_stats (tenant_id, at, hours, status_code, duration, attempts, delivered, exhausted, canceled)
		SELECT tenant_id, at, writer = 0, status_code, duration, sum(attempts), sum(delivered), sum(exhausted), sum(canceled)
		FROM delivery_stats WHERE writer <= 0 GROUP BY 1, 2, 3, 4, 5`
)

func (r *rig) fillStats(ctx context.Context, tenants, endpoints []string) error {
	if _, err := r.db.ExecContext(ctx, insertStats, pq.Array(tenants), pq.Array(endpoints)); err != nil {
		return fmt.Errorf("of endpoints: %w", err)
	}
	_, err := r.db.ExecContext(ctx, insertTenantStats)
	return err
}
