package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/webhook"
)

// missedLook is how many events one statement looks through.
const missedLook = 10_000

var (
	// missedAmong are the events of the wanted types that the endpoint has no delivery of, among the next $4 events of a tenant in the
	// order of publication, with the index events_by_tenant.
	missedAmong = `
		FROM (
			SELECT * FROM events WHERE tenant_id = $1 AND id > $2 AND id < uuid_floor($3::timestamptz) ORDER BY id LIMIT $4
		) AS d
		WHERE NOT d.test AND d.erased_at IS NULL AND ` + fmt.Sprintf(wantedType, 5, 6, 7) + ` AND ` + fmt.Sprintf(wantedType, 8, 9, 10) + `
			AND NOT EXISTS (SELECT FROM (SELECT d.id AS key, d.created_at AS stored_at) AS stored` + deliveriesOfStored + ` WHERE endpoint_id::text = $11::text)`

	selectMissed = `SELECT d.id, d.event_id, d.event_type, d.attributes, d.created_at ` + missedAmong + ` ORDER BY d.id LIMIT $12`
	countMissed  = `SELECT d.event_type, count(*) AS n ` + missedAmong + ` GROUP BY d.event_type`

	// selectMissedEnd returns the last event that missedAmong looks through; none when there are fewer than $4.
	selectMissedEnd = `SELECT id FROM events WHERE tenant_id = $1 AND id > $2 AND id < uuid_floor($3::timestamptz) ORDER BY id OFFSET $4 - 1 LIMIT 1`

	// insertMissed makes deliveries that are due in the queue. They count from the publication of their events, as all do.
	insertMissed = `
		INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, created_at, updated_at, next_attempt_at, queue_due_at,
			recovery_id, indexed_status)
		SELECT m.id, $1, m.event_key, m.event_id, m.event_type, $2, m.created_at, clock_timestamp(), clock_timestamp(), least(m.created_at, now()), $3,
			'pending'
		FROM unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::timestamptz[]) AS m (id, event_key, event_id, event_type, created_at)`
)

type missedEvent struct {
	Key        webhook.EventKey `db:"id"`
	EventID    string           `db:"event_id"`
	EventType  string           `db:"event_type"`
	Attributes []byte           `db:"attributes"`
	CreatedAt  time.Time        `db:"created_at"`
}

// missedEvents are those among the next events of a tenant that an endpoint missed.
type missedEvents struct {
	found []missedEvent
	// last is where the next look begins; over says that there is none.
	last webhook.EventKey
	over bool
}

// search is what missed events are looked for by.
type search struct {
	recovery *webhook.Recovery
	endpoint *webhook.Endpoint
	// dialect may be nil.
	dialect *webhook.Dialect
}

// args are $1 to $11 of missedAmong.
func (s *search) args(after webhook.EventKey) []any {
	args := append([]any{s.recovery.TenantID, after, clampTime(s.recovery.Until), missedLook}, typeArgs(s.endpoint.EventTypes)...)
	return append(append(args, typeArgs(s.recovery.EventTypes)...), s.endpoint.ID)
}

// misses reports whether the event passes the endpoint's filter.
func (s *search) misses(m *missedEvent) (bool, error) {
	var attributes map[string]string
	if m.Attributes != nil {
		if err := json.Unmarshal(m.Attributes, &attributes); err != nil {
			return false, fmt.Errorf("read the attributes of %s: %w", m.Key, err)
		}
	}
	return s.recovery.Misses(s.endpoint, s.dialect, m.EventType, attributes), nil
}

// find returns at most most of the events that the endpoint missed.
func (s *search) find(ctx context.Context, q sqlx.QueryerContext, after webhook.EventKey, most int) (*missedEvents, error) {
	read := most
	if len(s.endpoint.Filter) > 0 {
		read = missedLook // the filter is looked at here
	}
	args := s.args(after)
	var rows []missedEvent
	if err := sqlx.SelectContext(ctx, q, &rows, selectMissed, append(args, read)...); err != nil {
		return nil, err
	}
	out := &missedEvents{}
	for i := range rows {
		missed, err := s.misses(&rows[i])
		if err != nil {
			return nil, err
		}
		if !missed {
			continue
		}
		if out.found = append(out.found, rows[i]); len(out.found) == most {
			out.last = rows[i].Key
			return out, nil
		}
	}
	if len(rows) == read {
		out.last = rows[read-1].Key
		return out, nil
	}
	var err error
	out.last, out.over, err = s.end(ctx, q, args)
	return out, err
}

// end returns the last event that missedAmong looks through; over says that none follows.
func (s *search) end(ctx context.Context, q sqlx.QueryerContext, args []any) (last webhook.EventKey, over bool, err error) {
	err = sqlx.GetContext(ctx, q, &last, selectMissedEnd, args[:4]...)
	if missing(err) {
		return last, true, nil
	}
	return last, false, err
}

// search returns what is looked for; the recovery's own endpoint as it is now.
func (s *Store) search(ctx context.Context, q sqlx.QueryerContext, r *webhook.Recovery, e *webhook.Endpoint) (*search, error) {
	d, err := s.dialectOf(ctx, q, r.TenantID)
	return &search{r, e, d}, err
}

// dialectOf returns the dialect of a tenant; nil where this process does not know it.
func (s *Store) dialectOf(ctx context.Context, q sqlx.QueryerContext, tenant string) (*webhook.Dialect, error) {
	var name string
	err := sqlx.GetContext(ctx, q, &name, `SELECT dialect FROM tenants WHERE id = $1`, tenant)
	return s.opts.Dialects[name], orNotFound(err, "tenant", tenant)
}

// advanceMissed makes deliveries for the next events that the endpoint missed.
func (s *Store) advanceMissed(ctx context.Context, tx *sqlx.Tx, r *recoveryRow, e *webhook.Endpoint, limit int) (*recoveryPage, error) {
	look, err := s.search(ctx, tx, r.recovery(), e)
	if err != nil {
		return nil, err
	}
	missed, err := look.find(ctx, tx, webhook.EventKey(r.Position), limit)
	if err != nil {
		return nil, err
	}
	page := &recoveryPage{sent: len(missed.found), last: webhook.DeliveryID(missed.last), over: missed.over}
	if page.sent == 0 {
		return page, nil
	}
	var id, key, eventID, eventType, created arrayBuilder
	for _, m := range missed.found {
		id.addID(s.deliveryIDAt(m.CreatedAt))
		key.addID(m.Key)
		eventID.addText(m.EventID)
		eventType.addText(m.EventType)
		created.addTime(m.CreatedAt)
	}
	_, err = tx.ExecContext(ctx, insertMissed, r.TenantID, r.EndpointID, r.ID, &id, &key, &eventID, &eventType, &created)
	return page, err
}

// deliveryIDAt returns a new id as of the moment when the event was stored. The delivery is then where a delivery of that event
// would be: in the same month, which retention removes as a whole, and in the log's order.
func (s *Store) deliveryIDAt(at time.Time) webhook.DeliveryID {
	return webhook.NewIDAt[webhook.DeliveryID](s.opts.NewUUID(), at)
}
