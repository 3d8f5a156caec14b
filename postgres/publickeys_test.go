package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

func TestKeySet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	chose := func(e *webhook.Endpoint) { e.Signing = &webhook.Signing{Algorithm: webhook.Ed25519} }
	first, plain, second := b.endpoint("acme", chose), b.endpoint("acme"), b.endpoint("acme", chose)
	gone := b.endpoint("acme", chose)
	b.endpoint("other", chose)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", gone.ID, now()))

	ask := func(of store.KeySet) []string {
		t.Helper()
		found, err := b.KeySet(t.Context(), of)
		require.NoError(t, err)
		out := []string{}
		for _, k := range found {
			out = append(out, k.Current.Reveal())
		}
		return out
	}
	text := func(e *webhook.Endpoint) string { return webhook.NewSecret([]byte(e.ID.String())).Reveal() }
	require.Equal(t, []string{text(first), text(second)}, ask(store.KeySet{Tenant: "acme"}))
	require.Equal(t, []string{text(first), text(plain), text(second)}, ask(store.KeySet{Tenant: "acme", Every: true}))
	require.Equal(t, []string{text(plain)}, ask(store.KeySet{Tenant: "acme", Endpoint: plain.ID}))
	require.Empty(t, ask(store.KeySet{Tenant: "other", Endpoint: plain.ID}))
	require.Empty(t, ask(store.KeySet{Tenant: "acme", Endpoint: gone.ID}))
	require.Empty(t, ask(store.KeySet{Tenant: "acme", Shared: true}), "it has no secret of its own")
	require.Empty(t, ask(store.KeySet{Tenant: "nobody"}))

	// What does not open fails the call, unless the caller goes without.
	b.exec(`UPDATE endpoints SET secret_sealed = set_byte(secret_sealed, 30, 255 - get_byte(secret_sealed, 30)) WHERE id = $1`, first.ID)
	_, err := b.KeySet(t.Context(), store.KeySet{Tenant: "acme"})
	require.ErrorContains(t, err, first.ID.String())
	var unreadable []error
	require.Equal(t, []string{text(second)}, ask(store.KeySet{Tenant: "acme", Unreadable: func(err error) { unreadable = append(unreadable, err) }}))
	require.Len(t, unreadable, 1)
	require.ErrorContains(t, unreadable[0], first.ID.String())

	shared := webhook.NewEd25519Secret([]byte("0123456789abcdef0123456789abcdef"))
	require.NoError(t, b.CreateTenant(t.Context(), &webhook.Tenant{ID: "vine", Name: "v", Dialect: "tradevine", CreatedAt: now()}, shared, nil))
	require.Equal(t, []string{shared.Reveal()}, ask(store.KeySet{Tenant: "vine", Shared: true}))
}
