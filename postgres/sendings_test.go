package postgres_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

func TestSending(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tenant := b.tenant("acme")
	e := b.endpoint("acme", func(e *webhook.Endpoint) { fullEndpoint(e); e.EventTypes, e.Filter = []string{"*"}, nil })
	p := publication("acme", "")
	p.Body.DeliveryIDAt = 3
	d := b.publish(p).Deliveries[0]
	for _, s := range []*postgres.Store{b.Store, postgrestest.Open(t, b.opts)} {
		got, err := s.Sending(t.Context(), target("acme", d))
		require.NoError(t, err)
		require.Equal(t, d.ID, got.Delivery.ID)
		require.Equal(t, p.Event.ID, got.Delivery.EventID)
		require.Equal(t, webhook.StatusPending, got.Delivery.Status)
		require.False(t, got.Deleted)
		require.Equal(t, e, got.Endpoint)
		require.Equal(t, tenant.ID, got.Tenant.ID)
		require.Equal(t, p.Body, got.Body)
		require.Equal(t, webhook.NewSecret([]byte(e.ID.String())).Reveal(), got.Keys.Current.Reveal())
	}
	recorded := b.record(record("acme", d.ID, 1, webhook.StatusRetrying))
	got, err := b.Sending(t.Context(), target("acme", d))
	require.NoError(t, err)
	recorded.LastAttempt = nil // nothing that is sent depends on it
	require.Equal(t, *recorded, got.Delivery)
}

func TestSending_TenantsSecret(t *testing.T) {
	t.Parallel()
	b := setup(t)
	secret := webhook.NewSecret([]byte("shared"))
	require.NoError(t, b.CreateTenant(t.Context(), &webhook.Tenant{ID: "acme", Name: "a", Dialect: "tradevine", CreatedAt: now()}, secret, nil))
	e := &webhook.Endpoint{ID: newEndpointID(), TenantID: "acme", EventTypes: []string{"*"}, CreatedAt: now(), UpdatedAt: now()}
	require.NoError(t, b.CreateEndpoint(t.Context(), e, webhook.Secret{}, 0, nil))
	got, err := b.Sending(t.Context(), target("acme", b.delivery()))
	require.NoError(t, err)
	require.Equal(t, secret.Reveal(), got.Keys.Current.Reveal())
}

func TestSending_NotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	b.endpoint("acme")
	d := b.delivery()
	_, err := b.Sending(t.Context(), target("other", d))
	requireCode(t, webhook.CodeNotFound, err)
	unknown := d
	unknown.ID = webhook.NewID[webhook.DeliveryID]([16]byte{1})
	_, err = b.Sending(t.Context(), target("acme", unknown))
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.db.Exec(`DELETE FROM events`)
	require.NoError(t, err)
	postgres.ForgetBodies(b.Store)
	_, err = b.Sending(t.Context(), target("acme", d))
	requireCode(t, webhook.CodeNotFound, err)
}

func TestSending_TellsTheTruthAboutTheEndpointAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	d := b.delivery()
	elsewhere := postgrestest.Open(t, b.opts)
	sending := func() *store.Sending {
		got, err := elsewhere.Sending(t.Context(), target("acme", d))
		require.NoError(t, err)
		return got
	}
	require.Nil(t, sending().Endpoint.DisabledAt)
	at := now()
	_, _, err := b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{Reason: "broken", At: at})
	require.NoError(t, err)
	require.Equal(t, &at, sending().Endpoint.DisabledAt)
	require.Equal(t, "broken", sending().Endpoint.DisabledReason)
	_, _, err = b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()})
	require.NoError(t, err)
	require.Nil(t, sending().Endpoint.DisabledAt)

	_, err = b.db.Exec(`UPDATE endpoints SET disabled_at = now(), disabled_reason = 'by hand'`)
	require.NoError(t, err)
	require.NotNil(t, sending().Endpoint.DisabledAt)
	require.Equal(t, "by hand", sending().Endpoint.DisabledReason)
	_, err = b.db.Exec(`UPDATE endpoints SET disabled_at = NULL`)
	require.NoError(t, err)
	require.Nil(t, sending().Endpoint.DisabledAt)

	_, err = b.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error { e.URL = "https://new.example"; return nil })
	require.NoError(t, err)
	require.Equal(t, "https://new.example", sending().Endpoint.URL)
	_, err = b.UpdateTenant(t.Context(), "acme", func(t *webhook.Tenant) error { t.ContactEmail = "new@acme.example"; return nil })
	require.NoError(t, err)
	require.Equal(t, "new@acme.example", sending().Tenant.ContactEmail)
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	require.True(t, sending().Deleted)
	require.Nil(t, sending().Endpoint)
	require.Equal(t, webhook.SigningKeys{}, sending().Keys)
}

func TestSending_UnreadableSecretFailsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	good, bad := b.endpoint("acme"), b.endpoint("acme")
	_, err := b.db.Exec(`UPDATE endpoints SET secret_sealed = '\x00' WHERE id = $1`, bad.ID)
	require.NoError(t, err)
	r := b.publish(publication("acme", ""))
	var wg sync.WaitGroup
	for range 20 {
		for _, d := range r.Deliveries {
			wg.Go(func() {
				got, err := b.Sending(t.Context(), target("acme", d))
				if (d.EndpointID == bad.ID) != (err != nil) || err == nil && got.Endpoint.ID != good.ID {
					t.Errorf("the endpoint %s: %v", d.EndpointID, err)
				}
			})
		}
	}
	wg.Wait()
}

// A delivery that was canceled because its secret cannot be opened is found canceled.
func TestSending_UnreadableSecretOfASettledDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	r := b.publish(publication("acme", ""))
	_, err := b.db.Exec(`UPDATE endpoints SET secret_sealed = '\x00', version = version + 1 WHERE id = $1`, e.ID)
	require.NoError(t, err)
	_, err = b.Sending(t.Context(), target("acme", r.Deliveries[0]))
	require.Error(t, err)
	_, err = b.CancelDelivery(t.Context(), "acme", r.Deliveries[0].ID, "no key", time.Now())
	require.NoError(t, err)
	got, err := b.Sending(t.Context(), target("acme", r.Deliveries[0]))
	require.NoError(t, err)
	require.Equal(t, webhook.StatusCanceled, got.Delivery.Status)
}

func TestSending_CrowdGetsEachItsOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var wg sync.WaitGroup
	for _, tenant := range []string{"a", "b", "c"} {
		b.tenant(tenant)
		b.endpoint(tenant)
		b.endpoint(tenant)
		for range 10 {
			p := publication(tenant, "")
			r := b.publish(p)
			for _, d := range r.Deliveries {
				wg.Go(func() {
					got, err := b.Sending(t.Context(), target(tenant, d))
					if err != nil || got.Delivery.ID != d.ID || got.Endpoint.ID != d.EndpointID || got.Tenant.ID != tenant ||
						string(got.Body.Bytes) != string(p.Body.Bytes) || got.Delivery.EventID != r.EventID {
						t.Errorf("%v: %+v", err, got)
					}
				})
			}
		}
	}
	wg.Wait()
}

// However large the bodies are, one run reads few of them at once, and those that found no room come in the next.
func TestSending_BoundedByBytes(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.BodyCacheBytes = 1 << 20 })
	b.tenant("acme")
	b.endpoint("acme")
	const size, bound = 256 << 10, 4 << 20
	var targets []store.Target
	want := map[webhook.DeliveryID]string{}
	for i := range 40 {
		p := publication("acme", "", func(e *webhook.Event) {
			e.Data = []byte(`"` + strings.Repeat(string(rune('a'+i%26)), size-12) + `"`)
		})
		require.Len(t, p.Body.Bytes, size-1)
		d := b.publish(p).Deliveries[0]
		targets = append(targets, target("acme", d))
		want[d.ID] = string(p.Body.Bytes)
	}
	postgres.ForgetBodies(b.Store)
	served, again := postgres.SendingRun(t, b.Store, targets)
	require.Len(t, served, bound/size+1, "the bound, and the one that exceeds it")
	require.Equal(t, len(targets)-len(served), again)

	postgres.ForgetBodies(b.Store)
	var wg sync.WaitGroup
	for _, in := range targets {
		wg.Go(func() {
			got, err := b.Sending(t.Context(), in)
			if err != nil || string(got.Body.Bytes) != want[in.DeliveryID] {
				t.Errorf("another body, or none: %v", err)
			}
		})
	}
	wg.Wait()
}
