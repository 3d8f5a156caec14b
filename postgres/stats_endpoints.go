package postgres

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// selectStatsOfEndpoints adds up the cells of each endpoint twice: by spans, and by durations.
const selectStatsOfEndpoints = `
	SELECT asked.id AS endpoint_id, cells.* FROM unnest($2::uuid[]) AS asked (id), LATERAL (
		SELECT date_bin($4::bigint * interval '1 ms', at, 'epoch') AS at, duration, sum(attempts)::bigint AS attempts,
			coalesce(sum(attempts) FILTER (WHERE status_code <> 0), 0)::bigint AS answered, sum(delivered)::bigint AS delivered
		FROM delivery_stats WHERE endpoint_id = asked.id AND tenant_id || '' = $1 AND at >= $3 AND duration >= 0
		GROUP BY GROUPING SETS ((1), (2))
	) AS cells ORDER BY 1, 2`

// EndpointStats implements store.Stats.
func (s *Store) EndpointStats(ctx context.Context, tenant string, endpoints []webhook.EndpointID, since time.Time, span time.Duration) (map[webhook.EndpointID]*store.EndpointStats, error) {
	ids := new(arrayBuilder)
	for _, id := range endpoints {
		ids.addID(id)
	}
	var rows []struct {
		EndpointID webhook.EndpointID `db:"endpoint_id"`
		// At is nil where the row counts a duration, Duration where it counts a span.
		At        *time.Time `db:"at"`
		Duration  *int       `db:"duration"`
		Attempts  int64      `db:"attempts"`
		Answered  int64      `db:"answered"`
		Delivered int64      `db:"delivered"`
	}
	if err := s.list(ctx, &rows, selectStatsOfEndpoints, tenant, ids, since, span.Milliseconds()); err != nil {
		return nil, failed("read the statistics of endpoints", err)
	}
	out := make(map[webhook.EndpointID]*store.EndpointStats, len(endpoints))
	for _, row := range rows {
		of := out[row.EndpointID]
		if of == nil {
			of = new(store.EndpointStats)
			out[row.EndpointID] = of
		}
		switch {
		case row.At != nil:
			of.Spans = append(of.Spans, store.StatsSpan{At: *row.At, Attempts: row.Attempts, Delivered: row.Delivered})
		case row.Duration != nil && *row.Duration < len(of.Durations):
			of.Durations[*row.Duration] += row.Answered
		}
	}
	return out, nil
}
