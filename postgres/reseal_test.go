package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// anotherKey is the key that takes the place of postgrestest.Key.
func anotherKey() postgres.Key { return postgres.Key{ID: "k2", Key: [32]byte{9}} }

// as opens a further store on the same tables.
func (b *bundle) as(change func(*postgres.Options)) *postgres.Store {
	b.t.Helper()
	o := b.opts
	change(&o)
	return postgrestest.Open(b.t, o)
}

// keyed opens a further store with these keys.
func (b *bundle) keyed(keys ...postgres.Key) *postgres.Store {
	b.t.Helper()
	return b.as(func(o *postgres.Options) { o.Keys = keys })
}

// sealEverything stores a value in every sealed column of the tenant "acme", and returns its endpoint.
func (b *bundle) sealEverything() *webhook.Endpoint {
	b.t.Helper()
	acme := &webhook.Tenant{ID: "acme", Name: "acme", Dialect: "standard", CreatedAt: now()}
	require.NoError(b.t, b.CreateTenant(b.t.Context(), acme, webhook.NewSecret([]byte("the tenant's")), nil))
	require.NoError(b.t, b.CreateAPIKey(b.t.Context(), newKey(), []byte("hash"), 0, once("key", "request", "the answer")))
	e := b.endpoint("acme", func(e *webhook.Endpoint) {
		e.Headers = map[string]string{"X-Api-Key": "the header"}
		e.Auth = (&webhook.AuthText{Type: webhook.AuthBearer, Token: "the token"}).Auth()
	})
	b.exec(`UPDATE tenants SET previous_secret_sealed = $1`, postgres.Seal(b.Store, "tenants.previous_secret_sealed", "acme", "whsec_before"))
	b.exec(`UPDATE endpoints SET previous_secret_sealed = $1`, postgres.Seal(b.Store, "endpoints.previous_secret_sealed", e.ID.String(), "whsec_before"))
	return e
}

// sealedColumns lists the columns of the schema that hold sealed values: those whose name says so.
func (b *bundle) sealedColumns() (columns []struct{ Table, Column string }) {
	b.t.Helper()
	require.NoError(b.t, b.db.Select(&columns, `
		SELECT c.table_name AS table, c.column_name AS column FROM information_schema.columns c
		WHERE c.table_schema = $1 AND c.column_name LIKE '%\_sealed%' ORDER BY 1, 2`, b.Schema()))
	require.NotEmpty(b.t, columns)
	return columns
}

// Every column of the schema that is sealed has a value here and is sealed anew, and is then read with the new key alone. A new
// column fails this test until sealedColumns and sealEverything have it.
func TestReseal(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.sealEverything()
	for _, c := range b.sealedColumns() {
		require.Contains(t, postgres.SealedColumns(), c.Table+"."+c.Column, "is not in sealedColumns")
		require.Positive(t, b.count(`SELECT count(*) FROM `+c.Table+` WHERE `+c.Column+` IS NOT NULL`), "sealEverything does not fill %s.%s", c.Table, c.Column)
	}
	require.Len(t, postgres.SealedColumns(), len(b.sealedColumns()))
	values := 0
	for _, c := range b.sealedColumns() {
		values += b.count(`SELECT count(*) FROM ` + c.Table + ` WHERE ` + c.Column + ` IS NOT NULL`)
	}

	both := b.keyed(anotherKey(), postgrestest.Key())
	old, err := both.OldSeals(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"test": values}, old)
	done, err := both.Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.Resealed{Resealed: values}, done)
	for _, c := range b.sealedColumns() {
		require.Zero(t, b.count(`SELECT count(*) FROM `+c.Table+` WHERE substring(`+c.Column+` FROM 1 FOR 4) <> '\x01026b32'`), "%v", c)
	}
	old, err = both.OldSeals(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"test": 0}, old)
	done, err = both.Reseal(t.Context())
	require.NoError(t, err)
	require.Zero(t, done, "there is nothing left to do")

	after := b.keyed(anotherKey())
	secret, err := after.TenantSecret(t.Context(), "acme")
	require.NoError(t, err)
	require.Equal(t, webhook.NewSecret([]byte("the tenant's")).Reveal(), secret.Current.Reveal())
	secret, err = after.EndpointSecret(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, webhook.NewSecret([]byte(e.ID.String())).Reveal(), secret.Current.Reveal())
	read, err := after.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, e.Headers, read.Headers)
	requireRepetition(t, "the answer", after.CreateAPIKey(t.Context(), newKey(), []byte("h"), 0, once("key", "request", "")))
}

// sealMany adds endpoints whose rows fill so many pages that several transactions reseal them.
func (b *bundle) sealMany(n int) {
	b.t.Helper()
	for range n {
		b.endpoint("acme", func(e *webhook.Endpoint) { e.Description = strings.Repeat("x", 1500) })
	}
}

// A run that is ended has done a part, and the next one does the rest, in more than one transaction.
func TestReseal_Interrupted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sealEverything()
	b.sealMany(300)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var transactions atomic.Int32
	s := b.as(func(o *postgres.Options) {
		o.Keys = []postgres.Key{anotherKey(), postgrestest.Key()}
		o.Failpoint = func(name string) {
			if name == "after-reseal" && transactions.Add(1) == 3 {
				cancel()
			}
		}
	})
	done, err := s.Reseal(ctx)
	requireCode(t, webhook.CodeUnavailable, err)
	old, err := s.OldSeals(t.Context())
	require.NoError(t, err)
	require.Positive(t, done.Resealed)
	require.Positive(t, old["test"])
	again, err := s.Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.Resealed{Resealed: old["test"]}, again)
	require.Greater(t, transactions.Load(), int32(6))
}

// What others do meanwhile is not undone: a value that changes is not written over, rows that are locked for good are left out and
// told of, and nobody waits.
func TestReseal_BesideOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	locked := b.sealEverything()
	b.sealMany(100)
	other := b.endpoint("acme")
	held := b.beginBlocking(`SELECT FROM endpoints WHERE id = '` + locked.ID.UUID() + `' FOR UPDATE`)
	changed := false
	s := b.as(func(o *postgres.Options) {
		o.Keys = []postgres.Key{anotherKey(), postgrestest.Key()}
		o.Failpoint = func(name string) {
			if name != "after-reseal" || changed {
				return
			}
			changed = true
			// A process that still seals with the old key.
			_, err := b.UpdateEndpoint(t.Context(), "acme", other.ID, func(e *webhook.Endpoint) error {
				e.Headers = map[string]string{"X-Changed": "meanwhile"}
				return nil
			})
			require.NoError(t, err)
		}
	})
	done, err := s.Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, 4, done.Left, "the secrets, the headers and the credentials of the locked endpoint")
	require.Zero(t, done.Failed)
	require.NoError(t, held.Rollback())
	done, err = s.Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.Resealed{Resealed: 4}, done)
	read, err := b.keyed(anotherKey()).Endpoint(t.Context(), "acme", other.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"X-Changed": "meanwhile"}, read.Headers)
}

// Values that do not open stay as they are and are told of, by their row and the key; the others are sealed anew. Where the old key
// is not configured, the count names it.
func TestReseal_DoesNotOpen(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := b.sealEverything()
	moved := b.endpoint("acme")
	b.exec(`UPDATE endpoints SET secret_sealed = (SELECT secret_sealed FROM endpoints WHERE id = $1) WHERE id = $2`, e.ID, moved.ID)
	b.exec(`UPDATE tenants SET secret_sealed = 'text'`)
	var log bytes.Buffer
	s := b.as(func(o *postgres.Options) {
		o.Keys = []postgres.Key{anotherKey(), postgrestest.Key()}
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	done, err := s.Reseal(t.Context())
	require.NoError(t, err)
	require.Equal(t, store.Resealed{Resealed: 6, Failed: 2}, done)
	require.Contains(t, log.String(), "endpoints.secret_sealed of "+moved.ID.String()+" does not open")
	require.Contains(t, log.String(), "tenants.secret_sealed of acme is not a sealed value")
	require.NotContains(t, log.String(), "whsec_")
	old, err := b.keyed(anotherKey(), postgres.Key{ID: "k3", Key: [32]byte{3}}).OldSeals(t.Context())
	require.NoError(t, err)
	require.Equal(t, 0, old["k3"])
	require.Equal(t, 1, old["test"], "the moved one, whose key is not configured")
	require.Len(t, old, 3, "%v", old)
}

// However an endpoint goes, its row holds nothing sealed from then on: neither by itself nor with its tenant.
func TestDeletedEndpoint_HoldsNothingSealed(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*bundle, *webhook.Endpoint) error{
		"deleted": func(b *bundle, e *webhook.Endpoint) error {
			return b.DeleteEndpoint(b.t.Context(), e.TenantID, e.ID, now())
		},
		"erased": func(b *bundle, e *webhook.Endpoint) error {
			_, err := b.BeginErasure(b.t.Context(), e.TenantID, now())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			require.NoError(t, end(b, b.sealEverything()))
			for _, c := range b.sealedColumns() {
				if c.Table == "endpoints" {
					require.Zero(t, b.count(`SELECT count(*) FROM endpoints WHERE `+c.Column+` IS NOT NULL`), "%v", c)
				}
			}
		})
	}
}

// A damaged value, whatever its bytes, counts as one of no key: the ids of keys become labels of a metric, which are text.
func TestOldSeals_OfDamagedValues(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sealEverything()
	for _, damaged := range []string{"", "\x01", "\x01\x02\xff\xfe\x00", "\xc3\x02\x80\xa0\xff"} {
		b.exec(`UPDATE endpoints SET secret_sealed = $1`, []byte(damaged))
		old, err := b.keyed(postgrestest.Key(), anotherKey()).OldSeals(t.Context())
		require.NoError(t, err)
		require.Equal(t, map[string]int{"": 1, "k2": 0}, old, "%x", damaged)
	}
}
