package postgres_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
	"waybill/webhook/certtest"
)

// Credentials come back as they were, are sealed, and go with the endpoint.
func TestEndpoint_Auth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	auth := (&webhook.AuthText{Type: "oauth2", TokenURL: "https://login.example/t", ClientID: "client-hunter2", ClientSecret: "hunter2"}).Auth()
	e := b.endpoint("acme", func(e *webhook.Endpoint) { e.Auth = auth })
	got, err := b.Endpoint(t.Context(), "acme", e.ID)
	require.NoError(t, err)
	require.Equal(t, auth, got.Auth)
	require.Zero(t, b.count(`SELECT count(*) FROM endpoints x WHERE x::text ~ 'hunter2|login' OR encode(auth_sealed, 'escape') ~ 'hunter2|login'`))

	b.publish(publication("acme", "evt_1"))
	sent, err := b.Sending(t.Context(), target("acme", b.delivery()))
	require.NoError(t, err)
	require.Equal(t, auth, sent.Endpoint.Auth)

	got, err = b.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error {
		e.Description = "another"
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, auth, got.Auth, "another change keeps them")
	changed := (&webhook.AuthText{Type: "bearer", Token: "hunter3"}).Auth()
	_, err = b.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error {
		e.Auth = changed
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM audit WHERE action = 'endpoint.updated' AND before->'auth'->>'type' = 'oauth2' AND after->'auth'->>'type' = 'bearer'`))
	require.Zero(t, b.count(`SELECT count(*) FROM audit x WHERE x::text ~ 'hunter|login'`))
	sent, err = b.Sending(t.Context(), target("acme", b.delivery()))
	require.NoError(t, err)
	require.Equal(t, changed, sent.Endpoint.Auth)

	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM endpoints WHERE auth_sealed IS NULL`))
}

func certified(t *testing.T, from, until time.Time) func(*webhook.Endpoint) {
	certificate, key := certtest.NewAuthority(t).Issue(t, "x", from, until)
	return func(e *webhook.Endpoint) {
		e.Auth = (&webhook.AuthText{Type: "mtls", Certificate: certificate, Key: key}).Auth()
		e.CertificateExpiresAt = &until
	}
}

// The operator is told of each end three times, once each however many processes look, and not again because of another change.
func TestWarnOfCertificates(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.OperatorTenant = "ops" })
	b.tenant("ops")
	b.tenant("acme")
	const day = 24 * time.Hour
	from := now().Truncate(time.Second)
	until := from.Add(100 * day)
	e := b.endpoint("acme", certified(t, from, until))
	b.endpoint("acme", certified(t, from, from.Add(1000*day)))
	b.endpoint("acme")
	gone := b.endpoint("acme", certified(t, from, until))
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", gone.ID, now()))
	warn := func(at time.Time) []store.ExpiringCertificate {
		t.Helper()
		warned, err := b.WarnOfCertificates(t.Context(), at, 10)
		require.NoError(t, err)
		return warned
	}
	told := []store.ExpiringCertificate{{EndpointRef: store.EndpointRef{TenantID: "acme", ID: e.ID}, ExpiresAt: until}}
	require.Empty(t, warn(until.Add(-31*day)))
	require.Equal(t, told, warn(until.Add(-30*day)))
	require.Empty(t, warn(until.Add(-8*day)))

	var processes sync.WaitGroup
	results := make([][]store.ExpiringCertificate, 4)
	for i := range results {
		processes.Go(func() { results[i], _ = b.WarnOfCertificates(t.Context(), until.Add(-7*day), 10) })
	}
	processes.Wait()
	n := 0
	for _, r := range results {
		n += len(r)
	}
	require.Equal(t, 1, n)
	update := func(change func(*webhook.Endpoint)) {
		t.Helper()
		_, err := b.UpdateEndpoint(t.Context(), "acme", e.ID, func(e *webhook.Endpoint) error {
			change(e)
			return nil
		})
		require.NoError(t, err)
	}
	update(func(e *webhook.Endpoint) { e.Description = "another" })
	require.Empty(t, warn(until.Add(-7*day)))
	require.Equal(t, told, warn(until.Add(-day)))
	require.Empty(t, warn(until.Add(day)))
	require.Equal(t, map[string]int{"endpoint.certificate_expiring": 3}, b.fitting())

	update(certified(t, from, from.Add(200*day))) // renewed
	require.Empty(t, warn(from.Add(169*day)))
	require.Len(t, warn(from.Add(170*day)), 1)
	update(func(e *webhook.Endpoint) { e.Auth, e.CertificateExpiresAt = nil, nil })
	require.Empty(t, warn(from.Add(199*day)))
}
