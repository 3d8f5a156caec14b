package postgres_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

func (b *bundle) tenantOf(dialect, id string) {
	b.t.Helper()
	tenant := &webhook.Tenant{ID: id, Name: id, Dialect: dialect, CreatedAt: now()}
	require.NoError(b.t, b.CreateTenant(b.t.Context(), tenant, webhook.Secret{}, nil))
}

// A row that somebody copied has the key of another event. It goes aside alone, too.
func TestIngest_CopiedRow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	b.call(`'acme', 'a', '1', 'one'`)
	b.exec(`INSERT INTO outbox (event_key, tenant_id, event_id, event_type, data, bytes, created_at)
		SELECT event_key, tenant_id, 'copy', event_type, data, bytes, created_at FROM outbox`)
	b.call(`'other', 'a', '1', 'two'`)
	require.Equal(t, store.Ingested{Published: 2, Quarantined: 1}, b.drain())
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events`))
	require.Zero(t, b.count(`SELECT count(*) FROM outbox`))
	require.Len(t, b.quarantine(), 1)
}

// Rows that cannot become events are put aside with the reason, and hold up no other.
func TestIngest_Quarantine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenantOf("rheo", "rheo")
	b.tenantOf("auction-excellence", "auctions")
	for _, test := range []struct {
		args   string
		code   webhook.Code
		reason string
		errors string
	}{
		{`'nobody', 'a', '1'`, webhook.CodeNotFound, `there is no tenant "nobody"`, ""},
		{`NULL, NULL, NULL`, webhook.CodeNotFound, `there is no tenant ""`, ""},
		{`'acme', NULL, '1'`, webhook.CodeInvalid, `dot-separated`, `"field":"type"`},
		{`'acme', 'a', NULL`, webhook.CodeInvalid, "data is required", `"field":"data"`},
		{`'acme', 'not a type', '1'`, webhook.CodeInvalid, `not "not a type"`, `"field":"type"`},
		{`'rheo', 'item.lost', '{}'`, webhook.CodeUnknownEventType, `"item.lost" is not an event type`, `"field":"type"`},
		{`'rheo', 'item.sold', '{}'`, webhook.CodeSchemaViolation, "breaks its schema", `"field":"data/salePrice"`},
		{`'rheo', 'item.sold', '{"salePrice":1}', 'order-1'`, webhook.CodeInvalid, "must match the event_id_pattern of the dialect rheo, ^evt_", `"field":"id"`},
		{`'auctions', 'message.created', '{}'`, webhook.CodeInvalid, "auction_id is required", `"field":"attributes.auction_id"`},
		{`'acme', 'a', '1', ''`, webhook.CodeInvalid, "id is 1 to", `"field":"id"`},
		{`'acme', 'a', '1', repeat('x', 9000)`, webhook.CodeInvalid, "...", `..."`},
		{`'acme', 'a', '1', 'x', 'infinity'`, webhook.CodeInvalid, "from 1970 to 9999", `"field":"occurred_at"`},
		{`'acme', 'a', '1', 'x', '-infinity'`, webhook.CodeInvalid, "from 1970 to 9999", ""},
		{`'acme', 'a', '1', 'x', '20000-01-01'`, webhook.CodeInvalid, "from 1970 to 9999", ""},
		{`'acme', 'a', '1', 'x', '1969-12-31'`, webhook.CodeInvalid, "from 1970 to 9999", ""},
		{`'acme', 'a', '1', attributes => '{"a": 1}'`, webhook.CodeInvalid, "not text", `"field":"attributes"`},
		{`'acme', 'a', '1', attributes => '["a"]'`, webhook.CodeInvalid, "not an object", ""},
		{`'acme', 'a', to_json(repeat('x', 10000))`, webhook.CodeTooLarge, "exceeds 10000 bytes", ""},
	} {
		b.call(`'acme', 'a', '"before"'`)
		b.call(test.args)
		b.call(`'acme', 'a', '"after"'`)
		require.Equal(t, store.Ingested{Published: 2, Quarantined: 1}, b.drain(), test.args)
		got := b.quarantine()[0]
		require.Equal(t, test.code, got.Code, test.args)
		require.Contains(t, got.Reason, test.reason)
		require.Contains(t, got.Errors.String, test.errors)
		require.Less(t, len(got.Reason)+len(got.Errors.String), 3000, "a reason quotes the row, but not all of it")
		require.Zero(t, b.count(`SELECT count(*) FROM outbox`))
		if test.code == webhook.CodeTooLarge {
			b.exec(`DELETE FROM outbox_quarantine`)
			continue
		}
		// What was put aside is all there: put back, it comes to the same end.
		b.exec(`WITH again AS (DELETE FROM outbox_quarantine RETURNING *)
			INSERT INTO outbox (event_key, tenant_id, event_id, event_type, data, occurred_at, attributes, bytes, created_at)
			SELECT event_key, tenant_id, event_id, event_type, data, occurred_at, attributes, bytes, created_at FROM again`)
		require.Equal(t, store.Ingested{Quarantined: 1}, b.drain())
		require.Equal(t, got, b.quarantine()[0])
		b.exec(`DELETE FROM outbox_quarantine`)
	}
}

// A UUID in upper case is the one in lower case, also for a filter from the time when filters were stored as they came.
func TestIngest_UUIDsInUpperCase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenantOf("auction-excellence", "auctions")
	const auction = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
	upper := strings.ToUpper(auction)
	b.endpoint("auctions", func(e *webhook.Endpoint) { e.Filter = map[string][]string{"auction_id": {upper}} })
	b.endpoint("auctions", func(e *webhook.Endpoint) { e.Filter = map[string][]string{"auction_id": {auction}} })
	b.endpoint("auctions", func(e *webhook.Endpoint) { e.Filter = map[string][]string{"auction_id": {auction[:35] + "7"}} })
	id := b.call(`'auctions', 'message.created', '{}', attributes => '{"auction_id": "` + upper + `"}'`)
	require.Equal(t, store.Ingested{Published: 1}, b.drain())
	require.Equal(t, 2, b.count(`SELECT count(*) FROM deliveries WHERE event_id = $1`, id))
	e, err := b.Event(t.Context(), "auctions", id)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"auction_id": auction}, e.Attributes)
	require.Contains(t, string(e.Body.Bytes), `"auction_id":"`+auction+`"`)
}

// A row whose event would go to too many endpoints is put aside; the others of its step are events.
func TestIngest_TooManyRecipients(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.MaxRecipients = 2 })
	b.tenant("acme")
	for range 3 {
		b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes = []string{"order.*"} })
	}
	b.exec(`SELECT publish('acme', type, '1') FROM (VALUES ('user.created'), ('order.confirmed'), ('user.created')) AS v (type)`)
	require.Equal(t, store.Ingested{Published: 2, Quarantined: 1}, b.drain())
	require.Equal(t, webhook.CodeRecipientLimit, b.quarantine()[0].Code)
	require.Equal(t, "the event would go to 3 endpoints; one event can go to at most 2", b.quarantine()[0].Reason)
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events`))
}

// An id that the producer chose names one event, whichever way it was published.
func TestIngest_EventID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	const first = `'acme', 'order.confirmed', '{"n":1}', 'order-1'`
	require.Equal(t, "order-1", b.call(first))
	require.Equal(t, store.Ingested{Published: 1}, b.drain())
	b.call(first) // in another transaction: the moment was not given, so it does not count
	b.call(first)
	require.Equal(t, store.Ingested{Repeated: 2}, b.drain())
	b.call(`'acme', 'order.confirmed', '{"n":2}', 'order-1'`)
	b.call(first + `, '2026-05-27T14:32:00Z'`)
	require.Equal(t, store.Ingested{Quarantined: 2}, b.drain())
	require.Equal(t, webhook.CodeEventIDConflict, b.quarantine()[0].Code)

	// Both in one step, and through the API.
	b.exec(`SELECT publish('acme', 'order.confirmed', n::text::json, 'order-2') FROM (VALUES (1), (1), (2)) AS v (n)`)
	var left []webhook.Code
	require.Equal(t, store.Ingested{Published: 1, Repeated: 1, Quarantined: 1}, b.drain(func(in *store.Ingestion) {
		in.Left = func(_ webhook.EventKey, err error) { left = append(left, webhook.ErrorCode(err)) }
	}))
	require.Equal(t, []webhook.Code{"", "", "", webhook.CodeEventIDConflict}, left, "two must follow the first, and one of them must follow the other, and cannot")
	row := webhook.OutboxRow{TenantID: "acme", Type: "order.confirmed", Data: []byte("1"), CreatedAt: now()}
	id := "order-2"
	row.EventID, row.Key = &id, publication("acme", "").Event.Key
	again, err := row.Publication(&webhook.Tenant{ID: "acme"}, dialects(t)["standard"], nil, salePrice{}, now())
	require.NoError(t, err)
	require.True(t, b.publish(again).Repeated)

	// An id that Waybill made is the producer's before the event is stored.
	made := b.call(`'acme', 'order.confirmed', '3'`)
	row.EventID, row.Data, row.Key = &made, []byte("3"), publication("acme", "").Event.Key
	ahead, err := row.Publication(&webhook.Tenant{ID: "acme"}, dialects(t)["standard"], nil, salePrice{}, now())
	require.NoError(t, err)
	require.False(t, b.publish(ahead).Repeated)
	require.Equal(t, store.Ingested{Repeated: 1}, b.drain())
	require.Equal(t, 3, b.count(`SELECT count(*) FROM events`))
}

// Two ingesters at once share the rows and publish none twice.
func TestIngest_SeveralAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	const events = 3000
	b.exec(`SELECT publish('acme', 'a', n::text::json) FROM generate_series(1, $1) n`, events)
	in := step(t, func(in *store.Ingestion) { in.Rows = 50 })
	done := make([]store.Ingested, 4)
	var ingesting sync.WaitGroup
	for i := range done {
		s := postgrestest.Open(t, b.opts)
		ingesting.Go(func() {
			var err error
			if done[i], err = drain(t.Context(), s, in); err != nil {
				t.Error(err)
			}
		})
	}
	ingesting.Wait()
	var all store.Ingested
	for _, d := range done {
		all.Published += d.Published
		all.Repeated += d.Repeated
		all.Quarantined += d.Quarantined
	}
	require.Equal(t, store.Ingested{Published: events}, all, "no row was taken twice")
	require.Equal(t, events, b.count(`SELECT count(DISTINCT convert_from(body, 'UTF8')::json ->> 'data') FROM events`))
	require.Equal(t, events, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, events, b.count(`SELECT count(*) FROM deliveries`))
	require.Len(t, b.accepted, events, "each was offered to a dispatcher")
}

// A process that dies before the commit has taken nothing, and one that dies after it leaves nothing to take.
func TestIngest_Killed(t *testing.T) {
	t.Parallel()
	const events = 100
	for _, place := range []string{"before-commit", "after-commit"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			killed := errors.New("killed")
			armed := true
			b := setup(t, func(o *postgres.Options) {
				o.Failpoint = func(name string) {
					if name == place && armed {
						armed = false
						panic(killed)
					}
				}
			})
			b.tenant("acme")
			b.endpoint("acme")
			b.exec(`SELECT publish('acme', 'a', n::text::json) FROM generate_series(1, $1) n`, events)
			require.PanicsWithValue(t, killed, func() { _, _ = b.IngestOutbox(t.Context(), step(t)) })
			left := map[string]int{"before-commit": events, "after-commit": 0}[place]
			require.Empty(t, b.accepted, "nobody was told")
			require.Equal(t, left, b.count(`SELECT count(*) FROM outbox`))
			require.Equal(t, events-left, b.count(`SELECT count(*) FROM events`))
			require.Equal(t, store.Ingested{Published: left}, b.drain())
			require.Equal(t, events, b.count(`SELECT count(*) FROM events`))
			require.Equal(t, events, b.count(`SELECT count(*) FROM dispatches`), "the relay finds what nobody was told of")
		})
	}
}

// A connection that breaks in the middle has changed nothing.
func TestIngest_ConnectionLost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`SELECT publish('acme', 'a', n::text::json) FROM generate_series(1, 100) n`)
	in := step(t)
	prepare, rows := in.Prepare, 0
	in.Prepare = func(row *webhook.OutboxRow, tenant *webhook.Tenant, own *webhook.OwnType) (*webhook.Publication, error) {
		if rows++; rows == 50 {
			b.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND state = 'idle in transaction'`, b.Schema())
		}
		return prepare(row, tenant, own)
	}
	_, err := b.IngestOutbox(t.Context(), in)
	requireCode(t, webhook.CodeUnavailable, err)
	require.Zero(t, b.count(`SELECT count(*) FROM events`))
	require.Equal(t, store.Ingested{Published: 100}, b.drain())
	require.Equal(t, 100, b.count(`SELECT count(*) FROM events`))
	require.Empty(t, b.quarantine(), "no row is to blame")
}

// A row that breaks the code, or the transaction that it is in, goes to quarantine alone.
func TestIngest_Poison(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`SELECT publish('acme', 'a', n::text::json) FROM generate_series(1, 10) n`)
	in := step(t)
	prepare := in.Prepare
	in.Prepare = func(row *webhook.OutboxRow, tenant *webhook.Tenant, own *webhook.OwnType) (*webhook.Publication, error) {
		p, err := prepare(row, tenant, own)
		switch string(row.Data) {
		case "3":
			panic("three")
		case "5":
			return nil, errors.New("five, with a secret")
		case "7":
			p.Event.Type = "not \xff UTF-8"
		}
		return p, err
	}
	left := map[webhook.EventKey]webhook.Code{}
	in.Left = func(row webhook.EventKey, err error) { left[row] = webhook.ErrorCode(err) }
	out, err := drain(t.Context(), b.Store, in)
	require.NoError(t, err)
	require.Equal(t, store.Ingested{Published: 7, Quarantined: 3}, out)
	require.Equal(t, []webhook.Code{webhook.CodeInvalid}, slices.Collect(maps.Values(left)), "of one there was a publication")
	require.Equal(t, 7, b.count(`SELECT count(*) FROM events`))
	var aside []string
	require.NoError(t, b.db.Select(&aside, `SELECT data::text || ' ' || code FROM outbox_quarantine ORDER BY position`))
	require.Equal(t, []string{"3 internal", "5 internal", "7 invalid"}, aside)
	for _, q := range b.quarantine() {
		require.NotContains(t, q.Reason, "secret")
	}
}

// An error that would affect any row is caused by no row: all rows stay.
func TestIngest_FaultOfOurs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`SELECT publish('acme', 'a', n::text::json) FROM generate_series(1, 10) n`)
	b.exec(`ALTER TABLE events ALTER COLUMN attributes TYPE integer USING NULL`)
	_, err := b.IngestOutbox(t.Context(), step(t))
	requireCode(t, webhook.CodeInternal, err)
	require.Empty(t, b.quarantine())
	b.exec(`ALTER TABLE events ALTER COLUMN attributes TYPE json USING NULL`)
	require.Equal(t, store.Ingested{Published: 10}, b.drain())
}

// Rows of a dialect that this process does not know wait for one that does, and hold up no other.
func TestIngest_UnknownDialect(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenantOf("rheo", "rheo")
	b.exec(`SELECT publish('rheo', 'listing.created', '{}') FROM generate_series(1, 300)`)
	b.call(`'acme', 'a', '1'`)
	without := func(in *store.Ingestion) { in.Dialects = []string{"standard"} }
	require.Equal(t, store.Ingested{Published: 1}, b.drain(without))
	// The tenant was created between the claim and the preparation.
	require.Zero(t, b.drain(func(in *store.Ingestion) {
		in.Prepare = func(*webhook.OutboxRow, *webhook.Tenant, *webhook.OwnType) (*webhook.Publication, error) {
			return nil, webhook.Errorf(webhook.CodeUnavailable, "not here")
		}
	}))
	require.Equal(t, store.Ingested{Published: 300}, b.drain())
}

// A step reads few rows at once when they are large.
func TestIngest_BoundedByBytes(t *testing.T) {
	t.Parallel()
	b := setup(t, unhurried)
	b.tenant("acme")
	b.exec(`SELECT publish('acme', 'a', to_json(repeat('x', 1000000))) FROM generate_series(1, 12)`)
	b.exec(`SELECT publish('acme', 'a', to_json(repeat('y', 2000000)))`)
	in := step(t, func(in *store.Ingestion) { in.RowBytes = 1_500_000 })
	var steps []int
	for {
		out, err := b.IngestOutbox(t.Context(), in)
		require.NoError(t, err)
		if out.Settled() == 0 {
			break
		}
		steps = append(steps, out.Settled())
	}
	require.Equal(t, []int{5, 5, 3}, steps)
	require.Equal(t, webhook.CodeTooLarge, b.quarantine()[0].Code)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM outbox_quarantine WHERE cut AND data IS NULL AND bytes > 2000002`), "its size is kept")
}

// What is damaged of one tenant stops nobody else, and loses nothing: its rows wait until it can be read.
func TestIngestOutbox_DamagedTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"acme", "bad", "worse"} {
		b.tenant(id)
	}
	damaged := b.endpoint("bad")
	b.exec(`UPDATE endpoints SET filter = '"none"' WHERE id = $1`, damaged.ID)
	b.exec(`UPDATE tenants SET retry = '"never"' WHERE id = 'worse'`)
	for _, tenant := range []string{"bad", "worse", "acme", "bad", "acme"} {
		b.call(`'` + tenant + `', 'a', '1'`)
	}
	in := step(t, func(in *store.Ingestion) { in.Rows = 2 })
	out, err := drain(t.Context(), b.Store, in)
	require.ErrorContains(t, err, "the rows of 2 tenants stay in the outbox: ")
	require.Equal(t, store.Ingested{Published: 2}, out)
	require.Equal(t, 3, b.count(`SELECT count(*) FROM outbox`))
	b.exec(`UPDATE endpoints SET filter = NULL`)
	b.exec(`UPDATE tenants SET retry = NULL`)
	require.Equal(t, store.Ingested{Published: 3}, b.drain())
}
