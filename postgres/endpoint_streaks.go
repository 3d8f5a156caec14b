package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

// selectStreaks also says when each endpoint last succeeded, as nearly as it can tell: the success that ended the latest streak, one
// of the endpoint's 20 newest deliveries, or else the begin of the latest span of the statistics that has a success, which may be
// before the endpoint was made. Each success is not written for that.
const selectStreaks = `
	SELECT asked.id AS endpoint_id, coalesce(s.failures, 0) AS failures, s.since, s.last_failure_at, greatest(s.last_success_at, (
			SELECT max(d.last_attempt_at + d.last_duration_ms * interval '1 millisecond') FROM (
				SELECT last_attempt_at, last_duration_ms, status, test FROM deliveries WHERE endpoint_id = asked.id ORDER BY id DESC LIMIT 20
			) AS d WHERE d.status = 'delivered' AND NOT d.test
		), (
			SELECT greatest(c.at, e.created_at) FROM delivery_stats c JOIN endpoints e ON e.id = c.endpoint_id
			WHERE c.endpoint_id = asked.id AND c.delivered > 0 ORDER BY c.at DESC LIMIT 1
		)) AS last_success_at
	FROM unnest($1::uuid[]) AS asked (id) LEFT JOIN endpoint_streaks s ON s.endpoint_id = asked.id`

// addStreaks sets what people want to know of the endpoints' attempts.
func addStreaks(ctx context.Context, q sqlx.QueryerContext, endpoints ...*webhook.Endpoint) error {
	ids := new(arrayBuilder)
	byID := make(map[webhook.EndpointID]*webhook.Endpoint, len(endpoints))
	for _, e := range endpoints {
		ids.addID(e.ID)
		byID[e.ID] = e
	}
	var rows []struct {
		ID            webhook.EndpointID `db:"endpoint_id"`
		Failures      int                `db:"failures"`
		Since         *time.Time         `db:"since"`
		LastFailureAt *time.Time         `db:"last_failure_at"`
		LastSuccessAt *time.Time         `db:"last_success_at"`
	}
	if err := sqlx.SelectContext(ctx, q, &rows, selectStreaks, ids); err != nil {
		return err
	}
	for _, row := range rows {
		e := byID[row.ID]
		e.Streak = webhook.Streak{Failures: row.Failures, Since: row.Since, LastFailureAt: row.LastFailureAt}
		e.LastFailureAt, e.LastSuccessAt = row.LastFailureAt, row.LastSuccessAt
	}
	return nil
}
