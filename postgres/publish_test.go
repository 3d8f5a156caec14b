package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// A rolled back transaction publishes nothing; a committed one publishes under the id that the call returned.
func TestPublish_Transaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	const call = `SELECT publish('acme', 'order.confirmed', '{"n": 1}', attributes => '{"shop": "oslo", "region": null}')`
	begin := func() *sqlx.Tx {
		tx, err := b.db.BeginTxx(t.Context(), nil)
		require.NoError(t, err)
		return tx
	}
	tx := begin()
	_, err := tx.Exec(call)
	require.NoError(t, err)
	require.Zero(t, b.drain(), "not committed yet")
	require.NoError(t, tx.Rollback())
	require.Zero(t, b.drain())

	tx = begin()
	var id string
	var at time.Time
	require.NoError(t, tx.Get(&id, call))
	require.NoError(t, tx.Get(&at, `SELECT now()`))
	require.NoError(t, tx.Commit())
	require.Equal(t, store.Ingested{Published: 1}, b.drain())
	got, err := b.Event(t.Context(), "acme", id)
	require.NoError(t, err)
	require.Regexp(t, `^evt_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$`, id, "a UUIDv7")
	require.Equal(t, "order.confirmed", got.Type)
	require.Equal(t, map[string]string{"shop": "oslo"}, got.Attributes)
	require.True(t, at.Equal(got.OccurredAt), "%s, not %s", got.OccurredAt, at)
	require.Len(t, b.accepted, 1)
	require.Equal(t, e.ID, b.accepted[0].Deliveries[0].EndpointID)
	require.Zero(t, b.drain())
}

// The key says when the event was published, so that events stay in the order of time.
func TestPublish_Key(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := time.Now()
	for range 3 {
		b.call(`'acme', 'a', '1'`)
	}
	var keys []string
	require.NoError(t, b.db.Select(&keys, `SELECT event_key FROM outbox ORDER BY position`))
	require.IsIncreasing(t, keys)
	var from, until string
	require.NoError(t, b.db.Get(&from, `SELECT uuid_floor($1)`, before))
	require.NoError(t, b.db.Get(&until, `SELECT uuid_floor($1)`, time.Now().Add(time.Millisecond)))
	require.LessOrEqual(t, from, keys[0])
	require.Less(t, keys[2], until)
}

// The text of data is sent as it was written, whatever a parser would make of it.
func TestPublish_DataAsWritten(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	for _, data := range []string{
		`{ "n":1e2 ,"note":"é 😀"  }`, `{"a":1,"a":2}`, `  [1.0, 1.00,-0]  `, `"<&>\u00e9\/"`, `null`, `12345678901234567890.12345678901234567890`,
		`"\u0000 \ud800"`, "{\n\t\"a\" : true\r\n}",
	} {
		var id string
		require.NoError(t, b.db.Get(&id, `SELECT publish('acme', 'a', $1)`, data))
		require.Equal(t, store.Ingested{Published: 1}, b.drain(), data)
		e, err := b.Event(t.Context(), "acme", id)
		require.NoError(t, err)
		require.Equal(t, data, string(e.Data))
		require.Contains(t, string(e.Body.Bytes), `"data":`+data+`}`)
	}
}

// A role that may do nothing else can publish once it was granted that, and can then do nothing else either.
func TestPublish_BareRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	name, conn := b.role()
	schema, role := pq.QuoteIdentifier(b.Schema()), pq.QuoteIdentifier(name)
	call := `SELECT ` + schema + `.publish('acme', 'a', '1')`
	denied := func(query string) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), query)
		require.ErrorContains(t, err, "permission denied", query)
	}
	denied(call)
	b.exec(`GRANT USAGE ON SCHEMA ` + schema + ` TO ` + role)
	denied(call)
	denied(`CREATE TEMP TABLE mine (id int); CREATE TRIGGER x AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION ` + schema + `.publish_changes('a', 'b', '')`)
	b.exec(`GRANT EXECUTE ON FUNCTION ` + schema + `.publish(text, text, json, text, timestamptz, json) TO ` + role)
	_, err := conn.ExecContext(t.Context(), call)
	require.NoError(t, err)
	require.Equal(t, store.Ingested{Published: 1}, b.drain())

	var relations []string
	require.NoError(t, b.db.Select(&relations, `SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind IN ('r', 'p', 'S')`, schema))
	require.Greater(t, len(relations), 10)
	for _, relation := range relations {
		relation = schema + "." + pq.QuoteIdentifier(relation)
		denied(`SELECT * FROM ` + relation)
		for _, privilege := range []string{"INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"} {
			require.Zero(t, b.count(`SELECT count(*) FROM (SELECT oid FROM pg_class WHERE relkind <> 'S') c
				WHERE c.oid = $1::regclass AND has_table_privilege($2, c.oid, $3)`, relation, name, privilege), relation)
		}
	}
	denied(`CREATE TABLE ` + schema + `.mine (id int)`)
}

// Functions that run with their owner's rights must not be led to things of the caller's making.
func TestPublish_SearchPathAttack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	name, conn := b.role()
	schema, role := pq.QuoteIdentifier(b.Schema()), pq.QuoteIdentifier(name)
	// As in a schema "public" where everybody may create.
	b.exec(fmt.Sprintf(`GRANT USAGE, CREATE ON SCHEMA %s TO %s`, schema, role))
	b.exec(fmt.Sprintf(`GRANT EXECUTE ON FUNCTION %s.publish(text, text, json, text, timestamptz, json), %[1]s.publish_changes() TO %s`, schema, role))
	run := func(query string, args ...any) {
		t.Helper()
		_, err := conn.ExecContext(t.Context(), query, args...)
		require.NoError(t, err, query)
	}
	run(`CREATE TEMP TABLE outbox (LIKE pg_class); CREATE TEMP TABLE outbox_notified (last_value bigint)`)
	for _, signature := range []string{
		"lpad(text, integer, text) RETURNS text", "to_hex(bigint) RETURNS text",
		"mod(bigint, integer) RETURNS bigint", "replace(text, text, text) RETURNS text", "octet_length(text) RETURNS integer",
		"abs(bigint) RETURNS bigint", "setval(regclass, bigint) RETURNS bigint", "pg_notify(text, text) RETURNS void",
		"gen_random_uuid() RETURNS uuid", "now() RETURNS timestamptz", "clock_timestamp() RETURNS timestamptz", "to_json(anyelement) RETURNS json",
		"substr(text, integer) RETURNS text", "btrim(text, text) RETURNS text",
	} {
		run(`CREATE FUNCTION ` + schema + `.` + signature + ` LANGUAGE plpgsql AS $$ BEGIN RAISE 'led astray'; END $$`)
	}
	run(`CREATE FUNCTION ` + schema + `.trap(bigint, integer) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'led astray'; END $$`)
	for _, operator := range []string{"*", "/", "+", "-"} {
		run(`CREATE OPERATOR ` + schema + `.` + operator + ` (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = ` + schema + `.trap)`)
	}
	run(`SET search_path = pg_temp, ` + schema + `, pg_catalog`)
	run(fmt.Sprintf(`SELECT %s.publish('acme', 'a', '1', NULL, '2026-05-27T14:32:00Z')`, schema))
	run(fmt.Sprintf(`CREATE TABLE %s.mine (id int); CREATE TRIGGER x AFTER INSERT ON %[1]s.mine FOR EACH ROW
		EXECUTE FUNCTION %[1]s.publish_changes('acme', 'b', 'id', 'n=id'); INSERT INTO %[1]s.mine VALUES (7)`, schema))
	require.Equal(t, 2, b.count(`SELECT count(*) FROM `+schema+`.outbox`))
	var astray int
	require.NoError(t, conn.GetContext(t.Context(), &astray, `SELECT count(*) FROM pg_temp.outbox`))
	require.Zero(t, astray)
}

// notifications returns a function that says how many notifications of the schema were sent since the call before.
func (b *bundle) notifications() (sent func() int) {
	b.t.Helper()
	l := pq.NewListener(postgrestest.URL(b.t), time.Second, time.Second, nil)
	b.t.Cleanup(func() { require.NoError(b.t, l.Close()) })
	require.NoError(b.t, l.Listen("waybill_outbox"))
	return func() int {
		b.t.Helper()
		end := "the end of " + b.Schema()
		b.exec(`SELECT pg_notify('waybill_outbox', $1)`, end)
		for n := 0; ; {
			select {
			case got := <-l.Notify:
				switch got.Extra {
				case b.Schema():
					n++
				case end:
					return n
				}
			case <-time.After(20 * time.Second):
				b.t.Fatal("the notifications do not end")
			}
		}
	}
}

// A bulk insert arrives whole and in its order, and wakes the ingesters once.
func TestPublish_Bulk(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	sent := b.notifications()
	const events = 10_000
	b.exec(`SELECT publish('acme', 'order.confirmed', json_build_object('n', n)) FROM generate_series(1, $1) n`, events)
	require.Equal(t, 1, sent())
	require.Equal(t, events, b.count(`SELECT count(*) FROM outbox`))

	in := step(t)
	next, prepare := 1, in.Prepare
	in.Prepare = func(row *webhook.OutboxRow, tenant *webhook.Tenant, own *webhook.OwnType) (*webhook.Publication, error) {
		if want := fmt.Sprintf(`{"n" : %d}`, next); want != string(row.Data) {
			return nil, fmt.Errorf("%s came instead of %s", row.Data, want)
		}
		next++
		return prepare(row, tenant, own)
	}
	out, err := drain(t.Context(), b.Store, in)
	require.NoError(t, err)
	require.Equal(t, store.Ingested{Published: events}, out, "%v", b.quarantine())
	require.Equal(t, events, b.count(`SELECT count(DISTINCT event_id) FROM events`))
	require.Zero(t, b.count(`SELECT count(*) FROM outbox`))
}

// Many small transactions share notifications: each would hold a lock of the whole server during its commit.
func TestPublish_NotifiesNowAndThen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	sent := b.notifications()
	began := time.Now()
	for range 200 {
		b.call(`'acme', 'a', '1'`)
	}
	most := int(time.Since(began)/(50*time.Millisecond)) + 1
	got := sent()
	require.LessOrEqual(t, got, most)
	require.Positive(t, got)

	// After the clock was set back, notifications are still sent.
	b.exec(`SELECT setval('outbox_notified', 99999999999999)`)
	b.call(`'acme', 'a', '1'`)
	require.Equal(t, 1, sent())
}
