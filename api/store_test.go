package api_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// memStore is a small store in memory. Every method asks fail first, so that a test can break it.
type memStore struct {
	mu   sync.Mutex
	fail func(method string) error
	uuid func() [16]byte

	memSessions
	tenants    map[string]webhook.Tenant
	endpoints  map[webhook.EndpointID]webhook.Endpoint
	secrets    map[string]webhook.Secret      // by tenant or endpoint id
	rotated    map[string]webhook.SigningKeys // with the previous secrets
	keys       map[string]webhook.APIKey      // by hash
	replaced   map[webhook.KeyID]bool         // keys that were rotated
	damaged    map[string]bool                // endpoints whose secret cannot be read
	events     map[string]webhook.Publication
	receipts   map[string]webhook.Receipt
	deliveries map[webhook.DeliveryID]webhook.Delivery
	attempts   map[webhook.AttemptID]webhook.Attempt
	owners     map[webhook.DeliveryID]string
	recoveries map[webhook.RecoveryID]webhook.Recovery
	ofWorkflow bool // ReopenDelivery finds every delivery to be a workflow's
	setAside   []store.SetAside
	erasures   map[string]*store.Erasure
	erased     map[string]time.Time   // by tenant and event id
	quarantine []store.QuarantinedRow // newest first

	once  map[onceKey]onceAnswer
	types map[typeOf]webhook.OwnType

	// accepted, unless nil, changes the deliveries of a publication before they are stored.
	accepted func(*webhook.Delivery)

	limits          []int // that CreateEndpoint was called with
	filters         []store.DeliveryFilter
	tenantFilters   []store.TenantFilter
	endpointFilters []store.EndpointFilter
	// next is where the search of a list ended, that Tenants, Deliveries and Events answer.
	next         string
	audit        []webhook.AuditEntry
	auditFilters []store.AuditFilter
	eventFilters []store.EventFilter
	cells        []store.StatsCell
	statsWithin  []webhook.Confinement // of Stats
	statsAsked   []statsQuestion
	// endpointStats is what EndpointStats answers.
	endpointStats map[webhook.EndpointID]store.EndpointStats
	waiting       store.Waiting
	counted       int // how far CountWaiting was to count
	calls         map[string]int
	running       int // calls of Accept at this moment
	crowd         int // the most there were
}

// statsQuestion is what Stats was asked.
type statsQuestion struct {
	endpoint webhook.EndpointID
	since    time.Time
	span     time.Duration
}

func newMemStore(uuid func() [16]byte) *memStore {
	return &memStore{
		fail: func(string) error { return nil }, uuid: uuid, memSessions: newMemSessions(),
		tenants: map[string]webhook.Tenant{}, endpoints: map[webhook.EndpointID]webhook.Endpoint{},
		secrets: map[string]webhook.Secret{}, rotated: map[string]webhook.SigningKeys{}, replaced: map[webhook.KeyID]bool{}, keys: map[string]webhook.APIKey{},
		events: map[string]webhook.Publication{}, receipts: map[string]webhook.Receipt{},
		deliveries: map[webhook.DeliveryID]webhook.Delivery{}, attempts: map[webhook.AttemptID]webhook.Attempt{},
		owners: map[webhook.DeliveryID]string{}, recoveries: map[webhook.RecoveryID]webhook.Recovery{}, calls: map[string]int{}, once: map[onceKey]onceAnswer{}, types: map[typeOf]webhook.OwnType{},
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

// called is how often a method was called. The use of keys is noted beside the requests, so it needs the lock.
func (m *memStore) called(method string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[method]
}

func missing(what, id string) error {
	return webhook.Errorf(webhook.CodeNotFound, "there is no %s %q", what, id)
}

func pageOf[T any](all []T, p store.Page, id func(T) string) []T {
	slices.SortFunc(all, func(a, b T) int { return strings.Compare(id(a), id(b)) })
	all = slices.DeleteFunc(all, func(v T) bool { return p.After != "" && id(v) <= p.After })
	return all[:min(len(all), p.Limit)]
}

func (m *memStore) Ping(context.Context) error {
	leave, err := m.enter("Ping")
	defer leave()
	return err
}

func (m *memStore) CreateTenant(_ context.Context, t *webhook.Tenant, secret webhook.Secret, once *store.Once) error {
	leave, err := m.enter("CreateTenant")
	defer leave()
	if err = cmp.Or(err, m.repeats(once)); err != nil {
		return err
	}
	if _, taken := m.tenants[t.ID]; taken {
		return webhook.Errorf(webhook.CodeConflict, "the tenant %q exists already", t.ID)
	}
	m.tenants[t.ID], m.secrets[t.ID] = *t, secret
	return m.remember(once)
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

func (m *memStore) Tenants(_ context.Context, f store.TenantFilter) (*store.Part[webhook.Tenant], error) {
	leave, err := m.enter("Tenants")
	defer leave()
	m.tenantFilters = append(m.tenantFilters, f)
	found := pageOf(slices.Collect(maps.Values(m.tenants)), f.Page, func(t webhook.Tenant) string { return t.ID })
	return &store.Part[webhook.Tenant]{Items: found, Next: m.next}, err
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

func (m *memStore) TenantSecret(_ context.Context, id string) (*webhook.SigningKeys, error) {
	leave, err := m.enter("TenantSecret")
	defer leave()
	return m.keysOf(id), err
}

func (m *memStore) CreateEndpoint(_ context.Context, e *webhook.Endpoint, secret webhook.Secret, limit int, once *store.Once) error {
	leave, err := m.enter("CreateEndpoint")
	defer leave()
	if err = cmp.Or(err, m.repeats(once)); err != nil {
		return err
	}
	m.limits = append(m.limits, limit)
	if limit > 0 && len(m.endpointsOf(e.TenantID)) >= limit {
		return webhook.Errorf(webhook.CodeConflict, "the tenant has %d endpoints already", limit)
	}
	m.endpoints[e.ID], m.secrets[e.ID.String()] = *e, secret
	return m.remember(once)
}

func (m *memStore) KeySet(_ context.Context, of store.KeySet) ([]webhook.SigningKeys, error) {
	leave, err := m.enter("KeySet")
	defer leave()
	if err != nil || of.Shared {
		return []webhook.SigningKeys{{Current: m.secrets[of.Tenant]}}, err
	}
	var out []webhook.SigningKeys
	for _, e := range m.endpointsOf(of.Tenant) {
		if of.Endpoint == e.ID || of.Endpoint.IsZero() && (of.Every || e.Signing != nil) {
			if damage := fmt.Errorf("secret_sealed of %s does not open", e.ID); m.damaged[e.ID.String()] {
				if of.Unreadable == nil {
					return nil, damage
				}
				of.Unreadable(damage)
				continue
			}
			out = append(out, webhook.SigningKeys{Current: m.secrets[e.ID.String()]})
		}
	}
	return out, nil
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

func (m *memStore) Endpoints(_ context.Context, tenant string, f store.EndpointFilter) (*store.Part[webhook.Endpoint], error) {
	leave, err := m.enter("Endpoints")
	defer leave()
	m.endpointFilters = append(m.endpointFilters, f)
	all := slices.DeleteFunc(m.endpointsOf(tenant), func(e webhook.Endpoint) bool { return !f.Within.CoversFilter(e.Filter) })
	found := pageOf(all, f.Page, func(e webhook.Endpoint) string { return e.ID.String() })
	return &store.Part[webhook.Endpoint]{Items: found}, err
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

func (m *memStore) DisableEndpoint(_ context.Context, tenant string, id webhook.EndpointID, change webhook.Change) (*webhook.Endpoint, bool, error) {
	leave, err := m.enter("DisableEndpoint")
	defer leave()
	if err != nil {
		return nil, false, err
	}
	e, err := m.findEndpoint(tenant, id)
	if err != nil || e.DisabledAt != nil {
		return &e, false, err
	}
	e.DisabledAt, e.DisabledBy, e.DisabledReason = &change.At, change.By, change.Reason
	m.endpoints[id] = e
	return &e, true, nil
}

func (m *memStore) EnableEndpoint(_ context.Context, tenant string, id webhook.EndpointID, _ webhook.Change) (*webhook.Endpoint, bool, error) {
	leave, err := m.enter("EnableEndpoint")
	defer leave()
	if err != nil {
		return nil, false, err
	}
	e, err := m.findEndpoint(tenant, id)
	if err != nil || e.DisabledAt == nil {
		return &e, false, err
	}
	e.DisabledAt, e.DisabledBy, e.DisabledReason = nil, "", ""
	m.endpoints[id] = e
	return &e, true, nil
}

func (m *memStore) DeleteEndpoint(_ context.Context, tenant string, id webhook.EndpointID, _ time.Time, checks ...func(*webhook.Endpoint) error) error {
	leave, err := m.enter("DeleteEndpoint")
	defer leave()
	if err != nil {
		return err
	}
	e, err := m.findEndpoint(tenant, id)
	for _, check := range checks {
		err = cmp.Or(err, check(&e))
	}
	if err == nil {
		delete(m.endpoints, id)
	}
	return err
}

func (m *memStore) EndpointSecret(_ context.Context, tenant string, id webhook.EndpointID) (*webhook.SigningKeys, error) {
	leave, err := m.enter("EndpointSecret")
	defer leave()
	if err != nil {
		return nil, err
	}
	_, err = m.findEndpoint(tenant, id)
	return m.keysOf(id.String()), err
}

func (m *memStore) CountWaiting(_ context.Context, most int) (*store.Waiting, error) {
	leave, err := m.enter("CountWaiting")
	defer leave()
	if err != nil {
		return nil, err
	}
	m.counted = most
	return &m.waiting, nil
}

func (m *memStore) QuarantinedRows(_ context.Context, p store.Page) ([]store.QuarantinedRow, error) {
	leave, err := m.enter("QuarantinedRows")
	defer leave()
	rows := slices.Clone(m.quarantine)
	if p.After != "" {
		after := slices.IndexFunc(rows, func(r store.QuarantinedRow) bool { return strconv.FormatInt(r.Position, 10) == p.After })
		rows = rows[after+1:]
	}
	return rows[:min(p.Limit, len(rows))], err
}

func (m *memStore) quarantined(method string, position int64, take bool) (*store.QuarantinedRow, error) {
	leave, err := m.enter(method)
	defer leave()
	i := slices.IndexFunc(m.quarantine, func(r store.QuarantinedRow) bool { return r.Position == position })
	if err != nil || i < 0 {
		return nil, cmp.Or(err, error(webhook.Errorf(webhook.CodeNotFound, "there is no row in quarantine %d", position)))
	}
	row := m.quarantine[i]
	if take {
		m.quarantine = slices.Delete(m.quarantine, i, i+1)
	}
	return &row, nil
}

func (m *memStore) QuarantinedRow(_ context.Context, position int64) (*store.QuarantinedRow, error) {
	return m.quarantined("QuarantinedRow", position, false)
}

func (m *memStore) RetryQuarantined(_ context.Context, position int64) error {
	row, err := m.quarantined("RetryQuarantined", position, false)
	if err == nil && row.Cut {
		return webhook.Errorf(webhook.CodeConflict, "the row's texts were not kept")
	}
	if err == nil {
		_, err = m.quarantined("RetryQuarantined", position, true)
	}
	return err
}

func (m *memStore) DeleteQuarantined(_ context.Context, position int64) error {
	_, err := m.quarantined("DeleteQuarantined", position, true)
	return err
}

func (m *memStore) SetAsideDispatches(_ context.Context, p store.Page) ([]store.SetAside, error) {
	leave, err := m.enter("SetAsideDispatches")
	defer leave()
	return pageOf(slices.Clone(m.setAside), p, func(d store.SetAside) string { return d.EventKey.String() }), err
}

func (m *memStore) RetryDispatch(_ context.Context, key webhook.EventKey) (*store.SetAside, error) {
	leave, err := m.enter("RetryDispatch")
	defer leave()
	i := slices.IndexFunc(m.setAside, func(d store.SetAside) bool { return d.EventKey == key })
	if err != nil || i < 0 {
		return nil, cmp.Or(err, missing("dispatch", key.String()))
	}
	d := m.setAside[i]
	m.setAside = slices.Delete(m.setAside, i, i+1)
	d.Tries, d.At = 0, nil
	return &d, nil
}
