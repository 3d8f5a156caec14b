package postgres

import (
	"context"
	"errors"
	"fmt"

	"waybill/webhook"
)

// whatBodies names to people what a tenant's own retention erases.
const whatBodies = "events whose body and answers a tenant keeps for a shorter time"

// erasePage is how many events one statement erases.
const erasePage = 500

const (
	// beginBodies makes a place for each tenant with a retention of its own, and begins anew where the last beginning was a day ago: what
	// was unsettled then may be settled by now.
	beginBodies = `
		INSERT INTO body_retention AS b (tenant_id, position, began_at)
		SELECT id, '00000000-0000-0000-0000-000000000000', now() FROM tenants WHERE retention_ms IS NOT NULL
		ON CONFLICT (tenant_id) DO UPDATE SET position = excluded.position, began_at = excluded.began_at
		WHERE b.began_at < now() - interval '1 day'`

	selectBodyRetention = `
		SELECT t.id, t.retention_ms, b.position FROM tenants t JOIN body_retention b ON b.tenant_id = t.id
		WHERE t.retention_ms IS NOT NULL ORDER BY t.id`

	// bodiesDue are the settled events of the tenant $1 after the event $2 that are older than $3 ms, among the next $4.
	bodiesDue = `
		page AS MATERIALIZED (
			SELECT id AS key, created_at AS stored_at, erased_at FROM events WHERE tenant_id = $1 AND id > $2 AND id < uuid_floor(now() - $3::bigint * interval '1 millisecond')
			ORDER BY id LIMIT $4
		), due AS MATERIALIZED (
			SELECT key, stored_at FROM page stored
			WHERE erased_at IS NULL AND NOT EXISTS (SELECT FROM deliveries d WHERE ` + ofStored + ` AND ` + unsettled + `)
		)`

	eraseBodies = `
		WITH ` + bodiesDue + `, events_erased AS (
			UPDATE events e SET ` + setErased + ` FROM due WHERE e.id = due.key RETURNING e.id
		), answers_erased AS (
			UPDATE attempts a SET ` + setUnanswered + ` FROM (SELECT a.id FROM due stored` + deliveriesOfStored + attemptsOfDeliveries + `) AS made WHERE a.id = made.id
		), moved AS (
			UPDATE body_retention b SET position = last.id FROM (SELECT key AS id FROM page ORDER BY key DESC LIMIT 1) AS last WHERE b.tenant_id = $1
		)
		SELECT (SELECT count(*) FROM events_erased) AS erased, (SELECT count(*) FROM page) AS looked, (SELECT key FROM page ORDER BY key DESC LIMIT 1) AS last`

	countBodies = `WITH ` + bodiesDue + ` SELECT count(*) FROM due`

	// setErased erases what an event says, and keeps its ids, type and times for the log.
	setErased = `body = '', delivery_id_at = -1, data_from = 0, data_to = 0, attributes = NULL, metadata = NULL, traceparent = NULL, erased_at = clock_timestamp()`

	// setUnanswered erases what was sent and answered.
	setUnanswered = `request_headers = '{}', response_headers = '{}', response_body = '', response_truncated = false`
)

type bodyRetention struct {
	TenantID    string           `db:"id"`
	RetentionMS int64            `db:"retention_ms"`
	Position    webhook.EventKey `db:"position"`
}

// eraseBodies erases the bodies and answers that tenants keep for a shorter time than the log.
func (s *Store) eraseBodies(ctx context.Context) (all int64, err error) {
	if err := s.exec(ctx, beginBodies); err != nil {
		return 0, err
	}
	var tenants []bodyRetention
	if err := s.list(ctx, &tenants, selectBodyRetention); err != nil {
		return 0, err
	}
	var errs []error
	for _, t := range tenants {
		n, err := s.eraseBodiesOf(ctx, &t)
		all, errs = all+n, append(errs, err)
	}
	return all, errors.Join(errs...)
}

// eraseBodiesOf goes on with one tenant. What fails keeps no other tenant's bodies.
func (s *Store) eraseBodiesOf(ctx context.Context, t *bodyRetention) (all int64, err error) {
	for {
		var page struct {
			Erased int64             `db:"erased"`
			Looked int               `db:"looked"`
			Last   *webhook.EventKey `db:"last"`
		}
		if err := s.get(ctx, &page, eraseBodies, t.TenantID, t.Position, t.RetentionMS, erasePage); err != nil {
			return all, fmt.Errorf("of the tenant %s: %w", t.TenantID, err)
		}
		all += page.Erased
		if page.Looked < erasePage {
			return all, nil
		}
		t.Position = *page.Last
	}
}

// countBodies counts what eraseBodies would erase, up to countMost for each tenant.
func (s *Store) countBodies(ctx context.Context) (all int64, err error) {
	var tenants []bodyRetention
	if err := s.list(ctx, &tenants, selectBodyRetention); err != nil {
		return 0, err
	}
	for _, t := range tenants {
		var n int64
		if err := s.get(ctx, &n, countBodies, t.TenantID, t.Position, t.RetentionMS, countMost); err != nil {
			return all, err
		}
		all += n
	}
	return all, nil
}
