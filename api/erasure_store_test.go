package api_test

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

func (m *memStore) EraseEvent(_ context.Context, tenant, eventID string, at time.Time) (*store.ErasedEvent, error) {
	leave, err := m.enter("EraseEvent")
	defer leave()
	if err != nil {
		return nil, err
	}
	p, ok := m.events[tenant+"/"+eventID]
	if !ok {
		return nil, missing("event", eventID)
	}
	p.Body = webhook.Body{}
	m.events[tenant+"/"+eventID] = p
	if m.erased == nil {
		m.erased = map[string]time.Time{}
	}
	m.erased[tenant+"/"+eventID] = at
	out := new(store.ErasedEvent)
	for id, d := range m.deliveries {
		if d.EventID == eventID && m.owners[id] == tenant && !d.Status.Settled() {
			d.Status = webhook.StatusCanceled
			m.deliveries[id] = d
			out.Canceled++
		}
	}
	return out, nil
}

func (m *memStore) BeginErasure(_ context.Context, tenant string, at time.Time) (*store.Erasure, error) {
	leave, err := m.enter("BeginErasure")
	defer leave()
	if err != nil {
		return nil, err
	}
	if _, ok := m.tenants[tenant]; !ok {
		return nil, missing("tenant", tenant)
	}
	delete(m.tenants, tenant)
	m.began(tenant, at)
	return m.erasures[tenant], nil
}

func (m *memStore) began(tenant string, at time.Time) {
	if m.erasures == nil {
		m.erasures = map[string]*store.Erasure{}
	}
	m.erasures[tenant] = &store.Erasure{TenantID: tenant, StartedAt: at}
}

func (m *memStore) TenantErasure(_ context.Context, tenant string) (*store.Erasure, error) {
	leave, err := m.enter("TenantErasure")
	defer leave()
	if err != nil {
		return nil, err
	}
	if e, ok := m.erasures[tenant]; ok {
		return e, nil
	}
	return nil, missing("erasure", tenant)
}
