package postgres

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"

	"waybill/store"
	"waybill/webhook"
)

const (
	// retainPage is how many rows one statement deletes.
	retainPage = 2000
	// countMost bounds what a dry run counts of one kind.
	countMost = 100_000
	// dropTime bounds the drop of one partition, and so how long it can block others.
	dropTime = 2 * time.Second
)

const (
	// selectExpiredPartitions lists the partitions of months that are over since $1 ms: the oldest first, and the deliveries of a month
	// before what belongs to them, so that nothing is opened again whose event is about to go.
	selectExpiredPartitions = `
		SELECT parent, month::date AS month, name, rows, bytes FROM (
			SELECT parent.relname::text AS parent, part.relname::text AS name, greatest(part.reltuples, 0)::bigint AS rows,
				pg_total_relation_size(part.oid) AS bytes, CASE WHEN part.relname ~ '_[0-9]{4}_[0-9]{2}$' THEN to_timestamp(right(part.relname, 7), 'YYYY_MM') END AS month
			FROM pg_inherits i JOIN pg_class part ON part.oid = i.inhrelid JOIN pg_class parent ON parent.oid = i.inhparent
			WHERE parent.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
				AND parent.relname IN ('events', 'deliveries', 'attempts')
		) AS partitions
		WHERE month + interval '1 month' <= now() - $1::bigint * interval '1 millisecond'
		ORDER BY month, array_position(ARRAY['deliveries', 'attempts', 'events'], parent)`

	// deleteKeys deletes the keys of events between two ids, page by page. A key stays as long as its event does.
	deleteKeys = `
		WITH page AS MATERIALIZED (
			SELECT id AS key, created_at AS stored_at, tenant_id, event_id FROM events WHERE id > $1 AND id < uuid_floor($2::timestamptz) ORDER BY id LIMIT $3
		), deleted AS (
			DELETE FROM event_keys k USING page stored
			WHERE k.tenant_id = stored.tenant_id AND k.event_id = stored.event_id AND k.event_key = stored.key
				AND NOT EXISTS (SELECT FROM deliveries d WHERE ` + ofStored + ` AND ` + unsettled + `)
			RETURNING 1
		)
		SELECT (SELECT count(*) FROM deleted) AS deleted, (SELECT key FROM page ORDER BY key DESC LIMIT 1) AS last`

	// unsettled tells an unsettled delivery d by the columns that drop_partition looks at.
	unsettled = `(d.next_attempt_at IS NOT NULL OR d.held_at IS NOT NULL OR d.queue_due_at IS NOT NULL OR d.status || '' IN ('pending', 'retrying', 'held'))`
)

type expiredPartition struct {
	Parent, Name string
	Month        time.Time
	Rows, Bytes  int64
}

// Retain implements store.Retention. Each partition and each page of rows is a transaction of its own, so that a run that ends early
// leaves nothing half done. What fails keeps nothing else from going.
func (s *Store) Retain(ctx context.Context, rule store.RetentionRule) (gone []store.Expired, err error) {
	partitions, err := s.expiredPartitions(ctx, rule)
	if err != nil {
		return nil, err
	}
	var errs []error
	stuck := map[time.Time]bool{} // months whose deliveries stay, and so all else of them
	for _, p := range partitions {
		if ctx.Err() != nil || stuck[p.Month] {
			continue
		}
		found, dropped, err := s.dropPartition(ctx, &p)
		stuck[p.Month] = !dropped && p.Parent == "deliveries"
		errs = append(errs, err)
		gone = append(gone, found...)
	}
	for _, e := range expirations(rule) {
		n, err := s.deletePages(ctx, &e)
		errs = append(errs, failed("delete "+e.what, err))
		if n > 0 {
			gone = append(gone, store.Expired{What: e.what, Rows: n})
		}
	}
	n, err := s.eraseBodies(ctx)
	if n > 0 {
		gone = append(gone, store.Expired{What: whatBodies, Rows: n})
	}
	return gone, errors.Join(append(errs, failed("erase "+whatBodies, err))...)
}

func (s *Store) expiredPartitions(ctx context.Context, rule store.RetentionRule) ([]expiredPartition, error) {
	var partitions []expiredPartition
	err := s.list(ctx, &partitions, selectExpiredPartitions, rule.Keep.Milliseconds())
	return partitions, failed("list expired partitions", err)
}

// dropPartition drops a partition, and before one of events their keys. It is not dropped either while another process is at one.
func (s *Store) dropPartition(ctx context.Context, p *expiredPartition) (gone []store.Expired, dropped bool, err error) {
	if p.Parent == "events" {
		n, err := s.deleteKeysOf(ctx, p.Month)
		if n > 0 {
			gone = append(gone, store.Expired{What: "ids of " + p.Name, Rows: n})
		}
		if err != nil {
			return gone, false, failed("delete the ids of "+p.Name, err)
		}
	}
	var kept *int64 // nil: another process is at it
	err = within(ctx, s.opts.Timeout, func(ctx context.Context) error {
		return limited(ctx, s.db, dropTime, func(tx *sqlx.Tx) error {
			return tx.GetContext(ctx, &kept, `SELECT drop_partition($1, $2)`, p.Parent, p.Month)
		})
	})
	if e := pq.As(err, pqerror.ProgramLimitExceeded, pqerror.ObjectNotInPrerequisiteState); e != nil {
		return gone, false, webhook.Errorf(webhook.CodeConflict, "%s", e.Message).WithCause(err)
	}
	if err != nil || kept == nil {
		return gone, false, failed("drop the partition "+p.Name, err)
	}
	return append(gone, store.Expired{What: p.Name, Rows: max(p.Rows-*kept, 0), Kept: *kept, Bytes: p.Bytes}), true, nil
}

// deleteKeysOf deletes the keys of a month's events.
func (s *Store) deleteKeysOf(ctx context.Context, month time.Time) (all int64, err error) {
	month = time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	after := webhook.EventKey(idFloor(month))
	for {
		var page struct {
			Deleted int64             `db:"deleted"`
			Last    *webhook.EventKey `db:"last"`
		}
		if err := s.get(ctx, &page, deleteKeys, after, month.AddDate(0, 1, 0), retainPage); err != nil {
			return all, err
		}
		all += page.Deleted
		if page.Last == nil {
			return all, nil
		}
		after = *page.Last
	}
}

// Expired implements store.Retention.
func (s *Store) Expired(ctx context.Context, rule store.RetentionRule) ([]store.Expired, error) {
	partitions, err := s.expiredPartitions(ctx, rule)
	if err != nil {
		return nil, err
	}
	var out []store.Expired
	for _, p := range partitions {
		out = append(out, store.Expired{What: p.Name, Rows: p.Rows, Bytes: p.Bytes})
		if p.Parent == "deliveries" {
			last := &out[len(out)-1]
			if err := s.get(ctx, &last.Kept, countUnsettledOf(p.Name)); err != nil {
				return nil, failed("count what stays of "+p.Name, err)
			}
			last.Rows = max(last.Rows-last.Kept, 0)
		}
	}
	for _, e := range expirations(rule) {
		var n int64
		if err := s.get(ctx, &n, `SELECT count(*) FROM (`+e.found+` LIMIT $2) AS found`, e.age.Milliseconds(), countMost); err != nil {
			return nil, failed("count "+e.what, err)
		}
		if n > 0 {
			out = append(out, store.Expired{What: e.what, Rows: n})
		}
	}
	n, err := s.countBodies(ctx)
	if n > 0 {
		out = append(out, store.Expired{What: whatBodies, Rows: n})
	}
	return out, failed("count "+whatBodies, err)
}

// countUnsettledOf counts what is unsettled in a partition of deliveries, with the partial indexes.
func countUnsettledOf(partition string) string {
	from := ` FROM ` + pq.QuoteIdentifier(partition) + ` d WHERE `
	return `SELECT count(*) FROM (SELECT id` + from + `next_attempt_at IS NOT NULL UNION SELECT id` + from +
		`held_at IS NOT NULL UNION SELECT id` + from + `queue_due_at IS NOT NULL) AS unsettled`
}

// deletePages deletes rows until none is left that has expired.
func (s *Store) deletePages(ctx context.Context, e *expiration) (all int64, err error) {
	page := cmp.Or(e.page, retainPage)
	for {
		var n int64
		err := s.get(ctx, &n, e.delete(), e.age.Milliseconds(), page)
		all += n
		if err != nil || n < int64(page) {
			return all, err
		}
	}
}
