package postgres_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// ingested returns how many events each tenant has.
func (b *bundle) ingested() map[string]int {
	b.t.Helper()
	var rows []struct {
		Tenant string `db:"tenant_id"`
		N      int    `db:"n"`
	}
	require.NoError(b.t, b.db.SelectContext(b.t.Context(), &rows, `SELECT tenant_id, count(*) AS n FROM events GROUP BY tenant_id`))
	out := map[string]int{}
	for _, r := range rows {
		out[r.Tenant] = r.N
	}
	return out
}

// A transaction that publishes very much keeps nobody else's rows waiting.
func TestIngest_TenantsTakeTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"acme", "flood", "zeta"} {
		b.tenant(id)
	}
	b.exec(`SELECT publish('flood', 'a', n::text::json) FROM generate_series(1, 3000) n`)
	b.call(`'zeta', 'a', '1'`)
	b.exec(`SELECT publish('acme', 'a', n::text::json) FROM generate_series(1, 3) n`)
	out, err := b.IngestOutbox(t.Context(), step(t))
	require.NoError(t, err)
	require.Equal(t, store.Ingested{Published: 85 + 3 + 1}, out, "a third of the step, and all that the others have")
	require.Equal(t, map[string]int{"acme": 3, "flood": 85, "zeta": 1}, b.ingested())
	require.Equal(t, 86, b.count(`SELECT min(data::text::integer) FROM outbox`), "in the order of publication")
	require.Equal(t, store.Ingested{Published: 3000 - 85}, b.drain())
}

// A step goes on after the tenants of the one before, so that none of very many is left out.
func TestIngest_TurnsOfManyTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.tenant(fmt.Sprintf("t%d", i))
	}
	b.exec(`SELECT publish('t' || n % 5, 'a', n::text::json) FROM generate_series(1, 50) n`)
	in := step(t, func(in *store.Ingestion) { in.Rows = 2 })
	var next []string
	for range 4 {
		out, err := b.IngestOutbox(t.Context(), in)
		require.NoError(t, err)
		in.After = out.Next
		next = append(next, out.Next)
	}
	require.Equal(t, []string{"t1", "t3", "", "t1"}, next)
	require.Equal(t, map[string]int{"t0": 2, "t1": 2, "t2": 1, "t3": 1, "t4": 2}, b.ingested())
	require.Equal(t, store.Ingested{Published: 50 - 8}, b.drain(func(in *store.Ingestion) { in.Rows = 2 }))
}

// Large rows of one tenant leave room in the step for the first row of each other.
func TestIngest_TurnsOfLargeRows(t *testing.T) {
	t.Parallel()
	b := setup(t, unhurried)
	b.tenant("large")
	b.tenant("small")
	b.exec(`SELECT publish('large', 'a', to_json(repeat('x', 1000000))) FROM generate_series(1, 12)`)
	b.call(`'small', 'a', '1'`)
	out, err := b.IngestOutbox(t.Context(), step(t, func(in *store.Ingestion) { in.RowBytes = 1_500_000 }))
	require.NoError(t, err)
	require.Equal(t, 6, out.Published)
	require.Equal(t, map[string]int{"large": 5, "small": 1}, b.ingested())
}

// A row that breaks its transaction sends the rows of its step one by one, and no other.
func TestIngest_PoisonAmongOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("bad")
	b.exec(`SELECT publish('acme', 'a', n::text::json) FROM generate_series(1, 600) n`)
	b.call(`'bad', 'a', '7'`)
	in := step(t)
	prepare, prepared := in.Prepare, 0
	in.Prepare = func(row *webhook.OutboxRow, tenant *webhook.Tenant, own *webhook.OwnType) (*webhook.Publication, error) {
		p, err := prepare(row, tenant, own)
		if prepared++; tenant.ID == "bad" {
			p.Event.Type = "not \xff UTF-8"
		}
		return p, err
	}
	out, err := b.IngestOutbox(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, store.Ingested{Published: 128, Quarantined: 1}, out)
	require.Equal(t, 2*129, prepared)
	require.Equal(t, store.Ingested{Published: 600 - 128}, b.drain())
}

// What is no tenant's id takes turns, too, and keeps nobody's transaction from committing, however long it is.
func TestIngest_TurnsOfNoTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	for _, tenant := range []string{`NULL`, `''`, `'?'`, `(SELECT string_agg(sha512(n::text::bytea)::text, '') FROM generate_series(1, 20000) n)`, `'ä' || repeat('ö', 5000)`} {
		b.exec(`SELECT publish(` + tenant + `, 'a', '1') FROM generate_series(1, 2)`)
	}
	b.call(`'acme', 'a', '1'`)
	require.Equal(t, store.Ingested{Published: 1, Quarantined: 10}, b.drain())
	require.Zero(t, b.count(`SELECT count(*) FROM outbox`))
}

// served returns which tenants have events after a number of steps.
func (b *bundle) served(steps int, change ...func(*store.Ingestion)) []string {
	b.t.Helper()
	in := step(b.t, change...)
	for range steps {
		out, err := b.IngestOutbox(b.t.Context(), in)
		require.NoError(b.t, err)
		in.After = out.Next
	}
	return slices.Sorted(maps.Keys(b.ingested()))
}

// Where a step has no room for a row of each tenant, the next goes on with those that it left out, however early the rows of the others are.
func TestIngest_TurnsWithoutRoom(t *testing.T) {
	t.Parallel()
	all := []string{"t1", "t2", "t3", "t4", "t5", "t6", "zeta"}
	publish := func(b *bundle, data string) {
		for _, id := range all {
			b.tenant(id)
		}
		b.exec(`SELECT publish('t' || t, 'a', ` + data + `) FROM generate_series(1, 6) t, generate_series(1, 4)`)
		b.call(`'zeta', 'a', '1'`)
	}
	t.Run("for their bytes", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		publish(b, `to_json(repeat('x', 1000000))`)
		require.Equal(t, all, b.served(2, func(in *store.Ingestion) { in.RowBytes = 1_500_000 }))
	})
	t.Run("for their deliveries", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *postgres.Options) { o.MaxDeliveries = 6 })
		publish(b, `'1'`)
		for _, id := range append(slices.Repeat(all[:6], 2), all...) {
			b.endpoint(id)
		}
		require.Equal(t, all[:2], b.served(1))
		require.Equal(t, all, b.served(4))
		require.Equal(t, 1, b.count(`SELECT count(*) FROM events WHERE tenant_id = 'zeta'`))
		b.drain()
		require.Zero(t, b.count(`SELECT count(*) FROM outbox`))
	})
	t.Run("for their checks", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *postgres.Options) { o.Timeout = 2 * time.Second })
		publish(b, `'1'`)
		require.Equal(t, all, b.served(7, func(in *store.Ingestion) {
			prepare := in.Prepare
			in.Prepare = func(row *webhook.OutboxRow, tenant *webhook.Tenant, own *webhook.OwnType) (*webhook.Publication, error) {
				if tenant.ID != "zeta" {
					time.Sleep(300 * time.Millisecond) // the check: a step has time for two
				}
				return prepare(row, tenant, own)
			}
		}))
	})
}

// A role can write rows with a note under the name of any tenant. They end in quarantine, and do not stand in that tenant's line.
func TestIngest_NotesTakeNoTurns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("bad")
	b.exec(`UPDATE tenants SET retry = '"never"' WHERE id = 'bad'`)
	name, conn := b.login("app")
	b.exec(`SELECT grant_publish($1, 'other')`, name)
	for _, rows := range []string{`'acme', 'a', '1') FROM generate_series(1, 1000)`, `'bad', 'a', '1')`} {
		_, err := conn.ExecContext(t.Context(), `SET waybill.note = 'mine'; SELECT `+pq.QuoteIdentifier(b.Schema())+`.publish(`+rows)
		require.NoError(t, err)
	}
	b.call(`'acme', 'a', '1'`)
	out, err := b.IngestOutbox(t.Context(), step(t))
	require.NoError(t, err)
	require.Equal(t, store.Ingested{Published: 1, Quarantined: 128}, out)
	require.Equal(t, store.Ingested{Quarantined: 873}, b.drain(), "whether the tenant can be read makes no difference")
}

// A failure that is no row's is told, also when it is one of those that a row may cause.
func TestIngest_ClaimFails(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.call(`'acme', 'a', '1'`)
	_, err := b.IngestOutbox(t.Context(), step(t, func(in *store.Ingestion) { in.After = "no \xff UTF-8" }))
	require.Error(t, err)
}

// The statistics may be of a moment when few tenants had rows waiting. The rows of others are found without reading past all of theirs.
func TestClaimOutbox_PlanWhereStatisticsKnowFewTenants(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.URL += "&random_page_cost=4" }) // as Postgres has it
	b.exec(`SELECT publish(CASE WHEN random() < 0.5 THEN 'flood' ELSE 'wave' END, 'a', '1') FROM generate_series(1, 20000)`)
	b.exec(`ANALYZE outbox`)
	for name, scans := range map[string]int{"claim outbox": 1, "outbox tenants": 2} {
		plan := postgres.ExplainGeneric(t, b.Store, postgres.HotStatements[name])
		require.Equal(t, scans, strings.Count(plan, "using outbox_by_tenant"), "%s\n%s", name, plan)
	}
}
