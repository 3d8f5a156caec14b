package postgres

import (
	"context"

	"waybill/store"
)

const (
	// selectTrouble reads at most $1 entries of the index deliveries_due and as many of deliveries_held_since, whatever the size of the
	// log: both have only what is not settled. A delivery that is pending may have a next attempt too.
	selectTrouble = `
		SELECT (SELECT count(*) FILTER (WHERE status = 'retrying') FROM (
				SELECT status FROM deliveries WHERE next_attempt_at IS NOT NULL ORDER BY next_attempt_at, id LIMIT $1) AS due) AS retrying,
			(SELECT count(*) FROM (SELECT FROM deliveries WHERE held_at IS NOT NULL ORDER BY held_at, id LIMIT $1) AS held) AS held,
			coalesce((SELECT greatest(extract(epoch FROM now() - e.created_at), 0)
				FROM (SELECT event_key FROM dispatches WHERE set_aside_at IS NULL ORDER BY event_key LIMIT 1) AS oldest
				JOIN events e ON e.id = oldest.event_key), 0)::float8 AS oldest_seconds`

	// maxStreaks bounds how many streaks are looked through for the longest. No index has their length, because it changes with
	// every failure.
	maxStreaks = 100_000

	selectWorstStreaks = `
		SELECT s.tenant_id, s.endpoint_id AS id, s.failures
		FROM (SELECT tenant_id, endpoint_id, failures FROM endpoint_streaks ORDER BY endpoint_id LIMIT $2) AS s
		WHERE s.failures > 0 AND (SELECT e.deleted_at IS NULL FROM endpoints e WHERE e.id = s.endpoint_id)
		ORDER BY s.failures DESC, s.endpoint_id LIMIT $1`
)

// CountTrouble implements store.Watch.
func (s *Store) CountTrouble(ctx context.Context, most int) (*store.Trouble, error) {
	var rows []store.Trouble
	if err := s.selectHot(ctx, &rows, selectTrouble, most); err != nil {
		return nil, failed("count what has trouble", err)
	}
	return &rows[len(rows)-1], nil // after a broken connection there may be a row of that one too
}

// WorstStreaks implements store.Watch.
func (s *Store) WorstStreaks(ctx context.Context, limit int) ([]store.EndpointStreak, error) {
	var worst []store.EndpointStreak
	err := s.list(ctx, &worst, selectWorstStreaks, limit, maxStreaks)
	return worst, failed("list the longest streaks", err)
}
