package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// verifyingTenant creates a tenant whose endpoints have to be verified.
func (b *bundle) verifyingTenant(id string) {
	b.tenant(id)
	_, err := b.UpdateTenant(b.t.Context(), id, func(t *webhook.Tenant) error {
		t.VerifyEndpoints = true
		return nil
	})
	require.NoError(b.t, err)
}

func (b *bundle) update(e *webhook.Endpoint, change func(*webhook.Endpoint)) *webhook.Endpoint {
	b.t.Helper()
	out, err := b.UpdateEndpoint(b.t.Context(), e.TenantID, e.ID, func(e *webhook.Endpoint) error {
		change(e)
		return nil
	})
	require.NoError(b.t, err)
	found, err := b.Endpoint(b.t.Context(), e.TenantID, e.ID)
	require.NoError(b.t, err)
	require.Equal(b.t, found, out)
	return out
}

func (b *bundle) verify(e *webhook.Endpoint, rate int) *webhook.Endpoint {
	b.t.Helper()
	out, _, err := b.VerifyEndpoint(b.t.Context(), e.TenantID, e.ID, webhook.Proof{Version: e.Version, Method: webhook.VerifyToken, AllowedRate: rate, At: now()})
	require.NoError(b.t, err)
	found, err := b.Endpoint(b.t.Context(), e.TenantID, e.ID)
	require.NoError(b.t, err)
	require.Equal(b.t, found, out)
	return out
}

func (b *bundle) refusesToEnable(e *webhook.Endpoint) {
	b.t.Helper()
	_, _, err := b.EnableEndpoint(b.t.Context(), e.TenantID, e.ID, webhook.Change{By: "key_1", At: now()})
	require.Equal(b.t, webhook.CodeConflict, webhook.ErrorCode(err), "%v", err)
}

func TestVerification(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.verifyingTenant("acme")
	e := b.endpoint("acme")
	require.True(t, e.Unverified)
	require.Equal(t, webhook.ByVerification, e.DisabledBy)
	found, err := b.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, e, found)
	b.refusesToEnable(e)

	// Its deliveries are held by what holds those of any disabled endpoint.
	sent := b.publish(publication("acme", "evt_1"))
	d, err := b.HoldDelivery(t.Context(), "acme", sent.Deliveries[0].ID, now())
	require.NoError(t, err)
	require.Equal(t, webhook.StatusHeld, d.Status)

	old := *e
	e = b.update(e, func(e *webhook.Endpoint) { e.Description = "changed while its receiver was asked" })
	_, _, err = b.VerifyEndpoint(t.Context(), "acme", e.ID, webhook.Proof{Version: old.Version, At: now()})
	requireCode(t, webhook.CodeConflict, err)

	e = b.verify(e, 120)
	require.Nil(t, e.DisabledAt)
	require.False(t, e.Unverified)
	require.NotNil(t, e.VerifiedAt)
	require.Equal(t, 120, e.AllowedRate)
	entry := b.audit(store.AuditFilter{Action: "endpoint.verified"})[0]
	require.JSONEq(t, `{"method":"token","enabled":true,"allowed_rate":120}`, string(entry.After))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM endpoints WHERE wake_due`), "its queue sends what was held")

	e = b.update(e, func(e *webhook.Endpoint) { e.Description = "another" })
	require.False(t, e.Unverified, "the same URL")
	e = b.update(e, func(e *webhook.Endpoint) { e.URL = "https://receiver.example/other" })
	require.True(t, e.Unverified)
	require.Nil(t, e.VerifiedAt)
	require.Zero(t, e.AllowedRate)
	require.Equal(t, webhook.ByVerification, e.DisabledBy)
	b.refusesToEnable(e)
	_, err = b.Receiver(t.Context(), "other", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
	to, err := b.Receiver(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, e.URL, to.Endpoint.URL)
	require.NotEmpty(t, to.Keys.Current.Reveal())
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	_, err = b.Receiver(t.Context(), "acme", e.ID)
	requireCode(t, webhook.CodeNotFound, err)
}

// Who disables an unverified endpoint finds it disabled once it is verified, and still cannot enable it before.
func TestVerification_DisabledByAPerson(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.verifyingTenant("acme")
	e := b.endpoint("acme")
	e, changed, err := b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{By: "key_1", Reason: "not yet", At: now()})
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, "not yet", e.DisabledReason)
	b.refusesToEnable(e)
	e = b.verify(e, 0)
	require.Equal(t, "not yet", e.DisabledReason)
	require.False(t, e.Unverified)
	e, _, err = b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{By: "key_1", At: now()})
	require.NoError(t, err)
	require.Nil(t, e.DisabledAt)

	at := now()
	made := b.endpoint("acme", func(e *webhook.Endpoint) {
		e.DisabledAt, e.DisabledBy, e.DisabledReason = &at, "key_1", "created disabled"
	})
	require.True(t, made.Unverified)
	require.Equal(t, "created disabled", b.verify(made, 0).DisabledReason)
}

// What the receiver at the URL before answers late disables neither an endpoint that waits for the proof of another URL nor one that goes
// on with it.
func TestDisableEndpoint_AnswerOfAnotherURL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for tenant, asks := range map[string]bool{"acme": true, "other": false} {
		if asks {
			b.verifyingTenant(tenant)
		} else {
			b.tenant(tenant)
		}
		e := b.endpoint(tenant)
		gone := webhook.Change{By: webhook.ByReceiver, Reason: "the receiver answered 410 Gone", URL: e.URL, At: now()}
		e = b.update(e, func(e *webhook.Endpoint) { e.URL = "https://receiver.example/moved" })
		got, changed, err := b.DisableEndpoint(t.Context(), tenant, e.ID, gone)
		require.NoError(t, err)
		require.False(t, changed)
		require.Equal(t, e, got)
		if asks {
			e = b.verify(e, 0)
		}
		require.Nil(t, e.DisabledAt)
		gone.URL = e.URL
		got, changed, err = b.DisableEndpoint(t.Context(), tenant, e.ID, gone)
		require.NoError(t, err)
		require.True(t, changed)
		require.Equal(t, webhook.ByReceiver, got.DisabledBy)
	}
}

// An endpoint may ask on its own, and where nobody asks any more, a person may enable it.
func TestVerification_AskedByTheEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	require.Nil(t, e.DisabledAt)
	require.Nil(t, b.update(e, func(e *webhook.Endpoint) { e.URL = "https://receiver.example/free" }).DisabledAt)

	asks := webhook.Verification{Method: webhook.VerifyCloudEvents, Origin: "events.example.com"}
	e = b.update(e, func(e *webhook.Endpoint) { e.Verification = &asks })
	require.True(t, e.Unverified)
	require.Equal(t, &asks, e.Verification)
	e = b.verify(e, 0)
	e = b.update(e, func(e *webhook.Endpoint) { e.Verification = &webhook.Verification{Method: webhook.VerifyToken} })
	require.True(t, e.Unverified, "it asks for something else")
	b.refusesToEnable(e)
	found, err := b.Endpoints(t.Context(), "acme", store.EndpointFilter{Unverified: new(true), Page: store.Page{Limit: 10}})
	require.NoError(t, err)
	require.Len(t, found.Items, 1)

	e = b.update(e, func(e *webhook.Endpoint) { e.Verification = nil })
	require.True(t, e.Unverified, "nobody has enabled it")
	e, _, err = b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{By: "key_1", At: now()})
	require.NoError(t, err)
	require.False(t, e.Unverified)
	found, err = b.Endpoints(t.Context(), "acme", store.EndpointFilter{Unverified: new(true), Page: store.Page{Limit: 10}})
	require.NoError(t, err)
	require.Empty(t, found.Items)

	// A tenant that begins to ask leaves what is there as it is.
	_, err = b.UpdateTenant(t.Context(), "acme", func(t *webhook.Tenant) error {
		t.VerifyEndpoints = true
		return nil
	})
	require.NoError(t, err)
	e = b.update(e, func(e *webhook.Endpoint) { e.Description, e.UpdatedAt = "d", now().Add(time.Second) })
	require.Nil(t, e.DisabledAt)
	require.True(t, b.update(e, func(e *webhook.Endpoint) { e.URL = "https://receiver.example/new" }).Unverified)
}
