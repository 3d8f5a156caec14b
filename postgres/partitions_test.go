package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// months returns this month and the next three, as they stand in the names of partitions.
func months() []string {
	first := time.Now().UTC()
	first = time.Date(first.Year(), first.Month(), 1, 0, 0, 0, 0, time.UTC)
	var names []string
	for n := range 4 {
		names = append(names, first.AddDate(0, n, 0).Format("2006_01"))
	}
	return names
}

func TestEnsurePartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	months := months()
	this := months[0]
	for _, parent := range []string{"events", "deliveries", "attempts"} {
		var names []string
		require.NoError(t, b.db.Select(&names, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
			WHERE i.inhparent = $1::regclass ORDER BY c.relname`, parent))
		require.Equal(t, []string{parent + "_" + months[0], parent + "_" + months[1], parent + "_" + months[2], parent + "_" + months[3], parent + "_default"}, names)
	}
	b.record(record("acme", b.delivery().ID, 1, webhook.StatusDelivered))
	for _, parent := range []string{"events", "deliveries", "attempts"} {
		require.Equal(t, 1, b.count(`SELECT count(*) FROM `+parent+`_`+this))
		require.Zero(t, b.count(`SELECT count(*) FROM `+parent+`_default`))
	}
	require.NoError(t, b.EnsurePartitions(t.Context()))
	var options string
	require.NoError(t, b.db.Get(&options, `SELECT reloptions::text FROM pg_class WHERE oid = ('deliveries_' || $1)::regclass`, this))
	require.Contains(t, options, "fillfactor=80")
	require.Equal(t, b.indexes("deliveries_default"), b.indexes("deliveries_"+this))
}

func (b *bundle) indexes(table string) []string {
	b.t.Helper()
	var defs []string
	require.NoError(b.t, b.db.Select(&defs, `SELECT regexp_replace(indexdef, '^.* USING ', '') FROM pg_indexes
		WHERE schemaname = $1 AND tablename = $2 ORDER BY 1`, b.Schema(), table))
	require.NotEmpty(b.t, defs)
	return defs
}

// The month's partition was missing when its first rows came.
func TestEnsurePartitions_TakesOverFromTheDefaultPartition(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	this := months()[0]
	for _, parent := range []string{"events", "deliveries", "attempts"} {
		_, err := b.db.Exec(`DROP TABLE ` + parent + `_` + this)
		require.NoError(t, err)
	}
	p := publication("acme", "")
	d := b.publish(p).Deliveries[0]
	b.record(record("acme", d.ID, 1, webhook.StatusRetrying))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries_default`))

	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := b.EnsurePartitions(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// Each call leaves what it finds locked to the others, even if they only look whether it is there.
	require.NoError(t, b.EnsurePartitions(t.Context()))
	for _, parent := range []string{"events", "deliveries", "attempts"} {
		require.Equal(t, 1, b.count(`SELECT count(*) FROM `+parent+`_`+this))
		require.Zero(t, b.count(`SELECT count(*) FROM `+parent+`_default`))
	}
	require.Equal(t, webhook.StatusDelivered, b.record(record("acme", d.ID, 2, webhook.StatusDelivered)).Status)
	h, err := b.History(t.Context(), "acme", p.Event.ID)
	require.NoError(t, err)
	require.Len(t, h.Deliveries[0].Attempts, 2)
}

// Somebody reads the tables for hours, as pg_dump does. The partitions wait, and nobody else has to wait because of them.
func TestEnsurePartitions_WhileSomebodyReads(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	d := b.delivery()
	last := months()[3]
	b.exec(`DROP TABLE events_` + last + `, deliveries_` + last + `, attempts_` + last)
	dump := b.beginBlocking(`LOCK TABLE events, deliveries, attempts IN ACCESS SHARE MODE`)

	stop := make(chan struct{})
	var slowest time.Duration
	var working sync.WaitGroup
	working.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			_, err := b.Accept(t.Context(), publication("acme", ""))
			if err == nil {
				_, err = b.Sending(t.Context(), target("acme", d))
			}
			if err == nil {
				_, err = b.Deliveries(t.Context(), "acme", store.DeliveryFilter{Page: store.Page{Limit: 10}})
			}
			if err != nil {
				t.Error(err)
				return
			}
			slowest = max(slowest, time.Since(began))
		}
	})
	for range 3 {
		began := time.Now()
		err := b.EnsurePartitions(t.Context())
		requireCode(t, webhook.CodeUnavailable, err)
		require.Less(t, time.Since(began), 10*time.Second, "it does not wait for the reader")
	}
	require.NoError(t, postgres.Migrate(t.Context(), b.opts.URL, b.Schema(), b.opts.Logger), "a process can start meanwhile")
	require.NoError(t, dump.Rollback())
	require.NoError(t, b.EnsurePartitions(t.Context()))
	close(stop)
	working.Wait()
	require.Less(t, slowest, 10*time.Second, "three calls, each behind the lock's 250 ms at most, on a busy machine")
	require.Equal(t, 3, b.count(`SELECT count(*) FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND relname LIKE '%' || $2::text`,
		pq.QuoteIdentifier(b.Schema()), last))
}

// Who asks for a partition that exists needs not wait for one that is being created.
func TestCreatePartition_looksFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.beginBlocking(`SELECT pg_advisory_xact_lock(hashtext('waybill.ensure_partitions'), hashtext(current_schema()))`)
	create := func(month string) (there bool) {
		require.NoError(t, b.db.Get(&there, `SELECT create_partition('events', to_date($1, 'YYYY_MM'))`, month))
		return there
	}
	require.True(t, create(months()[0]))
	require.False(t, create("2099_01"), "another process is at it")
}

// What the default partition has of a month is moved as long as that is quick.
func TestEnsurePartitions_LeavesManyRowsWhereTheyAre(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	this := months()[0]
	next := months()[1]
	b.exec(`DROP TABLE deliveries_` + this + `, events_` + this + `, deliveries_` + next + `, events_` + next)
	b.fill(e.ID, 10_001)
	require.NoError(t, postgres.Migrate(t.Context(), b.opts.URL, b.Schema(), b.opts.Logger), "a process can start all the same")
	require.Equal(t, 3, b.count(`SELECT count(*) FROM pg_class WHERE relnamespace = $1::regnamespace AND relname IN ($2, $3, $4)`,
		pq.QuoteIdentifier(b.Schema()), "events_"+this, "deliveries_"+next, "events_"+next), "the others are created all the same")
	require.ErrorContains(t, b.EnsurePartitions(t.Context()), "more than 10000 rows")
	require.Equal(t, 10_001, b.count(`SELECT count(*) FROM deliveries_default`))
	b.exec(`DELETE FROM deliveries WHERE id = (SELECT id FROM deliveries LIMIT 1)`)
	require.NoError(t, b.EnsurePartitions(t.Context()))
	require.Equal(t, 10_000, b.count(`SELECT count(*) FROM deliveries_`+this))
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries_default`))
}

// The role of the processes owns nothing and is no superuser: reading and writing rows is all it needs, and the partitions'
// function.
func TestStore_RoleWithoutRights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	role := pq.QuoteIdentifier("app_" + b.Schema())
	b.exec(`CREATE ROLE ` + role + ` LOGIN PASSWORD 'app'`)
	t.Cleanup(func() {
		_, _ = b.db.Exec(`DROP OWNED BY ` + role)
		_, _ = b.db.Exec(`DROP ROLE ` + role)
	})
	require.NoError(t, postgres.Grant(t.Context(), b.opts.URL, b.Schema(), "app_"+b.Schema()))
	require.NoError(t, postgres.Grant(t.Context(), b.opts.URL, b.Schema(), "app_"+b.Schema()))
	b.everyTableIsReadBy("app_" + b.Schema())
	b.exec(`DROP TABLE events_` + months()[3])
	o := b.opts
	o.URL, o.OperatorTenant = postgrestest.URLAs(t, "app_"+b.Schema(), "app", b.Schema()), "ops"
	app := postgrestest.Open(t, o)
	b.call(`'acme', 'a', '1'`)
	b.call(`'acme', 'not a type', '1'`)
	out, err := drain(t.Context(), app, step(t))
	require.NoError(t, err)
	require.Equal(t, store.Ingested{Published: 1, Quarantined: 1}, out)
	require.NoError(t, app.EnsurePartitions(t.Context()))
	r, err := app.Accept(t.Context(), publication("acme", "mine"))
	require.NoError(t, err)
	d := r.Deliveries[0]
	for name, call := range calls(t.Context(), app, d) {
		if err := call(); err != nil {
			require.Contains(t, []webhook.Code{webhook.CodeNotFound, webhook.CodeConflict, webhook.CodeUnauthorized, webhook.CodeInvalid},
				webhook.ErrorCode(err), "%s: %v", name, err)
		}
	}
	_, err = app.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error { e.Description = "mine"; return nil })
	require.NoError(t, err)
	_, err = app.RecordAttempt(t.Context(), record("acme", d.ID, 1000, webhook.StatusExhausted))
	require.NoError(t, err)
	_, err = app.SweepDeliveries(t.Context(), 0, 10)
	require.NoError(t, err)
	_, err = app.ClaimReconciler(t.Context(), "01890000-0000-7000-8000-000000000001", time.Second)
	require.NoError(t, err)
}
