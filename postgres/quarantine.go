package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

// trimRows is how many rows one statement deletes at most. It is more than one step adds, so that the quarantine shrinks.
const trimRows = 1000

const (
	quarantineColumns = `position, coalesce(tenant_id, '') AS tenant_id, event_id, coalesce(event_type, '') AS event_type, code, reason, errors,
		bytes, cut, created_at, quarantined_at`

	// selectQuarantine shows the beginnings of texts: a page of whole ones could have 50 MB.
	selectQuarantine = `
		SELECT position, left(tenant_id, 200) AS tenant_id, left(event_id, 200) AS event_id, left(event_type, 200) AS event_type, code, reason, errors,
			bytes, cut, created_at, quarantined_at
		FROM (SELECT ` + quarantineColumns + ` FROM outbox_quarantine WHERE position < $1 ORDER BY position DESC LIMIT $2) AS page`

	selectQuarantined = `SELECT ` + quarantineColumns + `, data, attributes FROM outbox_quarantine WHERE position = $1`

	retryQuarantined = `
		WITH again AS (DELETE FROM outbox_quarantine WHERE position = $1 AND NOT cut RETURNING *), moved AS (
			INSERT INTO outbox (event_key, tenant_id, event_id, event_type, data, occurred_at, attributes, bytes, created_at, traceparent)
			SELECT event_key, tenant_id, event_id, event_type, data, occurred_at, attributes, bytes, created_at, traceparent FROM again RETURNING position
		), told AS (SELECT pg_notify('` + outboxChannel + `', current_schema()) FROM moved)
		SELECT ` + quarantineAudited + ` FROM again, told`

	// quarantineAudited is what an audit entry says of a row. The producer may have written any text as its tenant.
	quarantineAudited = `coalesce((SELECT t.id FROM tenants t WHERE t.id = tenant_id), '') AS tenant_id, left(event_id, 200) AS event_id,
		left(coalesce(event_type, ''), 200) AS event_type, code`

	deleteQuarantined = `DELETE FROM outbox_quarantine WHERE position = $1 RETURNING ` + quarantineAudited

	// trimQuarantine deletes the rows beyond the newest $1, beyond $2 bytes of texts, and those older than $3 ms. It skips what
	// somebody else is deleting. However many rows there are, from a time without bounds, it looks at the newest $1 and the oldest $4.
	trimQuarantine = `
		WITH newest AS MATERIALIZED (
			SELECT position, quarantined_at, sum(CASE WHEN cut THEN 0 ELSE bytes END) OVER (ORDER BY position DESC) AS bytes
			FROM (SELECT position, quarantined_at, bytes, cut FROM outbox_quarantine ORDER BY position DESC LIMIT $1::bigint) AS newest
		), found AS MATERIALIZED (
			(SELECT position FROM outbox_quarantine WHERE position < (SELECT min(position) FROM newest) ORDER BY position LIMIT $4)
			UNION ALL
			(SELECT position FROM newest WHERE bytes > $2::bigint OR quarantined_at < now() - $3::bigint * interval '1 millisecond')
			ORDER BY position LIMIT $4
		), beyond AS MATERIALIZED (
			SELECT q.position FROM found f JOIN outbox_quarantine q ON q.position = f.position ORDER BY q.position FOR UPDATE OF q SKIP LOCKED
		), trimmed AS (
			DELETE FROM outbox_quarantine q USING beyond WHERE q.position = beyond.position RETURNING q.position
		)
		SELECT count(*) FROM trimmed`
)

type quarantineRow struct {
	Position      int64        `db:"position"`
	TenantID      string       `db:"tenant_id"`
	EventID       *string      `db:"event_id"`
	EventType     string       `db:"event_type"`
	Code          webhook.Code `db:"code"`
	Reason        string       `db:"reason"`
	ErrorsJSON    []byte       `db:"errors"`
	Bytes         int64        `db:"bytes"`
	Cut           bool         `db:"cut"`
	CreatedAt     time.Time    `db:"created_at"`
	QuarantinedAt time.Time    `db:"quarantined_at"`
	Data          []byte       `db:"data"`
	Attributes    []byte       `db:"attributes"`
}

func (r *quarantineRow) row() (*store.QuarantinedRow, error) {
	out := &store.QuarantinedRow{
		Position: r.Position, TenantID: r.TenantID, EventID: r.EventID, EventType: r.EventType, Code: r.Code, Reason: r.Reason, Bytes: r.Bytes,
		Cut: r.Cut, CreatedAt: r.CreatedAt, QuarantinedAt: r.QuarantinedAt, Data: r.Data, Attributes: r.Attributes,
	}
	if r.ErrorsJSON != nil {
		if err := json.Unmarshal(r.ErrorsJSON, &out.Errors); err != nil {
			return nil, fmt.Errorf("read the errors of the row %d: %w", r.Position, err)
		}
	}
	return out, nil
}

// QuarantinedRows implements store.Quarantine.
func (s *Store) QuarantinedRows(ctx context.Context, page store.Page) ([]store.QuarantinedRow, error) {
	before := int64(1<<63 - 1)
	if page.After != "" {
		var err error
		if before, err = strconv.ParseInt(page.After, 10, 64); err != nil {
			return nil, webhook.Errorf(webhook.CodeInvalid, "the page cannot start after %q", page.After).WithCause(err)
		}
	}
	var rows []quarantineRow
	if err := s.list(ctx, &rows, selectQuarantine, before, page.Limit); err != nil {
		return nil, failed("list the quarantine", err)
	}
	return readAll(rows, (*quarantineRow).row)
}

// QuarantinedRow implements store.Quarantine.
func (s *Store) QuarantinedRow(ctx context.Context, position int64) (*store.QuarantinedRow, error) {
	var row quarantineRow
	if err := s.get(ctx, &row, selectQuarantined, position); err != nil {
		return nil, failed("find a row in quarantine", orNotInQuarantine(err, position))
	}
	return row.row()
}

func orNotInQuarantine(err error, position int64) error {
	return orNotFound(err, "row in quarantine", strconv.FormatInt(position, 10))
}

// RetryQuarantined implements store.Quarantine.
func (s *Store) RetryQuarantined(ctx context.Context, position int64) error {
	return s.transact(ctx, "retry a row in quarantine", func(tx *sqlx.Tx) error {
		var moved []quarantineRow
		if err := tx.SelectContext(ctx, &moved, retryQuarantined, position); err != nil {
			return err
		}
		if len(moved) > 0 {
			return s.auditedQuarantine(ctx, tx, "quarantine.retried", position, &moved[0])
		}
		var cut bool
		if err := tx.GetContext(ctx, &cut, `SELECT cut FROM outbox_quarantine WHERE position = $1`, position); err != nil {
			return orNotInQuarantine(err, position)
		}
		return webhook.Errorf(webhook.CodeConflict, "the row's texts were not kept, so it cannot be published: delete it")
	})
}

// DeleteQuarantined implements store.Quarantine.
func (s *Store) DeleteQuarantined(ctx context.Context, position int64) error {
	return s.transact(ctx, "delete a row in quarantine", func(tx *sqlx.Tx) error {
		var deleted quarantineRow
		if err := tx.GetContext(ctx, &deleted, deleteQuarantined, position); err != nil {
			return orNotInQuarantine(err, position)
		}
		return s.auditedQuarantine(ctx, tx, "quarantine.deleted", position, &deleted)
	})
}

func (s *Store) auditedQuarantine(ctx context.Context, tx *sqlx.Tx, action string, position int64, r *quarantineRow) error {
	before := map[string]any{"event_id": r.EventID, "event_type": r.EventType, "code": r.Code}
	return s.audited(ctx, tx, r.TenantID, action, strconv.FormatInt(position, 10), before, nil)
}

// TrimQuarantine implements store.Quarantine.
func (s *Store) TrimQuarantine(ctx context.Context) (int, error) {
	all := 0
	for {
		var n int
		if err := s.get(ctx, &n, trimQuarantine, s.trimArgs()...); err != nil {
			return all, failed("trim the quarantine", err)
		}
		all += n
		s.reportTrimmed(n)
		if n < trimRows {
			return all, nil
		}
	}
}

func (s *Store) trimArgs() []any {
	return []any{s.opts.QuarantineRows, s.opts.QuarantineBytes, s.opts.QuarantineAge.Milliseconds(), trimRows}
}

func (s *Store) reportTrimmed(rows int) {
	if rows > 0 {
		s.log.Warn("the quarantine is full, or rows in it are too old: the oldest were deleted", slog.Int("rows", rows))
	}
}
