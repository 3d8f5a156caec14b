package postgres

import (
	"context"
	"encoding/json"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

// These begin each page of an erasure. A record that is under way is waited for, so that the next statement of the transaction sees
// what it wrote.
const (
	lockDeliveriesOf = `SELECT id FROM deliveries WHERE tenant_id = $1 ORDER BY id LIMIT $2 FOR UPDATE`
	lockEventsOf     = `SELECT id FROM events WHERE tenant_id = $1 ORDER BY id LIMIT $2 FOR UPDATE`
)

// erasedWith are the statements that delete what belongs to the rows $1 that a page locked, in their order; the last one deletes the
// rows themselves. Attempts are looked for in every month, so that none is missed whatever a clock said.
var (
	erasedWithDeliveries = []string{
		`DELETE FROM attempts WHERE delivery_id = ANY ($1::uuid[])`,
		`DELETE FROM deliveries d USING unnest($1::uuid[]) AS page (id) WHERE d.id = page.id`,
	}
	erasedWithEvents = []string{
		`DELETE FROM dispatches WHERE event_key = ANY ($1::uuid[])`,
		`DELETE FROM erased_events WHERE event_key = ANY ($1::uuid[])`,
		`DELETE FROM events e USING unnest($1::uuid[]) AS page (id) WHERE e.id = page.id`,
	}
)

// ofTenant are the tables whose rows of a tenant go after its deliveries and events, with the condition that finds them.
var ofTenant = []struct{ table, condition string }{
	{"event_keys", `tenant_id = $1`},
	{"outbox", `tenant_id = $1`},
	{"outbox_quarantine", `tenant_id = $1`},
	{"recoveries", `tenant_id = $1`},
	{"endpoint_notices", `tenant_id = $1`},
	{"endpoint_streaks", `tenant_id = $1`},
	{"delivery_stats", `tenant_id = $1`},
	{"tenant_stats", `tenant_id = $1`},
	{"idempotency_keys", `scope = $1`},
	{"event_types", `tenant_id = $1`},
	{"sessions", `tenant_id = $1`},
	{"portal_links", `tenant_id = $1`},
	{"api_keys", `tenant_id = $1`},
	{"body_retention", `tenant_id = $1`},
	// That the tenant was erased, when and by whom, is all that stays.
	{"audit", `tenant_id = $1 AND action <> 'tenant.erased'`},
}

// deleteOf deletes $2 rows of a tenant from a table that is not partitioned.
func deleteOf(table, condition string) string {
	return `DELETE FROM ` + table + ` WHERE ctid = ANY (ARRAY(SELECT ctid FROM ` + table + ` WHERE ` + condition + ` LIMIT $2 FOR UPDATE SKIP LOCKED))`
}

// EraseTenantStep implements store.Erasures. Each page is a transaction with its count, so that a crash leaves it done or not done.
func (s *Store) EraseTenantStep(ctx context.Context, tenant string, limit int) (store.ErasureStep, error) {
	var left int64 // ms
	if err := s.get(ctx, &left, selectErasing, tenant, erasureGrace.Milliseconds()); err != nil {
		return store.ErasureStep{}, failed("look for an erasure", orNotFound(err, "erasure that runs", tenant))
	}
	for _, page := range s.erasurePages(tenant, limit) {
		n, err := s.erasePage(ctx, tenant, page)
		if err != nil || n > 0 {
			return store.ErasureStep{Deleted: n}, err
		}
	}
	n, err := s.eraseMentions(ctx, tenant, limit)
	if err != nil || n > 0 {
		return store.ErasureStep{Deleted: n}, err
	}
	if left > 0 {
		return store.ErasureStep{Wait: time.Duration(left) * time.Millisecond}, nil
	}
	return store.ErasureStep{Done: true}, s.endErasure(ctx, tenant)
}

// erasurePages are the pages in their order: what refers to something goes before it.
func (s *Store) erasurePages(tenant string, limit int) []func(ctx context.Context, tx *sqlx.Tx) (int64, error) {
	locked := func(lock string, deletes []string) func(ctx context.Context, tx *sqlx.Tx) (int64, error) {
		return func(ctx context.Context, tx *sqlx.Tx) (n int64, err error) {
			var ids []webhook.EventKey // or ids of deliveries: their text is read as a UUID alone
			if err := tx.SelectContext(ctx, &ids, lock, tenant, limit); err != nil || len(ids) == 0 {
				return 0, err
			}
			for _, statement := range deletes {
				done, err := tx.ExecContext(ctx, statement, idsOf(ids))
				if err != nil {
					return 0, err
				}
				deleted, err := done.RowsAffected()
				if err != nil {
					return 0, err
				}
				n += deleted
			}
			return n, nil
		}
	}
	pages := []func(ctx context.Context, tx *sqlx.Tx) (int64, error){
		locked(lockDeliveriesOf, erasedWithDeliveries), locked(lockEventsOf, erasedWithEvents),
	}
	for _, t := range ofTenant {
		pages = append(pages, func(ctx context.Context, tx *sqlx.Tx) (int64, error) {
			done, err := tx.ExecContext(ctx, deleteOf(t.table, t.condition), tenant, limit)
			if err != nil {
				return 0, err
			}
			return done.RowsAffected()
		})
	}
	return append(pages, func(ctx context.Context, tx *sqlx.Tx) (n int64, err error) {
		err = tx.GetContext(ctx, &n, `SELECT delete_grants_of($1)`, tenant)
		return n, err
	})
}

func (s *Store) erasePage(ctx context.Context, tenant string, page func(ctx context.Context, tx *sqlx.Tx) (int64, error)) (n int64, err error) {
	err = s.transact(ctx, "erase a page of a tenant", func(tx *sqlx.Tx) error {
		if n, err = page(ctx, tx); err != nil || n == 0 {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE erasures SET rows = rows + $2 WHERE tenant_id = $1`, tenant, n)
		return err
	})
	return n, err
}

// endErasure deletes the endpoints and the tenant itself. Before that it waits for the rows that the pages skipped because somebody had
// locked them: with the tenant goes the last thing that finds them.
func (s *Store) endErasure(ctx context.Context, tenant string) error {
	return s.transact(ctx, "end an erasure", func(tx *sqlx.Tx) error {
		for _, t := range ofTenant {
			if _, err := tx.ExecContext(ctx, `DELETE FROM `+t.table+` WHERE `+t.condition, tenant); err != nil {
				return err
			}
		}
		for _, statement := range []string{
			`DELETE FROM endpoints WHERE tenant_id = $1`,
			`DELETE FROM tenants WHERE id = $1 AND erased_at IS NOT NULL`,
			`UPDATE erasures SET finished_at = clock_timestamp(), rows = rows + 1 WHERE tenant_id = $1`,
		} {
			if _, err := tx.ExecContext(ctx, statement, tenant); err != nil {
				return err
			}
		}
		s.caches.subscribers.Invalidate(tenant)
		s.caches.senders.Invalidate(tenant)
		return nil
	})
}

// selectMentions are the operational events, after $2 and among $4, whose data may name the tenant $3. The data is read as JSON only
// here, not by the database, which refuses the whole page for one text that it cannot unescape.
const selectMentions = `
	WITH page AS MATERIALIZED (
		SELECT id, event_id, event_type, body, data_from, data_to, erased_at FROM events WHERE tenant_id = $1 AND id > $2 ORDER BY id LIMIT $4
	)
	SELECT id, event_id, CASE WHEN erased_at IS NULL AND event_type = ANY ($5::text[]) AND position(convert_to('"' || $3 || '"', 'UTF8') IN body) > 0
		THEN substring(body FROM data_from + 1 FOR data_to - data_from) END AS data
	FROM page ORDER BY id`

// mention is an event that may tell of a tenant.
type mention struct {
	Key     webhook.EventKey `db:"id"`
	EventID string           `db:"event_id"`
	Data    []byte           `db:"data"`
}

// of reports whether it tells of a tenant. What is no operational event does not.
func (m *mention) of(tenant string) bool {
	var data struct {
		Tenant string `json:"tenant"`
	}
	return m.Data != nil && json.Unmarshal(m.Data, &data) == nil && data.Tenant == tenant
}

// eraseMentions erases the operational events that tell of a tenant.
func (s *Store) eraseMentions(ctx context.Context, tenant string, limit int) (n int64, err error) {
	operator := s.opts.OperatorTenant
	if operator == "" || operator == tenant {
		return 0, nil
	}
	var after webhook.EventKey
	for {
		var page []mention
		if err := s.list(ctx, &page, selectMentions, operator, after, tenant, limit, pq.StringArray(webhook.OperationalTypes)); err != nil {
			return n, failed("look for operational events of a tenant", err)
		}
		for _, e := range page {
			if !e.of(tenant) {
				continue
			}
			if err := s.eraseMention(ctx, operator, e.EventID, e.Key); err != nil {
				return n, err
			}
			n++
		}
		if len(page) < limit {
			return n, nil
		}
		after = page[len(page)-1].Key
	}
}

func (s *Store) eraseMention(ctx context.Context, operator, eventID string, key webhook.EventKey) error {
	err := s.writers.use(func(writer int) error {
		return s.transact(ctx, "erase an operational event", func(tx *sqlx.Tx) error {
			return s.eraseStored(ctx, tx, writer, operator, eventID, key, time.Now().UTC(), new(store.ErasedEvent))
		})
	})
	if err != nil {
		return err
	}
	s.caches.bodies.Invalidate(key)
	return failed("erase an operational event", s.eraseAnswers(ctx, key))
}
