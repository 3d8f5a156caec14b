package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3/lock"
)

// smallPartition is the size in bytes up to which an index is built without CONCURRENTLY: writers wait for well under a
// second. A concurrent build would wait for every transaction of the database.
const smallPartition = 32 << 20

// selectMissingIndexes lists the partitions that lack an index of their parent.
const selectMissingIndexes = `
	SELECT idx.relname::text AS index, part.relname::text AS partition, pg_relation_size(part.oid) AS bytes,
		left(idx.relname || substr(part.relname, length(parent.relname) + 1), 63) AS name,
		substr(pg_get_indexdef(idx.oid), position(' USING ' IN pg_get_indexdef(idx.oid))) AS definition
	FROM pg_index i JOIN pg_class idx ON idx.oid = i.indexrelid JOIN pg_class parent ON parent.oid = i.indrelid
		JOIN pg_inherits h ON h.inhparent = i.indrelid JOIN pg_class part ON part.oid = h.inhrelid
	WHERE idx.relkind = 'I' AND NOT i.indisvalid AND idx.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
		AND NOT EXISTS (
			SELECT FROM pg_inherits c JOIN pg_index own ON own.indexrelid = c.inhrelid
			WHERE c.inhparent = i.indexrelid AND own.indrelid = part.oid)
	ORDER BY 1, 2`

type missingIndex struct {
	Index, Partition, Name, Definition string
	Bytes                              int64
}

// finishIndexes builds, partition by partition, the indexes that a migration declared with CREATE INDEX ... ON ONLY. A
// partition above small bytes keeps its writers meanwhile. What a process that died had begun is begun again. CodeUnavailable:
// somebody keeps a partition.
func finishIndexes(ctx context.Context, db *sqlx.DB, schema string, small int64) (err error) {
	var missing []missingIndex
	if err := db.SelectContext(ctx, &missing, selectMissingIndexes); err != nil || len(missing) == 0 {
		return failed("list missing indexes", err)
	}
	conn, err := db.Connx(ctx)
	if err != nil {
		return failed("build indexes", err)
	}
	defer conn.Close() // this also releases the lock
	// The lock is polled. A session that waits for it would hold a transaction, for which a concurrent index build would
	// wait in turn.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(lockID(schema+" indexes")), lock.WithLockTimeout(lockPeriod, lockTries))
	if err != nil {
		return fmt.Errorf("build indexes: %w", err)
	}
	if err := locker.SessionLock(ctx, conn.Conn); err != nil {
		return failed("wait for another process that builds indexes", err)
	}
	defer func() { _ = locker.SessionUnlock(context.WithoutCancel(ctx), conn.Conn) }()
	missing = nil
	if err := conn.SelectContext(ctx, &missing, selectMissingIndexes); err != nil {
		return failed("list missing indexes", err)
	}
	for _, m := range missing {
		if err := m.build(ctx, conn, small); err != nil {
			return failed(fmt.Sprintf("build the index %s of %s", m.Index, m.Partition), err)
		}
	}
	return nil
}

// build waits for locks as a migration does, except where the index is built concurrently: that holds up nobody.
func (m *missingIndex) build(ctx context.Context, conn *sqlx.Conn, small int64) error {
	name, how, wait := pq.QuoteIdentifier(m.Name), "", migrationLockTime
	if m.Bytes > small {
		how, wait = "CONCURRENTLY ", 0
	}
	for _, step := range []struct {
		statement string
		wait      time.Duration
	}{
		{`DROP INDEX IF EXISTS ` + name, migrationLockTime}, // half built, or not yet attached
		{`CREATE INDEX ` + how + name + ` ON ` + pq.QuoteIdentifier(m.Partition) + m.Definition, wait},
		{`ALTER INDEX ` + pq.QuoteIdentifier(m.Index) + ` ATTACH PARTITION ` + name, migrationLockTime},
	} {
		if _, err := conn.ExecContext(ctx, fmt.Sprintf(`SET lock_timeout = %d`, step.wait.Milliseconds())); err != nil {
			return err
		}
		if _, err := conn.ExecContext(ctx, step.statement); err != nil {
			return err
		}
	}
	return nil
}
