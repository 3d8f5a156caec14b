package api_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"waybill/store"
	"waybill/webhook"
)

func (m *memStore) CreateAPIKey(_ context.Context, k *webhook.APIKey, hash []byte, limit int, once *store.Once) error {
	leave, err := m.enter("CreateAPIKey")
	defer leave()
	if err = cmp.Or(err, m.repeats(once)); err != nil {
		return err
	}
	if n := m.liveKeys(k); n >= limit && limit > 0 {
		return webhook.Errorf(webhook.CodeConflict, "the tenant has %d live API keys", n)
	}
	m.keys[string(hash)] = *k
	return m.remember(once)
}

// liveKeys is called inside of enter.
func (m *memStore) liveKeys(made *webhook.APIKey) (n int) {
	for _, k := range m.keys {
		if k.TenantID == made.TenantID && k.RevokedAt == nil && !k.ExpiredAt(made.CreatedAt) && !m.replaced[k.ID] {
			n++
		}
	}
	return n
}

func (m *memStore) APIKeys(_ context.Context, tenant string, p store.Page) ([]webhook.APIKey, error) {
	leave, err := m.enter("APIKeys")
	defer leave()
	of := slices.DeleteFunc(slices.Collect(maps.Values(m.keys)), func(k webhook.APIKey) bool { return k.TenantID != tenant })
	return pageOf(of, p, func(k webhook.APIKey) string { return k.ID.String() }), err
}

func (m *memStore) APIKey(_ context.Context, tenant string, id webhook.KeyID) (*webhook.APIKey, error) {
	leave, err := m.enter("APIKey")
	defer leave()
	_, k, missing := m.findKey(tenant, id)
	return k, cmp.Or(err, missing)
}

// findKey is called inside of enter.
func (m *memStore) findKey(tenant string, id webhook.KeyID) (hash string, _ *webhook.APIKey, _ error) {
	for hash, k := range m.keys {
		if k.TenantID == tenant && k.ID == id {
			return hash, &k, nil
		}
	}
	return "", nil, missing("key", id.String())
}

func (m *memStore) RotateAPIKey(_ context.Context, old webhook.KeyID, until time.Time, k *webhook.APIKey, hash []byte, _ int, once *store.Once) error {
	leave, err := m.enter("RotateAPIKey")
	defer leave()
	if err = cmp.Or(err, m.repeats(once)); err != nil {
		return err
	}
	at, previous, err := m.findKey(k.TenantID, old)
	if err != nil || previous.RevokedAt != nil || previous.ExpiredAt(k.CreatedAt) || m.replaced[old] {
		return cmp.Or(err, error(webhook.Errorf(webhook.CodeConflict, "revoked or expired")))
	}
	previous.ExpiresAt, m.replaced[old] = &until, true
	m.keys[at], m.keys[string(hash)] = *previous, *k
	return m.remember(once)
}

func (m *memStore) RevokeAPIKey(_ context.Context, tenant string, id webhook.KeyID, at time.Time) error {
	leave, err := m.enter("RevokeAPIKey")
	defer leave()
	return cmp.Or(err, m.revoke(tenant, id, at))
}

// revoke is called inside of enter.
func (m *memStore) revoke(tenant string, id webhook.KeyID, at time.Time) error {
	hash, k, err := m.findKey(tenant, id)
	if err == nil {
		k.RevokedAt = &at
		m.keys[hash] = *k
	}
	return err
}

func (m *memStore) RevokeMadeKeys(_ context.Context, tenant string, id webhook.KeyID, at time.Time) ([]webhook.KeyID, error) {
	leave, err := m.enter("RevokeMadeKeys")
	defer leave()
	if err = cmp.Or(err, m.revoke(tenant, id, at)); err != nil {
		return nil, err
	}
	out := []webhook.KeyID{id}
	for i := 0; i < len(out); i++ {
		for _, k := range m.keys {
			if k.CreatedBy == out[i].String() {
				_ = m.revoke(tenant, k.ID, at)
				out = append(out, k.ID)
			}
		}
	}
	return out, nil
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

func (m *memStore) NoteKeyUses(_ context.Context, uses []store.KeyUse) error {
	leave, err := m.enter("NoteKeyUses")
	defer leave()
	for hash, k := range m.keys {
		for _, u := range uses {
			if k.ID == u.ID {
				k.LastUsedAt = &u.At
				m.keys[hash] = k
			}
		}
	}
	return err
}
