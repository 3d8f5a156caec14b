package postgres_test

import (
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/webhook"
)

func TestMigrate_TwiceAndAtOnce(t *testing.T) {
	t.Parallel()
	schema := postgrestest.Schema(t)
	log := slog.New(slog.DiscardHandler)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), postgrestest.URL(t), schema, log); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.NoError(t, postgres.Migrate(t.Context(), postgrestest.URL(t), schema, log))
	var versions []int
	require.NoError(t, rawDB(t, schema).Select(&versions, `SELECT version_id FROM goose_db_version WHERE version_id > 0 ORDER BY id`))
	require.IsIncreasing(t, versions, "each was applied once")
}

// Two migrations that were made side by side may come in either order: a database can have the later one alone.
func TestMigrate_OneThatCameLater(t *testing.T) {
	t.Parallel()
	schema, log := postgrestest.Schema(t), slog.New(slog.DiscardHandler)
	require.NoError(t, postgres.Migrate(t.Context(), postgrestest.URL(t), schema, log))
	db := rawDB(t, schema)
	_, err := db.Exec(`DELETE FROM goose_db_version WHERE version_id = 45`) // it replaces a function
	require.NoError(t, err)
	_, err = db.Exec(`DROP FUNCTION uuid_floor`)
	require.NoError(t, err)
	require.NoError(t, postgres.Migrate(t.Context(), postgrestest.URL(t), schema, log))
	var floor string
	require.NoError(t, db.Get(&floor, `SELECT uuid_floor('1970-01-01 00:00:00.016Z')`))
	require.Equal(t, "00000000-0010-0000-0000-000000000000", floor)
}

func TestMigrate_CreatesTheSchema(t *testing.T) {
	t.Parallel()
	schema := postgrestest.Schema(t) + "_New"
	db := rawDB(t, schema)
	t.Cleanup(func() { _, _ = db.Exec(fmt.Sprintf(`DROP SCHEMA %q CASCADE`, schema)) })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), postgrestest.URL(t), schema, slog.New(slog.DiscardHandler)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var n int
	require.NoError(t, db.Get(&n, `SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'events'`, schema))
	require.Equal(t, 1, n)
}

func TestMigrate_NoDatabase(t *testing.T) {
	t.Parallel()
	err := postgres.Migrate(t.Context(), "postgres://u:hunter2@127.0.0.1:1/x?sslmode=disable", "", slog.New(slog.DiscardHandler))
	requireCode(t, webhook.CodeUnavailable, err)
	require.NotContains(t, err.Error(), "hunter2")
}

// An index that a migration declares is built for the partitions that are there, each process minding the others, and also
// after one that died on the way.
func TestMigrate_BuildsIndexesOfPartitions(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	id := b.retrying(now().Add(-time.Hour))
	this := months()[0]
	_, err := b.db.Exec(`DROP INDEX deliveries_due;
		CREATE INDEX deliveries_due ON ONLY deliveries (next_attempt_at, id) WHERE next_attempt_at IS NOT NULL;
		CREATE INDEX deliveries_due_` + this + ` ON deliveries_` + this + ` (id)`)
	require.NoError(t, err)
	valid := `SELECT count(*) FROM pg_index WHERE indexrelid = 'deliveries_due'::regclass AND indisvalid`
	require.Zero(t, b.count(valid))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := postgres.FinishIndexes(t.Context(), b.Store, -1); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 1, b.count(valid))
	require.Equal(t, b.indexes("deliveries_default"), b.indexes("deliveries_"+this))
	require.Equal(t, []webhook.DeliveryID{id}, b.stalled())
}

// Somebody has changed a row and not committed: an index is not waited for in front of everybody else.
func TestFinishIndexes_BehindATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	this := months()[0]
	b.exec(`DROP INDEX deliveries_due`)
	b.exec(`CREATE INDEX deliveries_due ON ONLY deliveries (next_attempt_at, id) WHERE next_attempt_at IS NOT NULL`)
	writer := b.beginBlocking(`LOCK TABLE deliveries_` + this + ` IN ROW EXCLUSIVE MODE`)
	finished := make(chan error, 1)
	go func() { finished <- postgres.FinishIndexes(t.Context(), b.Store, 1<<30) }()
	pids := b.waitBlocked(1)
	require.Len(t, pids, 1)
	began := time.Now()
	b.publish(publication("acme", ""))
	require.Less(t, time.Since(began), 8*time.Second)
	requireCode(t, webhook.CodeUnavailable, <-finished)
	require.NoError(t, writer.Rollback())
	require.NoError(t, postgres.FinishIndexes(t.Context(), b.Store, 1<<30))
	require.Equal(t, b.indexes("deliveries_default"), b.indexes("deliveries_"+this))
}

func TestMigrations_NameNoSchema(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var elsewhere []string
	require.NoError(t, b.db.Select(&elsewhere, `SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'public' AND c.relname IN ('tenants', 'endpoints', 'events', 'deliveries', 'attempts', 'event_keys', 'dispatches')`))
	require.Empty(t, strings.Join(elsewhere, " "))
}

// The role or the connection string may bound statements for everyday use: a migration takes longer.
func TestMigrate_StatementTimeoutOfTheRole(t *testing.T) {
	t.Parallel()
	schema := postgrestest.Schema(t)
	u, err := url.Parse(postgrestest.URL(t))
	require.NoError(t, err)
	q := u.Query()
	q.Set("statement_timeout", "1")
	u.RawQuery = q.Encode()
	require.NoError(t, postgres.Migrate(t.Context(), u.String(), schema, slog.New(slog.DiscardHandler)))
}

// A process of the next version is up before its migration is: what it asks for is not there yet, and nobody's fault.
func TestStore_BeforeAMigration(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`ALTER TABLE tenants RENAME url TO later`)
	_, err := b.Tenant(t.Context(), "acme")
	requireCode(t, webhook.CodeUnavailable, err)
}
