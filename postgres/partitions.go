package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
)

const (
	// monthsAhead is for how many months after this one partitions are created. Whatever keeps a partition from being
	// created, such as a dump that runs for hours or a stopped process, may last that long.
	monthsAhead = 3
	// partitionTime bounds the creation of one partition, and so how long it can block others.
	partitionTime = 2 * time.Second
)

const selectMissingPartitions = `
	SELECT parent, month::date AS month
	FROM (SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n) AS month FROM generate_series(0, $1) AS n) AS months
		CROSS JOIN unnest(ARRAY['events', 'deliveries', 'attempts']) AS parent
	WHERE to_regclass(format('%I.%I', current_schema(), parent || to_char(month, '_YYYY_MM'))) IS NULL
	ORDER BY month, parent`

type missingPartition struct {
	Parent string
	Month  time.Time
}

// EnsurePartitions implements store.Partitions: for this month and the next three. One that cannot be locked at once is left
// to the next call, with CodeUnavailable. One that another process is at is left to the next call without an error. One that
// can never be created, because the default partition has too much of its month, keeps no other from being created.
func (s *Store) EnsurePartitions(ctx context.Context) error {
	return ensurePartitions(ctx, s.db, s.opts.Timeout)
}

func ensurePartitions(ctx context.Context, db *sqlx.DB, timeout time.Duration) error {
	var missing []missingPartition
	err := within(ctx, timeout, func(ctx context.Context) error {
		return db.SelectContext(ctx, &missing, selectMissingPartitions, monthsAhead)
	})
	if err != nil {
		return failed("list missing partitions", err)
	}
	var errs []error
	busy := map[string]bool{} // somebody keeps the table, so the next try would only hold up others once more
	for _, m := range missing {
		if busy[m.Parent] {
			continue
		}
		err := within(ctx, timeout, func(ctx context.Context) error { return m.create(ctx, db) })
		if err != nil {
			busy[m.Parent] = unavailable(err)
			errs = append(errs, failed(fmt.Sprintf("create the partition of %s for %s", m.Parent, m.Month.Format("2006-01")), err))
		}
	}
	return errors.Join(errs...)
}

func within(ctx context.Context, timeout time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return do(ctx)
}

func (m *missingPartition) create(ctx context.Context, db *sqlx.DB) error {
	return limited(ctx, db, partitionTime, func(tx *sqlx.Tx) error {
		_, err := tx.ExecContext(ctx, `SELECT create_partition($1, $2)`, m.Parent, m.Month)
		return err
	})
}

// limited is a transaction whose statements take no longer than limit, and so hold up nobody for longer.
func limited(ctx context.Context, db *sqlx.DB, limit time.Duration, do func(tx *sqlx.Tx) error) error {
	tx, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`SET LOCAL statement_timeout = %d`, limit.Milliseconds())); err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// canWait reports whether an error of ensurePartitions keeps nobody from working: rows of a month that has no partition go to
// the default one.
func canWait(err error) bool {
	return pq.As(err, pqerror.LockNotAvailable, pqerror.QueryCanceled, pqerror.ProgramLimitExceeded) != nil
}
