package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

func rotation(secret string, until *time.Time) *webhook.Rotation {
	return &webhook.Rotation{Secret: webhook.SecretFromText(secret), Until: until, At: now()}
}

// The next attempt in every process is signed with what a rotation left.
func TestRotateSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	d := b.delivery()
	owner := store.SecretOwner{Tenant: "acme", Endpoint: e.ID}
	elsewhere := postgrestest.Open(t, b.opts)
	old := webhook.NewSecret([]byte(e.ID.String()))
	sending := func() webhook.SigningKeys {
		got, err := elsewhere.Sending(t.Context(), target("acme", d))
		require.NoError(t, err)
		return got.Keys
	}
	require.Equal(t, webhook.SigningKeys{Current: old}, sending())

	until := now().Add(time.Hour)
	var keys webhook.SigningKeys
	require.NoError(t, b.RotateSecret(t.Context(), owner, rotation("the new one", &until), &keys, nil))
	require.Equal(t, webhook.SigningKeys{Current: webhook.SecretFromText("the new one"), Previous: old, PreviousUntil: &until}, keys)
	require.Equal(t, keys, sending())
	read, err := b.SigningKeys(t.Context(), owner)
	require.NoError(t, err)
	require.Equal(t, keys, *read)
	revealed, err := b.EndpointSecret(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, "the new one", revealed.Current.Reveal())

	requireCode(t, webhook.CodeConflict, b.RotateSecret(t.Context(), owner, rotation("a third", &until), &keys, nil))
	require.Equal(t, keys, sending())
	left, err := elsewhere.RetireSecret(t.Context(), owner)
	require.NoError(t, err)
	require.Equal(t, webhook.SigningKeys{Current: webhook.SecretFromText("the new one")}, *left)
	require.Equal(t, *left, sending())

	var actions []string
	require.NoError(t, b.db.Select(&actions, `SELECT action FROM audit WHERE target = $1 AND action LIKE 'secret.%' ORDER BY id`, e.ID.String()))
	require.Subset(t, actions, []string{"secret.rotated", "secret.retired"})
	var entries string
	require.NoError(t, b.db.Get(&entries, `SELECT string_agg(a::text, ' ') FROM audit a`))
	for _, secret := range []string{old.Reveal(), "the new one"} {
		require.NotContains(t, entries, secret)
		require.Contains(t, entries, webhook.SecretFromText(secret).Fingerprint())
	}

	for _, other := range []store.SecretOwner{{Tenant: "other", Endpoint: e.ID}, {Tenant: "acme", Endpoint: newEndpointID()}, {Tenant: "acme"}, {Tenant: "void"}} {
		_, err := b.SigningKeys(t.Context(), other)
		requireCode(t, webhook.CodeNotFound, err)
		requireCode(t, webhook.CodeNotFound, b.RotateSecret(t.Context(), other, rotation("x", nil), &keys, nil))
		_, err = b.RetireSecret(t.Context(), other)
		requireCode(t, webhook.CodeNotFound, err)
	}
}

func TestRotateSecret_OfTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := webhook.SecretFromText("their client secret")
	require.NoError(t, b.CreateTenant(t.Context(), &webhook.Tenant{ID: "acme", Name: "a", Dialect: "tradevine", CreatedAt: now()}, old, nil))
	e := &webhook.Endpoint{ID: newEndpointID(), TenantID: "acme", EventTypes: []string{"*"}, CreatedAt: now(), UpdatedAt: now()}
	require.NoError(t, b.CreateEndpoint(t.Context(), e, webhook.Secret{}, 0, nil))
	d := b.delivery()
	elsewhere := postgrestest.Open(t, b.opts)
	got, err := elsewhere.Sending(t.Context(), target("acme", d))
	require.NoError(t, err)
	require.Equal(t, webhook.SigningKeys{Current: old}, got.Keys)

	until := now().Add(time.Hour)
	r := rotation("the new one", &until)
	r.SwitchAt = &until
	var keys webhook.SigningKeys
	require.NoError(t, b.RotateSecret(t.Context(), store.SecretOwner{Tenant: "acme"}, r, &keys, nil))
	got, err = elsewhere.Sending(t.Context(), target("acme", d))
	require.NoError(t, err)
	require.Equal(t, webhook.SigningKeys{Current: r.Secret, Previous: old, PreviousUntil: &until, SwitchAt: &until}, got.Keys)
}

// A repetition gets the first answer, and the secret of the receivers is not rotated away.
func TestRotateSecret_Once(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	owner := store.SecretOwner{Tenant: "acme", Endpoint: b.endpoint("acme").ID}
	until := now().Add(time.Hour)
	var keys webhook.SigningKeys
	require.NoError(t, b.RotateSecret(t.Context(), owner, rotation("first new", &until), &keys, once("k", "request", "first")))
	var again *store.Repetition
	require.ErrorAs(t, b.RotateSecret(t.Context(), owner, rotation("second new", &until), &keys, once("k", "request", "second")), &again)
	require.Equal(t, "first", string(again.Answer))
	read, err := b.SigningKeys(t.Context(), owner)
	require.NoError(t, err)
	require.Equal(t, "first new", read.Current.Reveal())
}

func TestForgetEndedSecrets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	ended, lasting := b.endpoint("acme"), b.endpoint("acme")
	past, future := now().Add(-2*time.Hour), now().Add(time.Hour)
	for id, until := range map[webhook.EndpointID]*time.Time{ended.ID: &past, lasting.ID: &future} {
		var keys webhook.SigningKeys
		require.NoError(t, b.RotateSecret(t.Context(), store.SecretOwner{Tenant: "acme", Endpoint: id}, rotation("new of "+id.String(), until), &keys, nil))
	}
	more, err := b.ForgetEndedSecrets(t.Context(), time.Hour, 1)
	require.NoError(t, err)
	require.True(t, more)
	more, err = b.ForgetEndedSecrets(t.Context(), time.Hour, 1)
	require.NoError(t, err)
	require.False(t, more)
	for id, kept := range map[webhook.EndpointID]bool{ended.ID: false, lasting.ID: true} {
		read, err := b.SigningKeys(t.Context(), store.SecretOwner{Tenant: "acme", Endpoint: id})
		require.NoError(t, err)
		require.Equal(t, "new of "+id.String(), read.Current.Reveal())
		require.Equal(t, kept, !read.Previous.IsZero())
	}
}

// A test that names a secret is signed with it alone, whatever the moment says.
func TestSending_TestSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	old := webhook.NewSecret([]byte(e.ID.String()))
	until := now().Add(time.Hour)
	var keys webhook.SigningKeys
	require.NoError(t, b.RotateSecret(t.Context(), store.SecretOwner{Tenant: "acme", Endpoint: e.ID}, rotation(strings.Repeat("n", 20), &until), &keys, nil))
	for choice, want := range map[webhook.SecretChoice]webhook.SigningKeys{
		"": keys, webhook.CurrentSecret: {Current: keys.Current}, webhook.PreviousSecret: {Current: old},
	} {
		p := publication("acme", "", func(e *webhook.Event) { e.Test = true })
		p.Only, p.TestSecret = e.ID, choice
		got, err := b.Sending(t.Context(), target("acme", b.publish(p).Deliveries[0]))
		require.NoError(t, err)
		require.Equal(t, want, got.Keys, choice)
	}
}

func TestRotateSecret_Algorithm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	owner := store.SecretOwner{Tenant: "acme", Endpoint: e.ID}
	until := now().Add(time.Hour)
	r := rotation(webhook.NewEd25519Secret(make([]byte, 32)).Reveal(), &until)
	var keys webhook.SigningKeys
	requireCode(t, webhook.CodeConflict, b.RotateSecret(t.Context(), owner, r, &keys, nil))
	r.Algorithm = webhook.Ed25519
	require.NoError(t, b.RotateSecret(t.Context(), owner, r, &keys, nil))
	got, err := b.Sending(t.Context(), target("acme", b.delivery()))
	require.NoError(t, err)
	require.Equal(t, keys, got.Keys)
	require.Equal(t, &webhook.Signing{Algorithm: webhook.Ed25519}, got.Endpoint.Signing)
}

// Who else signs with a secret counts endpoints that are there, until their moment.
func TestSecondDialects(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	until := now().Add(time.Hour)
	also := func(dialect string) func(*webhook.Endpoint) {
		return func(e *webhook.Endpoint) { e.AlsoSignAs = &webhook.AlsoSignAs{Dialect: dialect, Until: until} }
	}
	first, second, plain := b.endpoint("acme", also("rheo")), b.endpoint("acme", also("tradly")), b.endpoint("acme")
	gone := b.endpoint("acme", also("standard"))
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", gone.ID, now()))
	b.endpoint("other", also("standard"))
	ask := func(of store.SecretOwner, at time.Time) []string {
		t.Helper()
		names, err := b.SecondDialects(t.Context(), of, at)
		require.NoError(t, err)
		return names
	}
	require.Equal(t, []string{"rheo", "tradly"}, ask(store.SecretOwner{Tenant: "acme"}, now()))
	require.Equal(t, []string{"rheo"}, ask(store.SecretOwner{Tenant: "acme", Endpoint: first.ID}, now()))
	require.Empty(t, ask(store.SecretOwner{Tenant: "acme", Endpoint: plain.ID}, now()))
	require.Empty(t, ask(store.SecretOwner{Tenant: "other", Endpoint: second.ID}, now()))
	require.Empty(t, ask(store.SecretOwner{Tenant: "acme"}, until))
}
