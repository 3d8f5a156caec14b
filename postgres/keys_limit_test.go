package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// create makes a key of acme within a limit.
func (b *bundle) createKey(limit int, change ...func(*webhook.APIKey)) (*webhook.APIKey, error) {
	k := newKey()
	for _, c := range change {
		c(k)
	}
	return k, b.CreateAPIKey(b.t.Context(), k, []byte(uuid.NewString()), limit, nil)
}

// Only live keys count, and those that were rotated count apart, so that a tenant at its limit can rotate all of them.
func TestCreateAPIKey_Limit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	_, err := b.createKey(1, func(k *webhook.APIKey) { k.TenantID = "other" })
	require.NoError(t, err)
	first, err := b.createKey(3)
	require.NoError(t, err)
	soon := now().Add(time.Hour)
	second, err := b.createKey(3, func(k *webhook.APIKey) { k.ExpiresAt = &soon })
	require.NoError(t, err)
	third, err := b.createKey(3)
	require.NoError(t, err)
	full := func() {
		t.Helper()
		_, err := b.createKey(3)
		requireCode(t, webhook.CodeConflict, err)
		require.ErrorContains(t, err, "the tenant has 3 live API keys; 3 is the limit: revoke one first")
	}
	full()
	rotate := func(k *webhook.APIKey) error {
		return b.RotateAPIKey(t.Context(), k.ID, now().Add(time.Hour), newKey(), []byte(uuid.NewString()), 2, nil)
	}
	require.NoError(t, rotate(first))
	require.NoError(t, rotate(third))
	full()
	err = rotate(second)
	requireCode(t, webhook.CodeConflict, err)
	require.ErrorContains(t, err, "2 API keys of the tenant were rotated and are still valid")
	require.NoError(t, b.RevokeAPIKey(t.Context(), "acme", first.ID, now()))
	require.NoError(t, rotate(second), "one that was rotated is valid no more")
	b.exec(`UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE rotated_at IS NULL AND tenant_id = 'acme'`)
	for range 3 {
		_, err = b.createKey(3)
		require.NoError(t, err)
	}
	full()
	_, err = b.createKey(0)
	require.NoError(t, err, "no limit")
}

// Of many that see room for one, one gets it.
func TestCreateAPIKey_LimitAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	_, err := b.createKey(2)
	require.NoError(t, err)
	results := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := b.createKey(2)
			results <- err
		}()
	}
	made := 0
	for range 8 {
		if err := <-results; err == nil {
			made++
		} else {
			requireCode(t, webhook.CodeConflict, err)
		}
	}
	require.Equal(t, 1, made)
	require.Equal(t, 2, b.countKeys(t))
}

// The maker counts as it is when the key is stored: a rotation may have shortened its life after the caller looked.
func TestCreateAPIKey_MakerAsItIs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	maker := b.madeKey(t, "admin")
	by := func(k *webhook.APIKey) { k.CreatedBy = maker.ID.String() }
	_, err := b.createKey(0, by)
	require.NoError(t, err)
	until := now().Add(time.Hour)
	require.NoError(t, b.RotateAPIKey(t.Context(), maker.ID, until, newKey(), []byte(uuid.NewString()), 0, nil))
	_, err = b.createKey(0, by)
	requireCode(t, webhook.CodeForbidden, err)
	_, err = b.createKey(0, by, func(k *webhook.APIKey) { k.ExpiresAt = &until })
	require.NoError(t, err)
	_, err = b.createKey(0, by, func(k *webhook.APIKey) { k.ExpiresAt, k.Scopes = &until, webhook.Scopes })
	requireCode(t, webhook.CodeForbidden, err)
	_, err = b.createKey(0, by, func(k *webhook.APIKey) { k.ExpiresAt, k.CreatedAt = nil, until })
	requireCode(t, webhook.CodeUnauthorized, err)
}

// A key that is made while its tenant is erased is not left behind.
func TestCreateAPIKey_OfErasedTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	_, err := b.BeginErasure(t.Context(), "acme", now())
	require.NoError(t, err)
	_, err = b.createKey(0)
	requireCode(t, webhook.CodeNotFound, err)
	require.Zero(t, b.count(`SELECT count(*) FROM api_keys`))
}
