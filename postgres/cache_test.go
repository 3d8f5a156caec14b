package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/webhook"
)

// used is what a process sees of the tenant acme when it publishes to an endpoint, reads what to send, and knows its types.
type used struct {
	endpoints []webhook.EndpointID
	secret    string
	url       string
	retired   bool
}

// use publishes an event, and reads what its first delivery would be sent with.
func use(t *testing.T, s *postgres.Store) (u used) {
	t.Helper()
	r, err := s.Accept(t.Context(), publication("acme", uuid.NewString()))
	require.NoError(t, err)
	for _, d := range r.Deliveries {
		u.endpoints = append(u.endpoints, d.EndpointID)
	}
	require.NotEmpty(t, r.Deliveries)
	sending, err := s.Sending(t.Context(), target("acme", r.Deliveries[0]))
	require.NoError(t, err)
	u.secret, u.url = sending.Keys.Current.Reveal(), sending.Endpoint.URL
	tenant, err := s.Tenant(t.Context(), "acme")
	require.NoError(t, err)
	own, err := s.KnownType(t.Context(), tenant, "order.confirmed")
	require.NoError(t, err)
	u.retired = own != nil && own.Deprecated
	return u
}

// The id of an erased tenant is free for another. Nothing that a process knows of the first counts for the second.
func TestCaches_TenantOfAnErasedOnesID(t *testing.T) {
	t.Parallel()
	b := setup(t)
	elsewhere := postgrestest.Open(t, b.opts) // another process, with caches of its own
	made := func(secret string, retired bool) webhook.EndpointID {
		tenant := &webhook.Tenant{ID: "acme", Name: "acme", Dialect: "standard", CreatedAt: now()}
		require.NoError(t, b.CreateTenant(t.Context(), tenant, webhook.NewSecret([]byte(secret)), nil))
		at := now()
		e := &webhook.Endpoint{
			ID: newEndpointID(), TenantID: "acme", URL: "https://" + secret + ".example", EventTypes: []string{"*"}, CreatedAt: at, UpdatedAt: at,
		}
		require.NoError(t, b.CreateEndpoint(t.Context(), e, webhook.Secret{}, 0, nil))
		_, err := b.PutOwnType(t.Context(), "acme", &webhook.OwnType{Type: "order.confirmed", Deprecated: retired, CreatedAt: at, UpdatedAt: at})
		require.NoError(t, err)
		return e.ID
	}
	first := made("first", true)
	require.Equal(t, used{[]webhook.EndpointID{first}, webhook.NewSecret([]byte("first")).Reveal(), "https://first.example", true}, use(t, elsewhere))

	_, err := b.BeginErasure(t.Context(), "acme", now())
	require.NoError(t, err)
	b.exec(`UPDATE tenants SET erased_at = erased_at - interval '1 hour'`)
	for done := false; !done; {
		step, err := b.EraseTenantStep(t.Context(), "acme", 100)
		require.NoError(t, err)
		done = step.Done
	}
	second := made("second", false)
	require.Equal(t, used{[]webhook.EndpointID{second}, webhook.NewSecret([]byte("second")).Reveal(), "https://second.example", false}, use(t, elsewhere))
}

// A change that the standby lacks is in the caches of whoever saw it, and is undone when the standby takes over. What is changed then has
// another version.
func TestCaches_ChangeThatAFailoverUndid(t *testing.T) {
	t.Parallel()
	b, standby := withStandby(t, "caches")
	b.tenant("acme")
	kept := b.endpoint("acme")
	moved := func(url string) error {
		_, err := b.UpdateEndpoint(t.Context(), "acme", kept.ID, func(e *webhook.Endpoint) error {
			e.URL = url
			return nil
		})
		return err
	}
	d := b.delivery()
	require.NoError(t, standby.Stop())
	requireCode(t, webhook.CodeUnavailable, moved("https://undone.example"))
	at := now()
	undone := &webhook.Endpoint{ID: newEndpointID(), TenantID: "acme", URL: "https://receiver.example", EventTypes: []string{"*"}, CreatedAt: at, UpdatedAt: at}
	requireCode(t, webhook.CodeUnavailable, b.CreateEndpoint(t.Context(), undone, webhook.NewSecret([]byte("undone")), 0, nil))
	_, err := b.Accept(t.Context(), publication("acme", ""))
	requireCode(t, webhook.CodeUnavailable, err)
	sending, err := b.Sending(t.Context(), target("acme", d))
	require.NoError(t, err)
	require.Equal(t, "https://undone.example", sending.Endpoint.URL, "the primary has it")

	require.NoError(t, standby.LosePrimary())
	require.NoError(t, standby.Start(t.Context()))
	require.NoError(t, standby.Promote(t.Context()))
	require.Eventually(t, func() bool { return moved("https://moved.example") == nil }, 30*time.Second, 10*time.Millisecond)
	added := b.endpoint("acme")
	r := b.publish(publication("acme", ""))
	require.Len(t, r.Deliveries, 2)
	require.Equal(t, []webhook.EndpointID{kept.ID, added.ID}, []webhook.EndpointID{r.Deliveries[0].EndpointID, r.Deliveries[1].EndpointID})
	sending, err = b.Sending(t.Context(), target("acme", d))
	require.NoError(t, err)
	require.Equal(t, "https://moved.example", sending.Endpoint.URL)
}
