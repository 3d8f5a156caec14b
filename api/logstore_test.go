package api_test

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"time"

	"waybill/store"
	"waybill/webhook"
)

func (m *memStore) Accept(_ context.Context, p *webhook.Publication) (*webhook.Receipt, error) {
	leave, err := m.enter("Accept")
	m.running++
	m.crowd = max(m.crowd, m.running)
	leave()
	for range 100 { // a commit, during which others arrive
		runtime.Gosched()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running--
	if err != nil {
		return nil, err
	}
	key := p.Event.TenantID + "/" + p.Event.ID
	if before, ok := m.events[key]; ok {
		if before.Digest != p.Digest {
			return nil, webhook.Errorf(webhook.CodeEventIDConflict, "the event id %q was used for another event", p.Event.ID)
		}
		again := m.receipts[key]
		again.Repeated = true
		return &again, nil
	}
	var deliveries []webhook.ReceiptDelivery
	recipients, others := p.Recipients(m.endpointsOf(p.Event.TenantID))
	for _, to := range recipients {
		d := webhook.Delivery{
			ID: webhook.NewID[webhook.DeliveryID](m.uuid()), EventID: p.Event.ID, EventType: p.Event.Type,
			EndpointID: to, Status: webhook.StatusPending, Test: p.Event.Test, CreatedAt: p.CreatedAt, UpdatedAt: p.CreatedAt,
		}
		if m.accepted != nil {
			m.accepted(&d)
		}
		m.deliveries[d.ID], m.owners[d.ID] = d, p.Event.TenantID
		deliveries = append(deliveries, webhook.ReceiptDelivery{ID: d.ID, EndpointID: to})
	}
	m.events[key], m.receipts[key] = *p, webhook.Receipt{EventID: p.Event.ID, Deliveries: deliveries}
	return webhook.NewReceipt(p.Event.ID, deliveries, others), nil
}

func (m *memStore) Event(_ context.Context, tenant, id string) (*store.StoredEvent, error) {
	leave, err := m.enter("Event")
	defer leave()
	if err != nil {
		return nil, err
	}
	p, ok := m.events[tenant+"/"+id]
	if !ok {
		return nil, missing("event", id)
	}
	e := store.StoredEvent{Event: *p.Event, Body: p.Body, CreatedAt: p.CreatedAt}
	e.Data = p.Body.Data()
	if at, ok := m.erased[tenant+"/"+id]; ok {
		e.ErasedAt, e.Attributes, e.Metadata = &at, nil, nil
	}
	return &e, nil
}

func (m *memStore) History(_ context.Context, tenant, id string) (*webhook.History, error) {
	leave, err := m.enter("History")
	defer leave()
	if err != nil {
		return nil, err
	}
	if _, ok := m.events[tenant+"/"+id]; !ok {
		return nil, missing("event", id)
	}
	h := &webhook.History{EventID: id}
	for _, d := range m.receipts[tenant+"/"+id].Deliveries {
		h.Deliveries = append(h.Deliveries, webhook.DeliveryHistory{ID: d.ID, EndpointID: d.EndpointID, Status: m.deliveries[d.ID].Status})
	}
	return h, nil
}

func (m *memStore) Deliveries(_ context.Context, tenant string, f store.DeliveryFilter) (*store.Part[webhook.Delivery], error) {
	leave, err := m.enter("Deliveries")
	defer leave()
	m.filters = append(m.filters, f)
	all := slices.DeleteFunc(slices.Collect(maps.Values(m.deliveries)), func(d webhook.Delivery) bool {
		return m.owners[d.ID] != tenant || len(f.Statuses) > 0 && !slices.Contains(f.Statuses, d.Status) || f.EventID != "" && d.EventID != f.EventID ||
			!f.EndpointID.IsZero() && d.EndpointID != f.EndpointID || !m.within(f.Within, d.EndpointID)
	})
	return &store.Part[webhook.Delivery]{
		Items: pageOf(all, f.Page, func(d webhook.Delivery) string { return d.ID.String() }), Next: m.next,
	}, err
}

func (m *memStore) Events(_ context.Context, tenant string, f store.EventFilter) (*store.Part[store.StoredEvent], error) {
	leave, err := m.enter("Events")
	defer leave()
	m.eventFilters = append(m.eventFilters, f)
	var all []store.StoredEvent
	for _, p := range m.events {
		if p.Event.TenantID == tenant && f.Within.CoversEvent(p.Event.Attributes) {
			all = append(all, store.StoredEvent{Event: *p.Event, CreatedAt: p.CreatedAt})
		}
	}
	return &store.Part[store.StoredEvent]{
		Items: pageOf(all, f.Page, func(e store.StoredEvent) string { return e.Key.String() }), Next: m.next,
	}, err
}

func (m *memStore) Stats(_ context.Context, of store.StatsOf, since time.Time, span time.Duration) ([]store.StatsCell, error) {
	leave, err := m.enter("Stats")
	defer leave()
	m.statsAsked = append(m.statsAsked, statsQuestion{of.EndpointID, since, span})
	m.statsWithin = append(m.statsWithin, of.Within)
	return m.cells, err
}

func (m *memStore) EndpointStats(_ context.Context, _ string, endpoints []webhook.EndpointID, since time.Time, span time.Duration) (map[webhook.EndpointID]*store.EndpointStats, error) {
	leave, err := m.enter("EndpointStats")
	defer leave()
	out := map[webhook.EndpointID]*store.EndpointStats{}
	for _, id := range endpoints {
		m.statsAsked = append(m.statsAsked, statsQuestion{id, since, span})
		if of, ok := m.endpointStats[id]; ok {
			out[id] = &of
		}
	}
	return out, err
}

func (m *memStore) CountUnsettled(context.Context, store.StatsOf) (store.Unsettled, error) {
	leave, err := m.enter("CountUnsettled")
	defer leave()
	return store.Unsettled{Pending: 1, Retrying: 2, Held: 3}, err
}

func (m *memStore) Progress(_ context.Context, tenant, id string) ([]store.Progress, error) {
	leave, err := m.enter("Progress")
	defer leave()
	var out []store.Progress
	for _, r := range m.receipts[tenant+"/"+id].Deliveries {
		d := m.deliveries[r.ID]
		out = append(out, store.Progress{ID: d.ID, Status: d.Status, Attempts: d.Attempts, Queued: d.Queued})
	}
	return out, err
}

func (m *memStore) findDelivery(tenant string, id webhook.DeliveryID) (webhook.Delivery, error) {
	d, ok := m.deliveries[id]
	if !ok || m.owners[id] != tenant {
		return d, missing("delivery", id.String())
	}
	return d, nil
}

func (m *memStore) Delivery(_ context.Context, tenant string, id webhook.DeliveryID) (*webhook.Delivery, error) {
	leave, err := m.enter("Delivery")
	defer leave()
	if err != nil {
		return nil, err
	}
	d, err := m.findDelivery(tenant, id)
	return &d, err
}

func (m *memStore) CancelDelivery(_ context.Context, tenant string, id webhook.DeliveryID, reason string, at time.Time) (*webhook.Delivery, error) {
	leave, err := m.enter("CancelDelivery")
	defer leave()
	if err != nil {
		return nil, err
	}
	d, err := m.findDelivery(tenant, id)
	if err != nil {
		return nil, err
	}
	if d.Status.Settled() {
		return nil, webhook.Errorf(webhook.CodeConflict, "the delivery is %s", d.Status)
	}
	d.Status, d.Reason, d.UpdatedAt = webhook.StatusCanceled, reason, at
	m.deliveries[id] = d
	return &d, nil
}

func (m *memStore) Attempts(_ context.Context, _ string, delivery webhook.DeliveryID, p store.Page) ([]webhook.Attempt, error) {
	leave, err := m.enter("Attempts")
	defer leave()
	of := slices.DeleteFunc(slices.Collect(maps.Values(m.attempts)), func(a webhook.Attempt) bool { return a.DeliveryID != delivery })
	return pageOf(of, p, func(a webhook.Attempt) string { return a.ID.String() }), err
}

func (m *memStore) Attempt(_ context.Context, tenant string, id webhook.AttemptID) (*store.SentAttempt, error) {
	leave, err := m.enter("Attempt")
	defer leave()
	a, ok := m.attempts[id]
	if err == nil && (!ok || m.owners[a.DeliveryID] != tenant) {
		err = missing("attempt", id.String())
	}
	out := &store.SentAttempt{Attempt: a}
	if p, ok := m.events[tenant+"/"+m.deliveries[a.DeliveryID].EventID]; ok {
		out.RequestBody = p.Body.For(a.DeliveryID)
	}
	return out, err
}

func (m *memStore) ReopenDelivery(_ context.Context, tenant string, id webhook.DeliveryID, seen webhook.Status, at time.Time) (*webhook.Delivery, error) {
	leave, err := m.enter("ReopenDelivery")
	defer leave()
	if err != nil {
		return nil, err
	}
	d, err := m.findDelivery(tenant, id)
	switch {
	case err != nil:
		return nil, err
	case m.ofWorkflow:
		return nil, store.ErrOwnedByWorkflow
	case d.Status == webhook.StatusDelivered && seen != webhook.StatusDelivered:
		return nil, webhook.Errorf(webhook.CodeConflict, "%s", d.Status.SettledText())
	case m.endpoints[d.EndpointID].DisabledAt != nil:
		return nil, webhook.Errorf(webhook.CodeConflict, "the endpoint is disabled: enable it first")
	}
	d.Status, d.Queued, d.NextAttemptAt = webhook.StatusPending, true, &at
	m.deliveries[id] = d
	return &d, nil
}

// queue gives a delivery to its endpoint's queue, or to its event's workflow.
func (m *memStore) queue(id webhook.DeliveryID, queued bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.deliveries[id]
	d.Queued = queued
	m.deliveries[id] = d
}

// settle gives a delivery a status.
func (m *memStore) settle(id webhook.DeliveryID, status webhook.Status) {
	m.change(id, func(d *webhook.Delivery) { d.Status = status })
}

func (m *memStore) change(id webhook.DeliveryID, change func(*webhook.Delivery)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.deliveries[id]
	change(&d)
	m.deliveries[id] = d
}

// record adds an attempt.
func (m *memStore) record(a webhook.Attempt) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.attempts[a.ID] = a
}

func (m *memStore) published(tenant, id string) webhook.Publication {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.events[tenant+"/"+id]
}

func (m *memStore) callsOf(method string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[method]
}

// breakWith makes the methods named (none: all) fail from now on.
func (m *memStore) breakWith(err error, methods ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = func(method string) error {
		if len(methods) == 0 || slices.Contains(methods, method) {
			return err
		}
		return nil
	}
}
