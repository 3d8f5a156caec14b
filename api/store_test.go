package api_test

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"waybill/webhook"
)

// memStore is a small store in memory. Every method asks fail first, so that a test can break it.
type memStore struct {
	mu   sync.Mutex
	fail func(method string) error
	uuid func() [16]byte

	tenants    map[string]webhook.Tenant
	endpoints  map[webhook.EndpointID]webhook.Endpoint
	secrets    map[string]webhook.Secret // by tenant or endpoint id
	keys       map[string]webhook.APIKey // by hash
	events     map[string]webhook.Publication
	receipts   map[string]webhook.Receipt
	deliveries map[webhook.DeliveryID]webhook.Delivery
	attempts   map[webhook.AttemptID]webhook.Attempt
	owners     map[webhook.DeliveryID]string

	limits  []int // that CreateEndpoint was called with
	filters []webhook.DeliveryFilter
	calls   map[string]int
	running int // calls of Accept at this moment
	crowd   int // the most there were
}

func newMemStore(uuid func() [16]byte) *memStore {
	return &memStore{
		fail: func(string) error { return nil }, uuid: uuid,
		tenants: map[string]webhook.Tenant{}, endpoints: map[webhook.EndpointID]webhook.Endpoint{},
		secrets: map[string]webhook.Secret{}, keys: map[string]webhook.APIKey{},
		events: map[string]webhook.Publication{}, receipts: map[string]webhook.Receipt{},
		deliveries: map[webhook.DeliveryID]webhook.Delivery{}, attempts: map[webhook.AttemptID]webhook.Attempt{},
		owners: map[webhook.DeliveryID]string{}, calls: map[string]int{},
	}
}

// enter counts the call and locks; the caller unlocks with the returned function. fail may panic, so it is asked
// without the lock.
func (m *memStore) enter(method string) (func(), error) {
	m.mu.Lock()
	m.calls[method]++
	fail := m.fail
	m.mu.Unlock()
	err := fail(method)
	m.mu.Lock()
	return m.mu.Unlock, err
}

func missing(what, id string) error {
	return webhook.Errorf(webhook.CodeNotFound, "there is no %s %q", what, id)
}

func pageOf[T any](all []T, p webhook.Page, id func(T) string) []T {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(id(a), id(b)) })
	all = slices.DeleteFunc(all, func(v T) bool { return p.After != "" && id(v) <= p.After })
	return all[:min(len(all), p.Limit)]
}

func (m *memStore) Ping(context.Context) error {
	leave, err := m.enter("Ping")
	defer leave()
	return err
}

func (m *memStore) CreateTenant(_ context.Context, t *webhook.Tenant, secret webhook.Secret) error {
	leave, err := m.enter("CreateTenant")
	defer leave()
	if err != nil {
		return err
	}
	if _, taken := m.tenants[t.ID]; taken {
		return webhook.Errorf(webhook.CodeConflict, "the tenant %q exists already", t.ID)
	}
	m.tenants[t.ID], m.secrets[t.ID] = *t, secret
	return nil
}

func (m *memStore) Tenant(_ context.Context, id string) (*webhook.Tenant, error) {
	leave, err := m.enter("Tenant")
	defer leave()
	t, ok := m.tenants[id]
	if err == nil && !ok {
		err = missing("tenant", id)
	}
	return &t, err
}

func (m *memStore) Tenants(_ context.Context, p webhook.Page) ([]webhook.Tenant, error) {
	leave, err := m.enter("Tenants")
	defer leave()
	return pageOf(slices.Collect(maps.Values(m.tenants)), p, func(t webhook.Tenant) string { return t.ID }), err
}

func (m *memStore) UpdateTenant(_ context.Context, id string, change func(*webhook.Tenant) error) (*webhook.Tenant, error) {
	leave, err := m.enter("UpdateTenant")
	defer leave()
	if err != nil {
		return nil, err
	}
	t, ok := m.tenants[id]
	if !ok {
		return nil, missing("tenant", id)
	}
	if err := change(&t); err != nil {
		return nil, err
	}
	m.tenants[id] = t
	return &t, nil
}

func (m *memStore) TenantSecret(_ context.Context, id string) (webhook.Secret, error) {
	leave, err := m.enter("TenantSecret")
	defer leave()
	return m.secrets[id], err
}

func (m *memStore) CreateEndpoint(_ context.Context, e *webhook.Endpoint, secret webhook.Secret, limit int) error {
	leave, err := m.enter("CreateEndpoint")
	defer leave()
	if err != nil {
		return err
	}
	m.limits = append(m.limits, limit)
	if limit > 0 && len(m.endpointsOf(e.TenantID)) >= limit {
		return webhook.Errorf(webhook.CodeConflict, "the tenant has %d endpoints already", limit)
	}
	m.endpoints[e.ID], m.secrets[e.ID.String()] = *e, secret
	return nil
}

func (m *memStore) endpointsOf(tenant string) []webhook.Endpoint {
	return slices.DeleteFunc(slices.Collect(maps.Values(m.endpoints)),
		func(e webhook.Endpoint) bool { return e.TenantID != tenant })
}

func (m *memStore) findEndpoint(tenant string, id webhook.EndpointID) (webhook.Endpoint, error) {
	e, ok := m.endpoints[id]
	if !ok || e.TenantID != tenant {
		return e, missing("endpoint", id.String())
	}
	return e, nil
}

func (m *memStore) Endpoint(_ context.Context, tenant string, id webhook.EndpointID) (*webhook.Endpoint, error) {
	leave, err := m.enter("Endpoint")
	defer leave()
	if err != nil {
		return nil, err
	}
	e, err := m.findEndpoint(tenant, id)
	return &e, err
}

func (m *memStore) Endpoints(_ context.Context, tenant string, p webhook.Page) ([]webhook.Endpoint, error) {
	leave, err := m.enter("Endpoints")
	defer leave()
	return pageOf(m.endpointsOf(tenant), p, func(e webhook.Endpoint) string { return e.ID.String() }), err
}

func (m *memStore) UpdateEndpoint(_ context.Context, tenant string, id webhook.EndpointID, change func(*webhook.Endpoint) error) (*webhook.Endpoint, error) {
	leave, err := m.enter("UpdateEndpoint")
	defer leave()
	if err != nil {
		return nil, err
	}
	e, err := m.findEndpoint(tenant, id)
	if err != nil {
		return nil, err
	}
	if err := change(&e); err != nil {
		return nil, err
	}
	m.endpoints[id] = e
	return &e, nil
}

func (m *memStore) DisableEndpoint(_ context.Context, tenant string, id webhook.EndpointID, reason string, at time.Time) (*webhook.Endpoint, bool, error) {
	leave, err := m.enter("DisableEndpoint")
	defer leave()
	if err != nil {
		return nil, false, err
	}
	e, err := m.findEndpoint(tenant, id)
	if err != nil || e.DisabledAt != nil {
		return &e, false, err
	}
	e.DisabledAt, e.DisabledReason = &at, reason
	m.endpoints[id] = e
	return &e, true, nil
}

func (m *memStore) EnableEndpoint(_ context.Context, tenant string, id webhook.EndpointID, _ time.Time) (*webhook.Endpoint, bool, error) {
	leave, err := m.enter("EnableEndpoint")
	defer leave()
	if err != nil {
		return nil, false, err
	}
	e, err := m.findEndpoint(tenant, id)
	if err != nil || e.DisabledAt == nil {
		return &e, false, err
	}
	e.DisabledAt, e.DisabledReason = nil, ""
	m.endpoints[id] = e
	return &e, true, nil
}

func (m *memStore) DeleteEndpoint(_ context.Context, tenant string, id webhook.EndpointID, _ time.Time) error {
	leave, err := m.enter("DeleteEndpoint")
	defer leave()
	if err != nil {
		return err
	}
	_, err = m.findEndpoint(tenant, id)
	if err == nil {
		delete(m.endpoints, id)
	}
	return err
}

func (m *memStore) EndpointSecret(_ context.Context, tenant string, id webhook.EndpointID) (webhook.Secret, error) {
	leave, err := m.enter("EndpointSecret")
	defer leave()
	if err != nil {
		return webhook.Secret{}, err
	}
	_, err = m.findEndpoint(tenant, id)
	return m.secrets[id.String()], err
}

func (m *memStore) CreateAPIKey(_ context.Context, k *webhook.APIKey, hash []byte) error {
	leave, err := m.enter("CreateAPIKey")
	defer leave()
	m.keys[string(hash)] = *k
	return err
}

func (m *memStore) APIKeys(_ context.Context, tenant string, p webhook.Page) ([]webhook.APIKey, error) {
	leave, err := m.enter("APIKeys")
	defer leave()
	of := slices.DeleteFunc(slices.Collect(maps.Values(m.keys)), func(k webhook.APIKey) bool { return k.TenantID != tenant })
	return pageOf(of, p, func(k webhook.APIKey) string { return k.ID.String() }), err
}

func (m *memStore) RevokeAPIKey(_ context.Context, tenant string, id webhook.KeyID, at time.Time) error {
	leave, err := m.enter("RevokeAPIKey")
	defer leave()
	if err != nil {
		return err
	}
	for hash, k := range m.keys {
		if k.TenantID == tenant && k.ID == id {
			k.RevokedAt = &at
			m.keys[hash] = k
			return nil
		}
	}
	return missing("key", id.String())
}

func (m *memStore) APIKeyByHash(_ context.Context, hash []byte) (*webhook.APIKey, error) {
	leave, err := m.enter("APIKeyByHash")
	defer leave()
	k, ok := m.keys[string(hash)]
	if err == nil && (!ok || k.RevokedAt != nil) {
		err = webhook.Errorf(webhook.CodeUnauthorized, "unknown or revoked")
	}
	return &k, err
}

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
	receipt := webhook.Receipt{EventID: p.Event.ID}
	for _, to := range p.Recipients(m.endpointsOf(p.Event.TenantID)) {
		d := webhook.Delivery{
			ID: webhook.NewID[webhook.DeliveryID](m.uuid()), EventID: p.Event.ID, EventType: p.Event.Type,
			EndpointID: to, Status: webhook.StatusPending, CreatedAt: p.CreatedAt, UpdatedAt: p.CreatedAt,
		}
		m.deliveries[d.ID], m.owners[d.ID] = d, p.Event.TenantID
		receipt.Deliveries = append(receipt.Deliveries, webhook.ReceiptDelivery{ID: d.ID, EndpointID: to})
	}
	m.events[key], m.receipts[key] = *p, receipt
	return &receipt, nil
}

func (m *memStore) Event(_ context.Context, tenant, id string) (*webhook.StoredEvent, error) {
	leave, err := m.enter("Event")
	defer leave()
	if err != nil {
		return nil, err
	}
	p, ok := m.events[tenant+"/"+id]
	if !ok {
		return nil, missing("event", id)
	}
	e := webhook.StoredEvent{Event: *p.Event, Body: p.Body, CreatedAt: p.CreatedAt}
	e.Data = p.Body.Data()
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

func (m *memStore) Deliveries(_ context.Context, tenant string, f webhook.DeliveryFilter) ([]webhook.Delivery, error) {
	leave, err := m.enter("Deliveries")
	defer leave()
	m.filters = append(m.filters, f)
	all := slices.DeleteFunc(slices.Collect(maps.Values(m.deliveries)), func(d webhook.Delivery) bool {
		return m.owners[d.ID] != tenant || f.Status != "" && d.Status != f.Status
	})
	return pageOf(all, f.Page, func(d webhook.Delivery) string { return d.ID.String() }), err
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

func (m *memStore) Attempts(_ context.Context, _ string, delivery webhook.DeliveryID, p webhook.Page) ([]webhook.Attempt, error) {
	leave, err := m.enter("Attempts")
	defer leave()
	of := slices.DeleteFunc(slices.Collect(maps.Values(m.attempts)), func(a webhook.Attempt) bool { return a.DeliveryID != delivery })
	return pageOf(of, p, func(a webhook.Attempt) string { return a.ID.String() }), err
}

func (m *memStore) Attempt(_ context.Context, tenant string, id webhook.AttemptID) (*webhook.Attempt, error) {
	leave, err := m.enter("Attempt")
	defer leave()
	a, ok := m.attempts[id]
	if err == nil && (!ok || m.owners[a.DeliveryID] != tenant) {
		err = missing("attempt", id.String())
	}
	return &a, err
}

// settle gives a delivery a status.
func (m *memStore) settle(id webhook.DeliveryID, status webhook.Status) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.deliveries[id]
	d.Status = status
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
