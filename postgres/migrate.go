package postgres

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"waybill/schemas"
)

// migrationLockTime bounds how long a migration waits for a lock, because everybody else queues behind it. The migration
// then fails with CodeUnavailable and is tried again.
const migrationLockTime = 3 * time.Second

// How long a process waits for another one that is migrating: this many tries, one second apart.
const (
	lockPeriod = 1
	lockTries  = 300
)

// Migrate brings the schema to the newest version, creating it if it is not there, and creates the partitions of this month
// and the next three. Several processes may call it at once: one works, the others wait. url and schema are those of
// Options. CodeUnavailable: the database cannot be reached, or a table to be altered is locked; try again.
func Migrate(ctx context.Context, url, schema string, log *slog.Logger) error {
	o := Options{URL: url, Schema: schema, Logger: log}
	o.setDefaults()
	db, err := openPool(url, o.Schema, 2, migrationSettings(migrationLockTime))
	if err != nil {
		return err
	}
	defer db.Close()
	if err := migrateUp(ctx, db, &o); err != nil {
		return err
	}
	err = ensurePartitions(ctx, db, o.Timeout)
	if canWait(err) {
		o.Logger.WarnContext(ctx, "partitions could not be created; the upkeep tries again", "error", err)
		return nil
	}
	return err
}

// migrationSettings bound a wait for a lock, 0: not at all, and nothing else: the role may have a statement_timeout for the requests of
// every day, and an index takes as long as it takes.
func migrationSettings(lock time.Duration) map[string]string {
	return map[string]string{
		"lock_timeout": strconv.FormatInt(lock.Milliseconds(), 10), "statement_timeout": "0", "idle_in_transaction_session_timeout": "0",
	}
}

func migrateUp(ctx context.Context, db *sqlx.DB, o *Options) error {
	if err := createSchema(ctx, db, o.Schema); err != nil {
		return failed("create the schema "+o.Schema, err)
	}
	provider, err := newProvider(db, o.Schema)
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	applied, err := provider.Up(ctx)
	if err != nil {
		return failed("migrate the schema "+o.Schema, err)
	}
	for _, m := range applied {
		o.Logger.InfoContext(ctx, "migrated", "schema", o.Schema, "migration", m.Source.Path, "took", m.Duration)
	}
	if err := separatePublisher(ctx, db, o.Schema, o.Logger); err != nil {
		return failed("separate publish", err)
	}
	// Building an index concurrently waits for every transaction of the database, however long, and holds up nobody.
	patient, err := openPool(o.URL, o.Schema, 2, migrationSettings(0))
	if err != nil {
		return err
	}
	defer patient.Close()
	return finishIndexes(ctx, patient, o.Schema, smallPartition)
}

// createSchema creates nothing when the schema is there, so that a role without the right to create one can migrate.
func createSchema(ctx context.Context, db *sqlx.DB, schema string) error {
	var exists bool
	if err := db.GetContext(ctx, &exists, `SELECT to_regnamespace($1) IS NOT NULL`, pq.QuoteIdentifier(schema)); err != nil || exists {
		return err
	}
	// IF NOT EXISTS alone fails when two do it at the same moment.
	return inTransaction(ctx, db, lockMigration(schema), `CREATE SCHEMA IF NOT EXISTS `+pq.QuoteIdentifier(schema))
}

func newProvider(db *sqlx.DB, schema string) (*goose.Provider, error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID(schema)), lock.WithLockTimeout(lockPeriod, lockTries))
	if err != nil {
		return nil, err
	}
	// Of two migrations that were made side by side, the later number may have come first. A database that has only that one gets the other.
	return goose.NewProvider(goose.DialectPostgres, db.DB, schemas.Migrations(),
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true), goose.WithAllowOutofOrder(true))
}

// lockID depends on the schema, because advisory locks are shared by the whole database.
func lockID(schema string) int64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte("waybill migrate " + schema))
	return int64(h.Sum64())
}
