package api_test

import (
	"context"

	"waybill/store"
	"waybill/webhook"
)

func (m *memStore) Audit(_ context.Context, f store.AuditFilter) (*store.Part[webhook.AuditEntry], error) {
	leave, err := m.enter("Audit")
	defer leave()
	m.auditFilters = append(m.auditFilters, f)
	return &store.Part[webhook.AuditEntry]{Items: m.audit, Next: m.next}, err
}

func (m *memStore) NoteRetry(ctx context.Context, tenant string, id webhook.DeliveryID, _ int, reason string) error {
	leave, err := m.enter("NoteRetry")
	defer leave()
	a := store.ActorOf(ctx)
	m.audit = append(m.audit, webhook.AuditEntry{
		TenantID: tenant, Actor: a.Name, Address: a.Address, RequestID: a.RequestID, Action: "delivery.retried", Target: id.String() + " " + reason,
	})
	return err
}
