package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

const selectStreaks = `
	SELECT endpoint_id, failures, since, last_failure_at, last_success_at FROM endpoint_streaks WHERE endpoint_id = ANY ($1::uuid[])`

// addStreaks sets what people want to know of the endpoints' attempts. An endpoint that never failed has no row.
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
