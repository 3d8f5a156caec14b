package postgres

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"

	"waybill/store"
	"waybill/webhook"
)

const insertAudit = `
	INSERT INTO audit (id, tenant_id, at, actor, address, request_id, action, target, before, after)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`

// audited writes the audit entry of a change in the change's transaction, which must be one of transact. tenant is "" for what
// belongs to none. before and after are the changed fields, nil: none; they must hold no secret. The actor is the context's.
func (s *Store) audited(ctx context.Context, tx *sqlx.Tx, tenant, action, target string, before, after any) error {
	return s.writeAudit(ctx, tx, s.newAudit(ctx, tenant, action, target, before, after))
}

// auditedUpdate writes the entry of an update, with the fields that differ. Where none does, there is no entry.
func (s *Store) auditedUpdate(ctx context.Context, tx *sqlx.Tx, tenant, action, target string, before, after auditFields) error {
	was, is := before.changedTo(after)
	if len(is) == 0 {
		return nil
	}
	return s.audited(ctx, tx, tenant, action, target, was, is)
}

// newAudit returns the entry of a change that is made now, by the context's actor.
func (s *Store) newAudit(ctx context.Context, tenant, action, target string, before, after any) *webhook.AuditEntry {
	actor := store.ActorOf(ctx)
	return &webhook.AuditEntry{
		ID: webhook.NewID[webhook.AuditID](s.opts.NewUUID()), TenantID: tenant, At: time.Now().UTC().Truncate(time.Microsecond),
		Actor: actor.Name, Address: actor.Address, RequestID: actor.RequestID, Action: action, Target: target,
		Before: auditJSON(before), After: auditJSON(after),
	}
}

func (s *Store) writeAudit(ctx context.Context, tx *sqlx.Tx, e *webhook.AuditEntry) error {
	_, err := tx.ExecContext(ctx, insertAudit, e.ID, e.TenantID, e.At, e.Actor, e.Address, e.RequestID, e.Action, e.Target,
		optionalText(e.Before), optionalText(e.After))
	if err == nil {
		s.audits.add(tx, e)
	}
	return err
}

func optionalText(text json.RawMessage) any {
	if text == nil {
		return nil
	}
	return string(text)
}

// pendingAudits are the entries of transactions that are not committed yet: only what is committed is logged.
type pendingAudits struct {
	mu      sync.Mutex
	entries map[*sqlx.Tx][]*webhook.AuditEntry
}

func (p *pendingAudits) add(tx *sqlx.Tx, e *webhook.AuditEntry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.entries == nil {
		p.entries = map[*sqlx.Tx][]*webhook.AuditEntry{}
	}
	p.entries[tx] = append(p.entries[tx], e)
}

func (p *pendingAudits) of(tx *sqlx.Tx) []*webhook.AuditEntry {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.entries[tx]
}

func (p *pendingAudits) forget(tx *sqlx.Tx) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.entries, tx)
}

// logAudited logs the entries of a transaction that was committed, a line each.
func (s *Store) logAudited(ctx context.Context, tx *sqlx.Tx) {
	for _, e := range s.audits.of(tx) {
		s.log.LogAttrs(ctx, slog.LevelInfo, "audit", slog.String("action", e.Action), slog.String("tenant", e.TenantID),
			slog.String("target", e.Target), slog.String("actor", e.Actor), slog.String("address", e.Address),
			slog.String("request_id", e.RequestID), slog.String("audit", e.ID.String()))
	}
}
