package api_test

import (
	"context"
	"maps"
	"slices"

	"waybill/store"
	"waybill/webhook"
)

// typeOf names an own event type of a tenant.
type typeOf struct{ tenant, name string }

func (m *memStore) KnownType(_ context.Context, t *webhook.Tenant, name string) (*webhook.OwnType, error) {
	leave, err := m.enter("KnownType")
	defer leave()
	own, ok := m.types[typeOf{t.ID, name}]
	if err != nil || !ok || t.TypesVersion == 0 {
		return nil, err
	}
	return &own, nil
}

func (m *memStore) OwnType(_ context.Context, tenant, name string) (*webhook.OwnType, error) {
	leave, err := m.enter("OwnType")
	defer leave()
	own, ok := m.types[typeOf{tenant, name}]
	if err == nil && !ok {
		err = missing("event type", name)
	}
	return &own, err
}

func (m *memStore) OwnTypes(_ context.Context, tenant string, p store.Page) ([]webhook.OwnType, error) {
	leave, err := m.enter("OwnTypes")
	defer leave()
	var all []webhook.OwnType
	for of, own := range m.types {
		if of.tenant == tenant {
			own.Schema, own.Example = nil, nil
			all = append(all, own)
		}
	}
	return pageOf(all, p, func(own webhook.OwnType) string { return own.Type }), err
}

func (m *memStore) OwnTypeNames(_ context.Context, tenant string) ([]string, error) {
	leave, err := m.enter("OwnTypeNames")
	defer leave()
	var names []string
	for of := range maps.Keys(m.types) {
		if of.tenant == tenant {
			names = append(names, of.name)
		}
	}
	slices.Sort(names)
	return names, err
}

func (m *memStore) PutOwnType(_ context.Context, tenant string, own *webhook.OwnType) (bool, error) {
	leave, err := m.enter("PutOwnType")
	defer leave()
	if err != nil {
		return false, err
	}
	before, ok := m.types[typeOf{tenant, own.Type}]
	if ok {
		own.CreatedAt = before.CreatedAt
	}
	m.types[typeOf{tenant, own.Type}] = *own
	m.touchTypes(tenant)
	return !ok, nil
}

func (m *memStore) DeleteOwnType(_ context.Context, tenant, name string) error {
	leave, err := m.enter("DeleteOwnType")
	defer leave()
	if _, ok := m.types[typeOf{tenant, name}]; err == nil && !ok {
		err = missing("event type", name)
	}
	if err == nil {
		delete(m.types, typeOf{tenant, name})
		m.touchTypes(tenant)
	}
	return err
}

func (m *memStore) touchTypes(tenant string) {
	t := m.tenants[tenant]
	t.TypesVersion++
	m.tenants[tenant] = t
}
