package postgres_test

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

func TestAPIKey_KeepsEverything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	k := newKey()
	end := now().Add(time.Hour)
	k.ExpiresAt, k.CreatedBy = &end, "admin:alice"
	k.AllowCIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("0.0.0.0/0")}
	require.NoError(t, b.CreateAPIKey(t.Context(), k, []byte("h"), 0, nil))
	found, err := b.APIKey(t.Context(), "acme", k.ID)
	require.NoError(t, err)
	require.Equal(t, k, inUTC(found))
	found, err = b.APIKeyByHash(t.Context(), []byte("h"))
	require.NoError(t, err)
	require.Equal(t, k, inUTC(found))
	_, err = b.APIKey(t.Context(), "other", k.ID)
	requireCode(t, webhook.CodeNotFound, err)
}

func inUTC(k *webhook.APIKey) *webhook.APIKey {
	k.CreatedAt = k.CreatedAt.UTC()
	if k.ExpiresAt != nil {
		at := k.ExpiresAt.UTC()
		k.ExpiresAt = &at
	}
	return k
}

// madeKey makes a key with a maker.
func (b *bundle) madeKey(t *testing.T, maker string) *webhook.APIKey {
	t.Helper()
	k := newKey()
	k.CreatedBy = maker
	require.NoError(t, b.CreateAPIKey(t.Context(), k, []byte(uuid.NewString()), 0, nil))
	return k
}

func TestRotateAPIKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	old := b.madeKey(t, "admin")
	until := now().Add(time.Hour)
	rotate := func(id webhook.KeyID, until time.Time, o *store.Once) error {
		return b.RotateAPIKey(t.Context(), id, until, newKey(), []byte(uuid.NewString()), 0, o)
	}
	require.NoError(t, rotate(old.ID, until, nil))
	ends := func(id webhook.KeyID) time.Time {
		k, err := b.APIKey(t.Context(), "acme", id)
		require.NoError(t, err)
		return k.ExpiresAt.UTC()
	}
	require.Equal(t, until, ends(old.ID))
	requireCode(t, webhook.CodeConflict, rotate(old.ID, until, nil)) // its end is no longer the one that it was made with
	short := newKey()
	short.ExpiresAt = &until
	require.NoError(t, b.CreateAPIKey(t.Context(), short, []byte(uuid.NewString()), 0, nil))
	require.NoError(t, rotate(short.ID, until.Add(time.Hour), nil))
	require.Equal(t, until, ends(short.ID), "a rotation never makes a key live longer")

	revoked, ended := b.madeKey(t, "admin"), b.madeKey(t, "admin")
	require.NoError(t, b.RevokeAPIKey(t.Context(), "acme", revoked.ID, now()))
	require.NoError(t, rotate(ended.ID, now().Add(-time.Second), nil))
	before := b.countKeys(t)
	for _, id := range []webhook.KeyID{revoked.ID, ended.ID} {
		requireCode(t, webhook.CodeConflict, rotate(id, until, nil))
	}
	require.Equal(t, before, b.countKeys(t), "and no new key is left behind")
}

// A key that is told several times at once to put another one in its own place does so once, and nobody waits for anybody.
func TestRotateAPIKey_ByItselfAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	for range 5 {
		old := b.madeKey(t, "admin")
		results := make(chan error, 4)
		for range 4 {
			go func() {
				next := newKey()
				next.CreatedBy = old.ID.String()
				results <- b.RotateAPIKey(t.Context(), old.ID, now().Add(time.Hour), next, []byte(uuid.NewString()), 0, nil)
			}()
		}
		done := 0
		for range 4 {
			if err := <-results; err != nil {
				requireCode(t, webhook.CodeConflict, err)
			} else {
				done++
			}
		}
		require.Equal(t, 1, done)
	}
}

func (b *bundle) countKeys(t *testing.T) int {
	t.Helper()
	keys, err := b.APIKeys(t.Context(), "acme", store.Page{Limit: 200})
	require.NoError(t, err)
	return len(keys)
}

func TestRevokeMadeKeys(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	root := b.madeKey(t, "admin")
	child, other := b.madeKey(t, root.ID.String()), b.madeKey(t, "admin")
	grandchild := b.madeKey(t, child.ID.String())
	earlier := now().Add(-time.Hour)
	require.NoError(t, b.RevokeAPIKey(t.Context(), "acme", child.ID, earlier))

	_, err := b.RevokeMadeKeys(t.Context(), "other", root.ID, now())
	requireCode(t, webhook.CodeNotFound, err)
	ids, err := b.RevokeMadeKeys(t.Context(), "acme", root.ID, now())
	require.NoError(t, err)
	require.Equal(t, []webhook.KeyID{root.ID, child.ID, grandchild.ID}, ids)
	for _, k := range []*webhook.APIKey{root, child, grandchild, other} {
		found, err := b.APIKey(t.Context(), "acme", k.ID)
		require.NoError(t, err)
		require.Equal(t, k != other, found.RevokedAt != nil)
	}
	found, err := b.APIKey(t.Context(), "acme", child.ID)
	require.NoError(t, err)
	require.Equal(t, earlier, found.RevokedAt.UTC(), "it keeps its time")
	late := newKey()
	late.CreatedBy = grandchild.ID.String()
	requireCode(t, webhook.CodeUnauthorized, b.CreateAPIKey(t.Context(), late, []byte("late"), 0, nil))
}

// A key that makes others while it and all that it made are revoked leaves none behind.
func TestRevokeMadeKeys_LeavesNoneBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	root := b.madeKey(t, "admin")
	var makers sync.WaitGroup
	begun := make(chan struct{}, 4)
	for range 4 {
		makers.Go(func() {
			for i := 0; ; i++ {
				k := newKey()
				k.CreatedBy = root.ID.String()
				if err := b.CreateAPIKey(t.Context(), k, []byte(uuid.NewString()), 0, nil); err != nil {
					return
				}
				if i == 2 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range 4 {
		<-begun
	}
	_, err := b.RevokeMadeKeys(t.Context(), "acme", root.ID, now())
	require.NoError(t, err)
	makers.Wait()
	keys, err := b.APIKeys(t.Context(), "acme", store.Page{Limit: 200})
	require.NoError(t, err)
	require.Greater(t, len(keys), 8)
	for _, k := range keys {
		require.NotNil(t, k.RevokedAt)
	}
}

func TestNoteKeyUses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	one, two := b.madeKey(t, "admin"), b.madeKey(t, "admin")
	at := now()
	note := func(uses ...store.KeyUse) { require.NoError(t, b.NoteKeyUses(t.Context(), uses)) }
	used := func(k *webhook.APIKey) *time.Time {
		found, err := b.APIKey(t.Context(), "acme", k.ID)
		require.NoError(t, err)
		if found.LastUsedAt == nil {
			return nil
		}
		last := found.LastUsedAt.UTC()
		return &last
	}
	note(store.KeyUse{ID: one.ID, At: at})
	require.Equal(t, at, *used(one))
	require.Nil(t, used(two))
	note(store.KeyUse{ID: one.ID, At: at.Add(time.Minute - time.Microsecond)}, store.KeyUse{ID: two.ID, At: at})
	require.Equal(t, at, *used(one), "once a minute, whichever process used it")
	require.Equal(t, at, *used(two))
	note(store.KeyUse{ID: one.ID, At: at.Add(time.Minute)}, store.KeyUse{ID: two.ID, At: at.Add(-time.Hour)})
	require.Equal(t, at.Add(time.Minute), *used(one))
	require.Equal(t, at, *used(two))
	note(store.KeyUse{ID: one.ID, At: at.Add(time.Hour)}, store.KeyUse{ID: one.ID, At: at.Add(2 * time.Hour)})
	require.Equal(t, at.Add(2*time.Hour), *used(one), "the last of several")
	note()
}

// Processes that note the same uses at the same time, each in an order of its own, do not wait for each other.
func TestNoteKeyUses_ByManyProcesses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	var ids []webhook.KeyID
	for range 50 {
		ids = append(ids, b.madeKey(t, "admin").ID)
	}
	errs := make(chan error, 80)
	for round := range 20 {
		for order := range 4 {
			uses := make([]store.KeyUse, len(ids))
			for i := range ids {
				at := i
				if order%2 == 1 {
					at = len(ids) - 1 - i
				}
				uses[i] = store.KeyUse{ID: ids[at], At: now().Add(time.Duration(round) * time.Hour)}
			}
			go func() { errs <- b.NoteKeyUses(t.Context(), uses) }()
		}
	}
	for range 80 {
		require.NoError(t, <-errs)
	}
}
