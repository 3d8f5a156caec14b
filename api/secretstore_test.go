package api_test

import (
	"cmp"
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// secretsOf returns the secrets of an owner; the caller holds the lock.
func (m *memStore) secretsOf(of store.SecretOwner) (string, *webhook.SigningKeys, error) {
	name := of.Tenant
	if !of.Endpoint.IsZero() {
		name = of.Endpoint.String()
		if _, err := m.findEndpoint(of.Tenant, of.Endpoint); err != nil {
			return name, nil, err
		}
	}
	keys := m.keysOf(name)
	if keys.Current.IsZero() {
		return name, nil, missing("secret", name)
	}
	return name, keys, nil
}

func (m *memStore) keysOf(name string) *webhook.SigningKeys {
	keys := m.rotated[name]
	keys.Current = m.secrets[name]
	return &keys
}

func (m *memStore) SigningKeys(_ context.Context, of store.SecretOwner) (*webhook.SigningKeys, error) {
	leave, err := m.enter("SigningKeys")
	defer leave()
	if err != nil {
		return nil, err
	}
	_, keys, err := m.secretsOf(of)
	return keys, err
}

func (m *memStore) SecondDialects(_ context.Context, of store.SecretOwner, at time.Time) ([]string, error) {
	leave, err := m.enter("SecondDialects")
	defer leave()
	var names []string
	for _, e := range m.endpointsOf(of.Tenant) {
		if (of.Endpoint.IsZero() || of.Endpoint == e.ID) && e.AlsoSignAs != nil && at.Before(e.AlsoSignAs.Until) {
			names = append(names, e.AlsoSignAs.Dialect)
		}
	}
	return names, err
}

func (m *memStore) RotateSecret(_ context.Context, of store.SecretOwner, r *webhook.Rotation, out *webhook.SigningKeys, once *store.Once) error {
	leave, err := m.enter("RotateSecret")
	defer leave()
	if err = cmp.Or(err, m.repeats(once)); err != nil {
		return err
	}
	name, keys, err := m.secretsOf(of)
	if err != nil {
		return err
	}
	if err := keys.Rotate(r); err != nil {
		return err
	}
	m.secrets[name], m.rotated[name], *out = keys.Current, *keys, *keys
	return m.remember(once)
}

func (m *memStore) RetireSecret(_ context.Context, of store.SecretOwner) (*webhook.SigningKeys, error) {
	leave, err := m.enter("RetireSecret")
	defer leave()
	if err != nil {
		return nil, err
	}
	name, keys, err := m.secretsOf(of)
	if err != nil {
		return nil, err
	}
	*keys = keys.Only(webhook.CurrentSecret)
	m.rotated[name] = *keys
	return keys, nil
}
