package postgres

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const auditColumns = `id, tenant_id, at, actor, address, request_id, action, target, before, after`

type auditRow struct {
	webhook.AuditEntry
	BeforeJSON []byte `db:"before"`
	AfterJSON  []byte `db:"after"`
	found
}

func (r *auditRow) entry() (*webhook.AuditEntry, error) {
	e := r.AuditEntry
	e.At, e.Before, e.After = e.At.UTC(), r.BeforeJSON, r.AfterJSON
	return &e, nil
}

// Audit implements store.Audits.
func (s *Store) Audit(ctx context.Context, f store.AuditFilter) (*store.Part[webhook.AuditEntry], error) {
	after, err := pageAfter[webhook.AuditID](f.Page)
	if err != nil {
		return nil, err
	}
	query, args := auditQuery(f, after)
	var rows []auditRow
	if err := s.list(ctx, &rows, query, args...); err != nil {
		return nil, failed("list audit entries", err)
	}
	return partOf(rows, func(r *auditRow) string { return r.ID.String() }, (*auditRow).entry)
}

// auditQuery returns the query of a list and its arguments. An entry's id has the moment of the change, to the millisecond, and the
// column at has it exactly.
func auditQuery(f store.AuditFilter, after webhook.AuditID) (string, []any) {
	var w where
	if f.TenantID != "" { // audit_by_tenant
		w.and("tenant_id = %s", f.TenantID)
	}
	if !after.IsZero() {
		w.and("id < %s", after)
	}
	if !f.Since.IsZero() {
		w.and("id >= uuid_floor(%s::timestamptz)", clampTime(f.Since.Add(-auditSlack)))
	}
	if !f.Until.IsZero() {
		w.and("id < uuid_floor(%s::timestamptz)", clampTime(f.Until.Add(auditSlack)))
	}
	source := "SELECT " + auditColumns + " FROM audit WHERE " + w.take()
	for _, named := range []struct{ column, value string }{{"actor", f.Actor}, {"action", f.Action}, {"target", f.Target}} {
		if named.value != "" {
			w.and(named.column+" = %s", named.value)
		}
	}
	if !f.Since.IsZero() {
		w.and("at >= %s", clampTime(f.Since))
	}
	if !f.Until.IsZero() {
		w.and("at < %s", clampTime(f.Until))
	}
	return searchQuery(auditColumns, []string{source}, w.take(), w.arg(f.Page.Limit)), w.args
}

// selectNoted reports whether the attempt $4 was noted since $2, so that the entries before are not looked through.
const selectNoted = `
	SELECT EXISTS (SELECT FROM audit WHERE tenant_id = $1 AND id >= uuid_floor($2::timestamptz) AND action = 'delivery.retried' AND target = $3
		AND (after ->> 'attempt')::int = $4)`

// notedBefore is more than the clocks of processes differ.
const notedBefore = time.Hour

// NoteRetry implements store.Audits.
func (s *Store) NoteRetry(ctx context.Context, tenant string, id webhook.DeliveryID, attempt int, reason string) error {
	return s.transact(ctx, "note a retry", func(tx *sqlx.Tx) error {
		d, err := findDelivery(ctx, tx, tenant, id)
		if err != nil {
			return err
		}
		after := map[string]any{"event_id": d.EventID, "endpoint_id": d.EndpointID}
		if attempt > 0 {
			var noted bool
			err := tx.GetContext(ctx, &noted, selectNoted, tenant, d.UpdatedAt.Add(-notedBefore), id.String(), attempt)
			if err != nil || noted {
				return err
			}
			after["attempt"] = attempt
		}
		if reason != "" {
			after["reason"] = cleanText(reason)
		}
		return s.audited(ctx, tx, tenant, "delivery.retried", id.String(), map[string]any{"status": d.Status}, after)
	})
}
