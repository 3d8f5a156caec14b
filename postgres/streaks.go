package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	lockStreak = `SELECT failures, since, last_failure_at FROM endpoint_streaks WHERE endpoint_id = $1 FOR UPDATE`

	// selectFailing goes through the streaks by endpoint: there is one for each endpoint that ever failed.
	selectFailing = `
		SELECT s.tenant_id, s.endpoint_id AS id, s.max_failures, s.max_span_ms FROM endpoint_streaks s
		WHERE s.endpoint_id > $2 AND s.failures > 0 AND s.failures >= s.max_failures
			AND s.last_failure_at - s.since >= s.max_span_ms * interval '1 millisecond'
			AND s.last_failure_at < now() - $1::bigint * interval '1 millisecond'
			AND (SELECT e.disabled_at IS NULL AND e.deleted_at IS NULL FROM endpoints e WHERE e.id = s.endpoint_id)
		ORDER BY s.endpoint_id LIMIT $3`
)

// DisableFailing implements store.Streaks.
func (s *Store) DisableFailing(ctx context.Context, tenant string, id webhook.EndpointID, rule *webhook.AutoDisable, at time.Time) (*webhook.Endpoint, bool, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	// Of many attempts that fail together, all except the first return here and do not wait for the tenant's row.
	e, err := s.Endpoint(ctx, tenant, id)
	if err != nil {
		return nil, false, err
	}
	if e.DisabledAt != nil || !rule.Reached(&e.Streak) {
		return e, false, nil
	}
	changed := false
	ctx = store.WithActor(ctx, store.Actor{Name: webhook.ByFailures})
	e, err = s.changeEndpoint(ctx, tenant, id, "disable a failing endpoint", func(tx *sqlx.Tx, e *webhook.Endpoint) error {
		streak, err := readLockedStreak(ctx, tx, id)
		if err != nil || e.DisabledAt != nil || !rule.Reached(streak) {
			return err
		}
		changed = true
		disable(e, webhook.Change{By: webhook.ByFailures, Reason: streak.Reason(), At: at})
		return s.storeDisabled(ctx, tx, e, streak)
	})
	if err != nil {
		return nil, false, err
	}
	return e, changed, nil
}

// readLockedStreak returns an endpoint's streak and keeps it until the end of the transaction; nil: it never failed.
func readLockedStreak(ctx context.Context, tx *sqlx.Tx, id webhook.EndpointID) (*webhook.Streak, error) {
	var row struct {
		Failures      int        `db:"failures"`
		Since         *time.Time `db:"since"`
		LastFailureAt *time.Time `db:"last_failure_at"`
	}
	err := tx.GetContext(ctx, &row, lockStreak, id)
	if missing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &webhook.Streak{Failures: row.Failures, Since: row.Since, LastFailureAt: row.LastFailureAt}, nil
}

// FailingEndpoints implements store.Streaks.
func (s *Store) FailingEndpoints(ctx context.Context, after time.Duration, from webhook.EndpointID, limit int) ([]store.FailingEndpoint, error) {
	var rows []struct {
		store.EndpointRef
		MaxFailures int   `db:"max_failures"`
		MaxSpanMS   int64 `db:"max_span_ms"`
	}
	if err := s.selectHot(ctx, &rows, selectFailing, after.Milliseconds(), from, limit); err != nil {
		return nil, failed("list failing endpoints", err)
	}
	failing := make([]store.FailingEndpoint, len(rows))
	for i, row := range rows {
		failing[i] = store.FailingEndpoint{EndpointRef: row.EndpointRef, Rule: webhook.AutoDisable{
			Failures: row.MaxFailures, Span: webhook.Duration(time.Duration(row.MaxSpanMS) * time.Millisecond),
		}}
	}
	return failing, nil
}
