package api_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/webhook/certtest"
)

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// Credentials are written and never shown, but for their type and the end of a certificate.
func TestEndpoints_Auth(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme", "standard")
	const path = "/v1/tenants/acme/endpoints"
	a := b.admin("POST", path, `{"url":"https://r.example/a","event_types":["*"],"auth":{"type":"basic","username":"hush","password":"hush"}}`).want(201)
	require.NotContains(t, string(a.body), "hush")
	require.Equal(t, object{"type": "basic"}, into[object](a)["auth"])
	where := a.header.Get("Location")
	patch := func(body any, status int) object {
		t.Helper()
		a := b.admin("PATCH", where, asJSON(t, body)).want(status)
		require.NotContains(t, string(a.body), "hush")
		return into[object](a)
	}
	require.Equal(t, object{"type": "basic"}, patch(object{"description": "d"}, 200)["auth"])
	until := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	certificate, key := certtest.NewAuthority(t).Issue(t, "x", time.Now().Add(-time.Hour), until)
	got := patch(object{"auth": object{"type": "mtls", "certificate": certificate, "key": key}}, 200)
	require.Equal(t, object{"type": "mtls"}, got["auth"])
	require.Equal(t, "2027-01-02T03:04:05Z", got["certificate_expires_at"])
	a = b.admin("GET", where, "").want(200)
	require.NotContains(t, string(a.body), "BEGIN")

	for _, body := range []object{
		{"auth": object{"type": "bearer", "token": "hush hush"}}, {"auth": object{"type": "bearer", "secret": "hush"}}, {"auth": "hush"},
		{"auth": object{"type": "oauth2", "token_url": "http://login.example/t", "client_id": "hush", "client_secret": "hush"}},
		{"url": "https://other.example/a"},
	} {
		require.Equal(t, "invalid", patch(body, 422)["code"], "%v", body)
	}
	got = patch(object{"url": "https://other.example/a", "auth": object{"type": "bearer", "token": "hush"}}, 200)
	require.Equal(t, object{"type": "bearer"}, got["auth"])
	require.NotContains(t, got, "certificate_expires_at")
	got = patch(object{"auth": nil}, 200)
	require.NotContains(t, got, "auth")
}
