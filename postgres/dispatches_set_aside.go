package postgres

import (
	"context"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const (
	// selectSetAside uses the index dispatches_set_aside, which is empty when nothing is wrong. OFFSET 0 keeps the planner from going
	// through all events in the order of the page, which it does where the tables are young.
	selectSetAside = `
		SELECT d.event_key, e.tenant_id, e.event_id, e.event_type, d.tries, d.error, d.set_aside_at
		FROM dispatches d CROSS JOIN LATERAL (SELECT tenant_id, event_id, event_type FROM events WHERE id = d.event_key OFFSET 0) AS e
		WHERE d.set_aside_at IS NOT NULL AND d.event_key > $1 ORDER BY d.event_key LIMIT $2`

	countSetAside = `SELECT count(*) FROM (SELECT FROM dispatches WHERE set_aside_at IS NOT NULL ORDER BY event_key LIMIT $1) AS aside`

	retryDispatch = `
		UPDATE dispatches d SET lease_until = clock_timestamp(), tries = 0, set_aside_at = NULL
		FROM events e WHERE d.event_key = $1 AND d.set_aside_at IS NOT NULL AND e.id = d.event_key
		RETURNING d.event_key, e.tenant_id, e.event_id, e.event_type, d.tries, d.error, d.set_aside_at`

	forgetLostDispatches = `
		DELETE FROM dispatches d WHERE d.set_aside_at IS NOT NULL AND NOT EXISTS (SELECT FROM events e WHERE e.id = d.event_key)`
)

// SetAsideDispatches implements store.Dispatches.
func (s *Store) SetAsideDispatches(ctx context.Context, page store.Page) ([]store.SetAside, error) {
	var after webhook.EventKey
	if page.After != "" {
		if err := after.UnmarshalText([]byte(page.After)); err != nil {
			return nil, webhook.Errorf(webhook.CodeInvalid, "the page does not begin after an event key").WithCause(err)
		}
	}
	var list []store.SetAside
	err := s.list(ctx, &list, selectSetAside, after, page.Limit)
	return list, failed("list dispatches that are set aside", err)
}

// CountSetAside implements store.Dispatches.
func (s *Store) CountSetAside(ctx context.Context, most int) (int, error) {
	var n []int
	if err := s.selectHot(ctx, &n, countSetAside, most); err != nil {
		return 0, failed("count dispatches that are set aside", err)
	}
	return n[len(n)-1], nil // after a broken connection there may be a row of that one too
}

// RetryDispatch implements store.Dispatches.
func (s *Store) RetryDispatch(ctx context.Context, key webhook.EventKey) (*store.SetAside, error) {
	var d store.SetAside
	err := s.transact(ctx, "retry a dispatch", func(tx *sqlx.Tx) error {
		if err := tx.GetContext(ctx, &d, retryDispatch, key); err != nil {
			return orNotFound(err, "dispatch that is set aside", key.String())
		}
		return s.audited(ctx, tx, d.TenantID, "dispatch.retried", key.String(), nil, map[string]string{"event_id": d.EventID})
	})
	if err != nil {
		return nil, err
	}
	return &d, nil
}

// ForgetLostDispatches implements store.Dispatches.
func (s *Store) ForgetLostDispatches(ctx context.Context) error {
	return failed("forget lost dispatches", s.exec(ctx, forgetLostDispatches))
}
