package postgres_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

func TestTenants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	acme := &webhook.Tenant{
		ID: "acme", Name: "Acme é", Dialect: "standard", ContactEmail: "ops@acme.example", URL: "https://acme.example",
		AllowUnknownTypes: true, Express: true, Retry: &webhook.RetryPolicy{Schedule: []webhook.Duration{}},
		Limits: &webhook.TenantLimits{Endpoints: 7, Keys: 5}, Metadata: map[string]string{"plan": "gold"}, CreatedAt: now(),
	}
	require.NoError(t, b.CreateTenant(ctx, acme, webhook.NewSecret([]byte("acme")), nil))
	found, err := b.Tenant(ctx, "acme")
	require.NoError(t, err)
	require.Positive(t, found.Version)
	acme.Version = found.Version
	require.Equal(t, acme, found)

	requireCode(t, webhook.CodeConflict, b.CreateTenant(ctx, acme, webhook.Secret{}, nil))
	_, err = b.Tenant(ctx, "nobody")
	requireCode(t, webhook.CodeNotFound, err)

	secret, err := b.TenantSecret(ctx, "acme")
	require.NoError(t, err)
	require.Equal(t, webhook.NewSecret([]byte("acme")).Reveal(), secret.Current.Reveal())
	_, err = b.TenantSecret(ctx, "nobody")
	requireCode(t, webhook.CodeNotFound, err)
	b.tenant("other")
	secret, err = b.TenantSecret(ctx, "other")
	require.NoError(t, err)
	require.Equal(t, webhook.Secret{}, secret.Current)
}

func TestTenants_Pages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 5 {
		b.tenant(fmt.Sprintf("t%d", i))
	}
	var got []string
	page := store.Page{Limit: 2}
	for {
		found, err := b.Tenants(t.Context(), store.TenantFilter{Page: page})
		require.NoError(t, err)
		for _, f := range found.Items {
			got = append(got, f.ID)
		}
		if len(found.Items) < page.Limit {
			break
		}
		page.After = found.Items[len(found.Items)-1].ID
	}
	require.Equal(t, []string{"t0", "t1", "t2", "t3", "t4"}, got)
}

func TestUpdateTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	before := b.tenant("acme")
	changed, err := b.UpdateTenant(t.Context(), "acme", func(t *webhook.Tenant) error {
		t.Name, t.ContactEmail, t.AllowUnknownTypes, t.Express = "New", "x@acme.example", true, true
		t.Retry = &webhook.RetryPolicy{Policy: "table-5"}
		t.Metadata = map[string]string{"plan": "iron"}
		t.URL, t.Limits = "https://acme.example", &webhook.TenantLimits{Endpoints: 10_000, Keys: 7}
		return nil
	})
	require.NoError(t, err)
	found, err := b.Tenant(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, found, changed)
	require.Equal(t, "New", found.Name)
	require.Equal(t, "table-5", found.Retry.Policy)
	require.Equal(t, "https://acme.example", found.URL)
	require.Equal(t, webhook.TenantLimits{Endpoints: 10_000, Keys: 7}, *found.Limits)
	require.Nil(t, before.Limits)
	require.Greater(t, found.Version, before.Version)

	no := errors.New("no")
	_, err = b.UpdateTenant(t.Context(), "acme", func(t *webhook.Tenant) error { t.Name = "Lost"; return no })
	require.Equal(t, no, err, "as it was, not wrapped")
	after, err := b.Tenant(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, found, after)
	_, err = b.UpdateTenant(t.Context(), "nobody", func(*webhook.Tenant) error { return nil })
	requireCode(t, webhook.CodeNotFound, err)
}

func TestUpdateTenant_LosesNoChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := b.UpdateTenant(t.Context(), "acme", func(t *webhook.Tenant) error { t.Name += "+"; return nil })
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found, err := b.Tenant(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, "acme++++++++++++++++++++", found.Name)
}

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := t.Context()
	b.tenant("acme")
	b.tenant("other")
	var keys []webhook.APIKey
	for i := range 3 {
		k := webhook.APIKey{
			ID: webhook.NewID[webhook.KeyID]([16]byte{1, byte(i)}), TenantID: "acme", Name: "ci", CreatedAt: now(),
			Scopes: []webhook.Scope{webhook.ScopePublish, webhook.ScopeRead},
		}
		require.NoError(t, b.CreateAPIKey(ctx, &k, []byte{byte(i)}, 0, nil))
		keys = append(keys, k)
	}
	found, err := b.APIKeyByHash(ctx, []byte{1})
	require.NoError(t, err)
	require.Equal(t, &keys[1], found)
	_, err = b.APIKeyByHash(ctx, []byte{9})
	requireCode(t, webhook.CodeUnauthorized, err)

	first, err := b.APIKeys(ctx, "acme", store.Page{Limit: 2})
	require.NoError(t, err)
	rest, err := b.APIKeys(ctx, "acme", store.Page{After: first[1].ID.String(), Limit: 2})
	require.NoError(t, err)
	require.Equal(t, keys, append(first, rest...))
	none, err := b.APIKeys(ctx, "other", store.Page{Limit: 2})
	require.NoError(t, err)
	require.Empty(t, none)
	_, err = b.APIKeys(ctx, "acme", store.Page{After: "nonsense", Limit: 2})
	requireCode(t, webhook.CodeInvalid, err)

	requireCode(t, webhook.CodeNotFound, b.RevokeAPIKey(ctx, "other", keys[1].ID, now()))
	at := now()
	require.NoError(t, b.RevokeAPIKey(ctx, "acme", keys[1].ID, at))
	require.NoError(t, b.RevokeAPIKey(ctx, "acme", keys[1].ID, at.Add(time.Hour)))
	_, err = b.APIKeyByHash(ctx, []byte{1})
	requireCode(t, webhook.CodeUnauthorized, err)
	found2, err := b.APIKeys(ctx, "acme", store.Page{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, at, *found2[1].RevokedAt, "the first revocation counts")

	requireCode(t, webhook.CodeNotFound, b.CreateAPIKey(ctx, &webhook.APIKey{ID: webhook.NewID[webhook.KeyID]([16]byte{2}), TenantID: "nobody"}, []byte{7}, 0, nil))
	requireCode(t, webhook.CodeConflict, b.CreateAPIKey(ctx, &keys[0], []byte{0}, 0, nil))
}
