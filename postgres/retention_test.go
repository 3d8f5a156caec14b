package postgres_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

const day = 24 * time.Hour

// kept is the rule of the tests.
var kept = store.RetentionRule{Keep: 90 * day, Audit: 400 * day}

// monthAgo returns the first moment of the month n months ago.
func monthAgo(n int) time.Time {
	at := time.Now().UTC()
	return time.Date(at.Year(), at.Month(), 1, 0, 0, 0, 0, time.UTC).AddDate(0, -n, 0)
}

// past makes the partitions of a month and fills them with perMonth events over all of the month, each with a delivery that was
// delivered with one attempt, and with an id that its publisher chose.
func (b *bundle) past(month time.Time, endpoint webhook.EndpointID, perMonth int) {
	b.t.Helper()
	for _, parent := range []string{"events", "deliveries", "attempts"} {
		b.exec(`SELECT create_partition($1, $2::date)`, parent, month)
	}
	b.exec(`
		WITH made AS MATERIALIZED (
			SELECT at, n, (left(uuid_floor(at)::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid AS id
			FROM (SELECT n, $1::timestamptz + n * (interval '28 days' / $3::integer) AS at FROM generate_series(0, $3::integer - 1) AS n) AS moments
		), stored AS (
			INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, body, delivery_id_at, data_from, data_to)
			SELECT id, 'acme', 'order-' || id, 'order.confirmed', at, at, '{"data":{"n":1}}', -1, 8, 15 FROM made
		), keys AS (
			INSERT INTO event_keys (tenant_id, event_id, event_key, digest) SELECT 'acme', 'order-' || id, id, '\x00' FROM made
		), delivered AS (
			INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, status, attempts, created_at, updated_at)
			SELECT id, 'acme', id, 'order-' || id, 'order.confirmed', $2, 'delivered', 1, at, at FROM made
		)
		INSERT INTO attempts (id, delivery_id, number, started_at, duration_ms, status_code, outcome, error_class, error, request_headers, response_headers,
			response_body, response_truncated)
		SELECT id, id, 1, at, 5, 200, 'delivered', '', '', '{}', '{}', 'thanks', false FROM made`, month, endpoint, perMonth)
}

// swept lets the reconciler look at all deliveries.
func (b *bundle) swept() {
	b.t.Helper()
	for more := true; more; {
		var err error
		more, err = b.SweepDeliveries(b.t.Context(), 0, 10_000)
		require.NoError(b.t, err)
	}
}

// retain removes what has expired, and returns it by what it is.
func (b *bundle) retain() map[string]store.Expired {
	b.t.Helper()
	gone, err := b.Retain(b.t.Context(), kept)
	require.NoError(b.t, err)
	return byWhat(gone)
}

func byWhat(gone []store.Expired) map[string]store.Expired {
	out := map[string]store.Expired{}
	for _, g := range gone {
		out[g.What] = g
	}
	return out
}

// partitionsOf returns the months that a table has partitions of, but those ahead.
func (b *bundle) partitionsOf(parent string) (names []string) {
	b.t.Helper()
	require.NoError(b.t, b.db.Select(&names, `SELECT right(c.relname, 7) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
		WHERE i.inhparent = $1::regclass AND c.relname !~ 'default' AND right(c.relname, 7) <= to_char(now(), 'YYYY_MM') ORDER BY 1`, parent))
	return names
}

// A database with 14 months of data: ten months go with all that belongs to them, while events are delivered. What is not settled
// stays, whole, and can still be delivered.
func TestRetain(t *testing.T) {
	t.Parallel()
	const perMonth = 500
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	for n := range 14 {
		b.past(monthAgo(n+1), e.ID, perMonth)
	}
	oldest := monthAgo(14)
	// In the oldest month: one retries, one waits in the queue, one is held, and one is pending and nobody ever attempted it.
	var open []webhook.DeliveryID
	require.NoError(t, b.db.Select(&open, `SELECT id FROM deliveries WHERE id < uuid_floor($1::timestamptz) ORDER BY id LIMIT 4`, oldest.Add(day)))
	b.exec(`UPDATE deliveries SET status = 'retrying', indexed_status = 'retrying', next_attempt_at = now() WHERE id = $1`, open[0])
	b.exec(`UPDATE deliveries SET status = 'retrying', indexed_status = 'retrying', next_attempt_at = now(), queue_due_at = now() WHERE id = $1`, open[1])
	b.exec(`UPDATE deliveries SET status = 'held', indexed_status = 'held', held_at = now(), queue_due_at = now() WHERE id = $1`, open[2])
	b.exec(`UPDATE deliveries SET status = 'pending', attempts = 0 WHERE id = $1`, open[3])
	b.exec(`DELETE FROM attempts WHERE delivery_id = $1`, open[3])

	gone, err := b.Retain(t.Context(), kept)
	require.ErrorContains(t, err, "until the reconciler has looked")
	require.Empty(t, gone)
	b.swept()

	would, err := b.Expired(t.Context(), kept)
	require.NoError(t, err)
	expired := 0 // months that are over since 90 days
	for n := 14; monthAgo(n - 1).Before(time.Now().Add(-kept.Keep)); n-- {
		expired++
	}
	require.GreaterOrEqual(t, expired, 10)
	require.Len(t, would, 3*expired)
	require.EqualValues(t, 4, byWhat(would)["deliveries_"+oldest.Format("2006_01")].Kept)
	require.Equal(t, 14*perMonth, b.count(`SELECT count(*) FROM deliveries`), "a dry run changes nothing")

	stop := make(chan struct{})
	var delivering sync.WaitGroup
	made := 0
	delivering.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			r, err := b.Accept(t.Context(), publication("acme", ""))
			if err == nil {
				_, err = b.RecordAttempt(t.Context(), record("acme", r.Deliveries[0].ID, 1, webhook.StatusDelivered))
			}
			if err != nil {
				t.Error(err)
				return
			}
			made++
		}
	})
	// A partition that somebody uses at this moment goes with one of the next rounds.
	all := map[string]store.Expired{}
	require.Eventually(t, func() bool {
		gone, err := b.Retain(t.Context(), kept)
		for what, g := range byWhat(gone) {
			all[what] = g
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond)
	close(stop)
	delivering.Wait()
	require.Positive(t, made)

	for _, parent := range []string{"events", "deliveries", "attempts"} {
		require.Len(t, b.partitionsOf(parent), 15-expired)
		require.Equal(t, map[string]int64{"events": 4, "deliveries": 4, "attempts": 3}[parent], all[parent+"_"+oldest.Format("2006_01")].Kept)
	}
	left := (14 - expired) * perMonth
	require.Equal(t, left+4, b.count(`SELECT count(*) FROM event_keys`))
	require.Equal(t, left+4+made, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, left+3+made, b.count(`SELECT count(*) FROM attempts`))
	require.Empty(t, b.retain(), "nothing is left to remove")

	// What stayed is found and delivered as before.
	for i, id := range open {
		s, err := b.Sending(t.Context(), store.Target{Tenant: "acme", DeliveryID: id, EndpointID: e.ID})
		require.NoError(t, err)
		require.JSONEq(t, `{"data":{"n":1}}`, string(s.Body.Bytes))
		require.Equal(t, webhook.StatusDelivered, b.record(record("acme", id, 2, webhook.StatusDelivered)).Status)
		h, err := b.History(t.Context(), "acme", s.Delivery.EventID)
		require.NoError(t, err)
		require.Len(t, h.Deliveries[0].Attempts, min(2, 4-i))
	}
	require.Empty(t, b.retain(), "what was settled just now stays for as long as all else")
	b.exec(`UPDATE deliveries_default SET updated_at = updated_at - interval '91 days'`)
	require.EqualValues(t, 4, b.retain()["deliveries that were unsettled when their month went"].Rows)
	for _, table := range []string{"deliveries_default", "attempts_default", "events_default"} {
		require.Zero(t, b.count(`SELECT count(*) FROM `+table))
	}
	require.Equal(t, left, b.count(`SELECT count(*) FROM event_keys`))
}

// A repeated id is a repetition within retention, and afterwards a new event.
func TestRetain_RepeatedID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.past(monthAgo(5), b.endpoint("acme").ID, 1)
	b.swept()
	var id string
	require.NoError(t, b.db.Get(&id, `SELECT event_id FROM event_keys`))
	_, err := b.Accept(t.Context(), publication("acme", id))
	requireCode(t, webhook.CodeEventIDConflict, err)
	b.retain()
	_, err = b.Event(t.Context(), "acme", id)
	requireCode(t, webhook.CodeNotFound, err)
	require.False(t, b.publish(publication("acme", id)).Repeated)
	require.True(t, b.publish(publication("acme", id)).Repeated)
}

// Somebody reads the tables for hours, as pg_dump does. The partitions wait, and deliveries go on.
func TestRetain_WhileSomebodyReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.past(monthAgo(5), b.endpoint("acme").ID, 3)
	b.swept()
	dump := b.beginBlocking(`LOCK TABLE events, deliveries, attempts IN ACCESS SHARE MODE`)
	var retaining sync.WaitGroup
	retaining.Go(func() {
		for range 3 {
			_, err := b.Retain(t.Context(), kept)
			if webhook.ErrorCode(err) != webhook.CodeUnavailable {
				t.Error(err)
			}
		}
	})
	for range 20 {
		d := b.delivery()
		b.record(record("acme", d.ID, 1, webhook.StatusDelivered))
	}
	retaining.Wait()
	require.NoError(t, dump.Rollback())
	require.Len(t, b.retain(), 4)
	require.Equal(t, 20, b.count(`SELECT count(*) FROM deliveries`))
}

// More unsettled deliveries than can be moved at once keep their month.
func TestRetain_ManyUnsettled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.past(monthAgo(5), b.endpoint("acme").ID, 3_001)
	b.exec(`UPDATE deliveries SET status = 'held', indexed_status = 'held', held_at = now(), queue_due_at = now()`)
	b.swept()
	_, err := b.Retain(t.Context(), kept)
	require.ErrorContains(t, err, "more than 3000 of its rows")
	require.Equal(t, 3_001, b.count(`SELECT count(*) FROM deliveries_`+monthAgo(5).Format("2006_01")))
	b.exec(`UPDATE deliveries SET status = 'canceled', indexed_status = 'canceled', held_at = NULL, queue_due_at = NULL WHERE id = (SELECT id FROM deliveries LIMIT 1)`)
	require.EqualValues(t, 3_000, b.retain()["deliveries_"+monthAgo(5).Format("2006_01")].Kept)
	require.Equal(t, 3_000, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, 3_000, b.count(`SELECT count(*) FROM event_keys`))
}

// What is in no partition of a month goes row by row, at its own age, and nothing younger.
func TestRetain_Rows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	old, young, open := b.endpoint("acme"), b.endpoint("acme"), b.endpoint("acme")
	for _, e := range []*webhook.Endpoint{old, young} {
		require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	}
	b.exec(`UPDATE endpoints SET deleted_at = now() - interval '91 days', wake_due = false WHERE id = $1`, old.ID)
	for _, age := range []string{"91 days", "89 days"} {
		b.exec(`INSERT INTO recoveries (id, tenant_id, endpoint_id, since, until, statuses, event_types, missed, matched, phase, page_at, created_at, status)
			SELECT (left(uuid_floor(now() - $1::interval)::text, 23) || right(gen_random_uuid()::text, 13))::uuid, 'acme', $2, now(), now(), '{}', '{}',
				false, 0, phase, now(), now(), 'completed' FROM unnest(ARRAY['ended', 'withdrawing']) AS phase`, age, open.ID)
		b.exec(`INSERT INTO endpoint_notices (endpoint_id, tenant_id, due, in_trouble, wake_at)
			SELECT gen_random_uuid(), 'acme', false, trouble, now() - $1::interval FROM unnest(ARRAY[true, false]) AS trouble`, age)
	}
	b.exec(`DELETE FROM audit`)
	for _, age := range []string{"401 days", "399 days"} {
		b.exec(`INSERT INTO audit (id, tenant_id, at, actor, address, request_id, action, target) VALUES (uuid_floor(now() - $1::interval), 'acme', now(), 'a', '', '', 'a', 'b')`, age)
	}
	gone := b.retain()
	require.Len(t, gone, 4)
	for _, what := range []string{"recoveries that ended", "notices", "deleted endpoints", "audit entries"} {
		require.EqualValues(t, 1, gone[what].Rows, what)
	}
	require.Equal(t, 3, b.count(`SELECT count(*) FROM recoveries`))
	require.Equal(t, 3, b.count(`SELECT count(*) FROM endpoint_notices`))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM endpoints`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM audit`))
}

// A tenant keeps bodies and answers for a shorter time than the log. What is not settled keeps them.
func TestRetain_BodiesOfTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	week := webhook.Duration(7 * day)
	tenant, err := b.UpdateTenant(t.Context(), "acme", func(t *webhook.Tenant) error { t.Retention = &week; return nil })
	require.NoError(t, err)
	require.Equal(t, week, *tenant.Retention)
	b.past(monthAgo(1), e.ID, 600)
	b.exec(`DELETE FROM deliveries d USING events e WHERE e.id = d.event_key AND e.id >= uuid_floor(now() - interval '8 days')`)
	b.exec(`DELETE FROM events WHERE id >= uuid_floor(now() - interval '8 days')`)
	n := b.count(`SELECT count(*) FROM events`)
	b.publish(publication("acme", ""))
	var open webhook.DeliveryID
	require.NoError(t, b.db.Get(&open, `SELECT id FROM deliveries ORDER BY id LIMIT 1`))
	b.exec(`UPDATE deliveries SET status = 'retrying', indexed_status = 'retrying', next_attempt_at = now() WHERE id = $1`, open)
	require.EqualValues(t, n-1, b.retain()["events whose body and answers a tenant keeps for a shorter time"].Rows)
	require.Empty(t, b.retain())
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events WHERE body <> '' AND erased_at IS NULL`))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM attempts a JOIN deliveries d ON d.id = a.delivery_id WHERE response_body <> ''`))
	b.record(record("acme", open, 2, webhook.StatusDelivered))
	require.Empty(t, b.retain(), "it looks at what was open once a day")
	b.exec(`UPDATE body_retention SET began_at = now() - interval '2 days'`)
	require.EqualValues(t, 1, b.retain()["events whose body and answers a tenant keeps for a shorter time"].Rows)

	// An erased event stays in the log, and cannot be sent again.
	var settled webhook.DeliveryID
	require.NoError(t, b.db.Get(&settled, `SELECT id FROM deliveries WHERE event_key IN (SELECT id FROM events WHERE erased_at IS NOT NULL) LIMIT 1`))
	_, err = b.ReopenDelivery(t.Context(), "acme", settled, webhook.StatusDelivered, now())
	requireCode(t, webhook.CodeConflict, err)
	attempts, err := b.Attempts(t.Context(), "acme", settled, store.Page{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, attempts[0].ResponseBody)
}

// The role of the processes owns no partition, and nobody drops what is not over.
func TestDropPartition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.past(monthAgo(5), b.endpoint("acme").ID, 3)
	b.swept()
	role, schema := pq.QuoteIdentifier("drop_"+b.Schema()), pq.QuoteIdentifier(b.Schema())
	b.exec(`CREATE ROLE ` + role + ` LOGIN PASSWORD 'app'`)
	t.Cleanup(func() {
		_, _ = b.db.Exec(`DROP OWNED BY ` + role)
		_, _ = b.db.Exec(`DROP ROLE ` + role)
	})
	b.exec(`GRANT USAGE ON SCHEMA ` + schema + ` TO ` + role)
	b.exec(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ` + schema + ` TO ` + role)
	b.exec(`GRANT EXECUTE ON FUNCTION drop_partition(text, date) TO ` + role)
	o := b.opts
	o.URL = postgrestest.URLAs(t, "drop_"+b.Schema(), "app", b.Schema())
	app := postgrestest.Open(t, o)
	gone, err := app.Retain(t.Context(), kept)
	require.NoError(t, err)
	require.Len(t, gone, 4)
	for _, call := range []string{`'tenants', '2020-01-01'`, `NULL, '2020-01-01'`, `'events', NULL`, fmt.Sprintf(`'events', '%s'`, months()[0]+"_01")} {
		_, err := b.db.Exec(`SELECT drop_partition(` + strings.ReplaceAll(call, "_", "-") + `)`)
		require.Error(t, err, call)
	}
	require.Len(t, b.partitionsOf("events"), 1)
}
