package postgres_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

// Keys go once they have been revoked or expired for long enough. What they made is then their maker's, however many go at once.
func TestRetain_APIKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	root := b.madeKey(t, "admin:alice")
	dead := []*webhook.APIKey{b.madeKey(t, root.ID.String())}
	for range 3 {
		dead = append(dead, b.madeKey(t, dead[len(dead)-1].ID.String()))
	}
	heir, other := b.madeKey(t, dead[3].ID.String()), b.madeKey(t, dead[1].ID.String())
	young := b.madeKey(t, dead[0].ID.String())
	gone := b.madeKey(t, "admin")
	orphan := b.madeKey(t, gone.ID.String())
	ends := func(k *webhook.APIKey, revoked, expires any) {
		b.exec(`UPDATE api_keys SET revoked_at = now() - $2::interval, expires_at = now() - $3::interval WHERE id = $1`, k.ID, revoked, expires)
	}
	ends(dead[0], "91 days", nil)
	ends(dead[1], nil, "91 days")
	ends(dead[2], "1 day", "91 days")
	ends(dead[3], "91 days", "-1 day")
	ends(young, "89 days", "89 days")
	ends(gone, "1000 days", nil)

	const what = "API keys that were revoked or expired"
	expired, err := b.Expired(t.Context(), kept)
	require.NoError(t, err)
	require.Len(t, expired, 1)
	require.Equal(t, what, expired[0].What)
	require.EqualValues(t, 5, expired[0].Rows)
	require.Equal(t, 10, b.countKeys(t), "a dry run removes nothing")
	require.EqualValues(t, 5, b.retain()[what].Rows)
	require.Empty(t, b.retain())
	makers := map[webhook.KeyID]string{}
	for _, k := range []*webhook.APIKey{root, heir, other, young, orphan} {
		found, err := b.APIKey(t.Context(), "acme", k.ID)
		require.NoError(t, err)
		makers[k.ID] = found.CreatedBy
	}
	require.Equal(t, map[webhook.KeyID]string{
		root.ID: "admin:alice", heir.ID: root.ID.String(), other.ID: root.ID.String(), young.ID: root.ID.String(), orphan.ID: "admin",
	}, makers)
	ids, err := b.RevokeMadeKeys(t.Context(), "acme", root.ID, now())
	require.NoError(t, err)
	require.ElementsMatch(t, []webhook.KeyID{root.ID, heir.ID, other.ID, young.ID}, ids)
}

// A long line of keys, each put in the place of the one before, goes page by page.
func TestRetain_APIKeysInPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`INSERT INTO api_keys (id, tenant_id, name, scopes, hash, created_at, created_by, revoked_at)
		SELECT ('01970000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'acme', 'k', '{read}', n::text::bytea, now(),
			CASE n WHEN 0 THEN 'admin' ELSE 'key_01970000000070008000' || lpad((n - 1)::text, 12, '0') END, now() - interval '100 days' + (n % 7) * interval '1 hour'
		FROM generate_series(0, 1500) AS n`)
	last := b.madeKey(t, "admin")
	b.exec(`UPDATE api_keys SET created_by = 'key_01970000000070008000000000001500' WHERE id = $1`, last.ID)
	require.EqualValues(t, 1501, b.retain()["API keys that were revoked or expired"].Rows)
	found, err := b.APIKey(t.Context(), "acme", last.ID)
	require.NoError(t, err)
	require.Equal(t, "admin", found.CreatedBy)
}

// Whoever revokes a key with all that it made gets them all, while those in between are removed.
func TestRetain_APIKeysWhileTheyAreRevoked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	for range 10 {
		root := b.madeKey(t, "admin")
		made := []*webhook.APIKey{root}
		for range 6 {
			made = append(made, b.madeKey(t, made[len(made)-1].ID.String()))
		}
		for _, k := range []*webhook.APIKey{made[1], made[3], made[4]} {
			b.exec(`UPDATE api_keys SET revoked_at = now() - interval '91 days' WHERE id = $1`, k.ID)
		}
		var retaining sync.WaitGroup
		retaining.Go(func() {
			if _, err := b.Retain(t.Context(), kept); err != nil {
				t.Error(err)
			}
		})
		_, err := b.RevokeMadeKeys(t.Context(), "acme", root.ID, now())
		require.NoError(t, err)
		retaining.Wait()
		require.Zero(t, b.count(`SELECT count(*) FROM api_keys WHERE revoked_at IS NULL`))
	}
}
