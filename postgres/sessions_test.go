package postgres_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

func newSession(key webhook.KeyID) *webhook.Session {
	s := &webhook.Session{ID: webhook.NewID[webhook.SessionID](uuid.Must(uuid.NewV7())), KeyID: key, CreatedAt: now(), ExpiresAt: now().Add(time.Hour)}
	if key.IsZero() {
		s.MakerCheck = []byte("check")
	} else {
		s.TenantID = "acme"
	}
	return s
}

func newLink(key webhook.KeyID) *webhook.Link {
	l := &webhook.Link{
		ID: webhook.NewID[webhook.LinkID](uuid.Must(uuid.NewV7())), TenantID: "acme", KeyID: key, Scopes: []webhook.Scope{webhook.ScopeRead},
		Confinement: webhook.Confinement{"auction_id": {"a", "b"}}, CreatedAt: now(), ExpiresAt: now().Add(time.Hour),
	}
	if key.IsZero() {
		l.MakerCheck = []byte("check")
	}
	return l
}

// opens returns what opens a link: the session, with the link's rights.
func opens(at time.Time, hash string) func(l *store.FoundLink) (*webhook.Session, []byte, error) {
	return func(l *store.FoundLink) (*webhook.Session, []byte, error) {
		s := newSession(l.KeyID)
		s.TenantID, s.LinkID, s.Scopes, s.Confinement, s.CreatedAt, s.ExpiresAt = l.TenantID, l.ID, l.Scopes, l.Confinement, at, l.ExpiresAt
		return s, []byte(hash), nil
	}
}

func (b *bundle) session(hash string) (*store.FoundSession, error) {
	found, err := b.SessionByHash(b.t.Context(), []byte(hash))
	if err == nil {
		found.CreatedAt, found.ExpiresAt = found.CreatedAt.UTC(), found.ExpiresAt.UTC()
	}
	return found, err
}

func TestSession_KeepsEverything(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	key := b.madeKey(t, "admin")
	for i, s := range []*webhook.Session{newSession(key.ID), newSession(webhook.KeyID{})} {
		hash := fmt.Sprint(i)
		require.NoError(t, b.CreateSession(t.Context(), s, []byte(hash), nil))
		found, err := b.session(hash)
		require.NoError(t, err)
		require.Equal(t, s, &found.Session)
		require.Equal(t, s.KeyID.IsZero(), found.Key == nil)
		require.NoError(t, b.EndSession(t.Context(), s))
		require.NoError(t, b.EndSession(t.Context(), s), "twice is no error")
		_, err = b.session(hash)
		requireCode(t, webhook.CodeUnauthorized, err)
	}
	l := newLink(key.ID)
	require.NoError(t, b.CreateLink(t.Context(), l, []byte("link"), nil))
	require.NoError(t, b.OpenLink(t.Context(), []byte("link"), func(found *store.FoundLink) (*webhook.Session, []byte, error) {
		found.CreatedAt, found.ExpiresAt = found.CreatedAt.UTC(), found.ExpiresAt.UTC()
		require.Equal(t, l, &found.Link)
		require.Equal(t, key.ID, found.Key.ID)
		return opens(now(), "opened")(found)
	}))
	found, err := b.session("opened")
	require.NoError(t, err)
	require.True(t, found.OfPortal())
	require.Equal(t, l.ID, found.LinkID)
	require.Equal(t, l.Confinement, found.Confinement)
	require.Equal(t, l.Scopes, found.Scopes)
}

// Of many who open a link at the same time one gets a session.
func TestOpenLink_AtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	require.NoError(t, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("link"), nil))
	blocker := b.beginBlocking(`SELECT FROM portal_links FOR UPDATE`)
	errs := make([]error, 5)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = b.OpenLink(t.Context(), []byte("link"), opens(now(), fmt.Sprint(i))) })
	}
	b.waitBlocked(2)
	require.NoError(t, blocker.Rollback())
	wg.Wait()
	won := 0
	for i, err := range errs {
		if _, unknown := b.session(fmt.Sprint(i)); err == nil {
			won++
			require.NoError(t, unknown)
			continue
		}
		requireCode(t, webhook.CodeUnauthorized, err)
	}
	require.Equal(t, 1, won)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM sessions`))
}

// A refusal leaves the link as it was.
func TestOpenLink_Refused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	require.NoError(t, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("link"), nil))
	refused := webhook.UnknownLink()
	require.Equal(t, refused, b.OpenLink(t.Context(), []byte("link"), func(*store.FoundLink) (*webhook.Session, []byte, error) { return nil, nil, refused }))
	require.NoError(t, b.OpenLink(t.Context(), []byte("link"), opens(now(), "s")))
}

// What a key made ends with it, whether it is revoked or gone, and a revoked key makes nothing.
func TestSession_EndsWithItsKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	for _, end := range []string{`UPDATE api_keys SET revoked_at = now()`, `DELETE FROM api_keys`} {
		key := b.madeKey(t, "admin")
		own, opened, left := uuid.NewString(), uuid.NewString(), uuid.NewString()
		require.NoError(t, b.CreateSession(t.Context(), newSession(key.ID), []byte(own), nil))
		require.NoError(t, b.CreateLink(t.Context(), newLink(key.ID), []byte(opened), nil))
		require.NoError(t, b.OpenLink(t.Context(), []byte(opened), opens(now(), opened)))
		require.NoError(t, b.CreateLink(t.Context(), newLink(key.ID), []byte(left), nil))
		b.exec(end)
		for _, hash := range []string{own, opened} {
			_, err := b.session(hash)
			requireCode(t, webhook.CodeUnauthorized, err)
		}
		requireCode(t, webhook.CodeUnauthorized, b.OpenLink(t.Context(), []byte(left), opens(now(), "no")))
		requireCode(t, webhook.CodeUnauthorized, b.CreateSession(t.Context(), newSession(key.ID), []byte("no"), nil))
		requireCode(t, webhook.CodeUnauthorized, b.CreateLink(t.Context(), newLink(key.ID), []byte("no"), nil))
	}
}

// One session too many ends the oldest of that key, and of nobody else; one link too many is refused until another one has ended.
func TestSessions_Limits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	key, other := b.madeKey(t, "admin"), b.madeKey(t, "admin")
	makers := []webhook.KeyID{key.ID, other.ID, {}}
	for i, maker := range makers {
		require.NoError(t, b.CreateSession(t.Context(), newSession(maker), fmt.Append(nil, "first", i), nil))
	}
	for i, maker := range []webhook.KeyID{key.ID, {}} {
		of := newSession(maker)
		b.exec(`INSERT INTO sessions (id, hash, tenant_id, key_id, scopes, created_at, expires_at)
			SELECT gen_random_uuid(), convert_to($1 || '/' || n, 'UTF8'), nullif($2, ''), $3, '{}', now(), now() FROM generate_series(1, $4) AS n`,
			i, of.TenantID, orNil(maker), webhook.MaxSessions-2)
	}
	b.exec(`UPDATE sessions SET id = ('ffffffff-' || substr(id::text, 10))::uuid WHERE hash NOT IN ('first0', 'first1', 'first2')`)
	last := newSession(key.ID)
	last.ID = webhook.NewID[webhook.SessionID](uuid.Max)
	require.NoError(t, b.CreateSession(t.Context(), last, []byte("full"), nil))
	_, err := b.session("first0")
	require.NoError(t, err, "at the limit")
	last.ID = webhook.NewID[webhook.SessionID](uuid.MustParse("ffffffff-ffff-ffff-ffff-fffffffffffe"))
	require.NoError(t, b.CreateSession(t.Context(), last, []byte("above"), nil))
	_, err = b.session("first0")
	requireCode(t, webhook.CodeUnauthorized, err)
	require.Equal(t, webhook.MaxSessions, b.count(`SELECT count(*) FROM sessions WHERE key_id = $1`, key.ID))
	for _, hash := range []string{"first1", "first2", "above"} {
		_, err = b.session(hash)
		require.NoError(t, err)
	}
	require.NoError(t, b.CreateSession(t.Context(), newSession(webhook.KeyID{}), []byte("admin"), nil))
	require.Equal(t, webhook.MaxSessions, b.count(`SELECT count(*) FROM sessions WHERE key_id IS NULL`))
	signIn := newLink(webhook.KeyID{})
	signIn.TenantID, signIn.Scopes, signIn.Confinement = "", nil, nil
	require.NoError(t, b.CreateLink(t.Context(), signIn, []byte("sign in"), nil))
	require.NoError(t, b.OpenLink(t.Context(), []byte("sign in"), opens(now(), "signed in")))
	require.Equal(t, webhook.MaxSessions, b.count(`SELECT count(*) FROM sessions WHERE key_id IS NULL`), "a link to sign in makes no more")

	b.exec(`INSERT INTO portal_links (id, hash, tenant_id, scopes, created_at, expires_at)
		SELECT gen_random_uuid(), convert_to(n::text, 'UTF8'), 'acme', '{}', now(), now() + interval '1 hour' FROM generate_series(1, $1) AS n`, webhook.MaxLinks-1)
	require.NoError(t, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("full"), nil))
	requireCode(t, webhook.CodeConflict, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("above"), nil))
	b.exec(`UPDATE portal_links SET expires_at = now() WHERE hash = '1'`)
	require.NoError(t, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("above"), nil))
}

func orNil(id webhook.KeyID) any {
	if id.IsZero() {
		return nil
	}
	return id
}

// Sessions and links go a day after their end, and not before.
func TestSessions_Retained(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	require.NoError(t, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("link"), nil))
	require.NoError(t, b.OpenLink(t.Context(), []byte("link"), opens(now(), "s")))
	ended := func(ago string) int {
		for _, table := range []string{"sessions", "portal_links"} {
			b.exec(`UPDATE ` + table + ` SET expires_at = now() - interval '` + ago + `'`)
		}
		_, err := b.Retain(t.Context(), kept)
		require.NoError(t, err)
		return b.count(`SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM portal_links)`)
	}
	require.Equal(t, 2, ended("23 hours 50 minutes"))
	require.Zero(t, ended("24 hours 10 minutes"))
}

// A tenant that is erased has no session and no link any more, at once.
func TestSessions_OfAnErasedTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	require.NoError(t, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("open"), nil))
	require.NoError(t, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("left"), nil))
	require.NoError(t, b.OpenLink(t.Context(), []byte("open"), opens(now(), "s")))
	_, err := b.BeginErasure(t.Context(), "acme", now())
	require.NoError(t, err)
	_, err = b.session("s")
	requireCode(t, webhook.CodeUnauthorized, err)
	requireCode(t, webhook.CodeUnauthorized, b.OpenLink(t.Context(), []byte("left"), opens(now(), "no")))
	requireCode(t, webhook.CodeNotFound, b.CreateLink(t.Context(), newLink(webhook.KeyID{}), []byte("new"), nil))
}
