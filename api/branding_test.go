package api_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/webhook"
)

func TestTenants_Branding(t *testing.T) {
	t.Parallel()
	w := newAuditWorld(t)
	const path = "/v1/tenants/acme"
	w.admin("POST", "/v1/tenants", `{"id":"acme","name":"A","dialect":"standard","branding":{"logo_url":"https://acme.example/logo.svg","accent_color":"#1a73E8"}}`).want(201)
	want := object{"logo_url": "https://acme.example/logo.svg", "accent_color": "#1a73E8"}
	require.Equal(t, want, into[object](w.admin("GET", path, "").want(200))["branding"])
	token := w.portal("acme", "")
	require.Equal(t, want, into[object](w.call(token, "GET", path, "").want(200))["branding"])
	require.Equal(t, object{"accent_color": "#000000"}, into[object](w.admin("PATCH", path, `{"branding":{"accent_color":"#000000"}}`).want(200))["branding"])
	require.NotContains(t, into[object](w.admin("PATCH", path, `{"branding":null}`).want(200)), "branding")
	for body, field := range map[string]string{
		`{"logo_url":"http://acme.example"}`: "branding.logo_url", `{"logo_url":"data:image/png;base64,AA"}`: "branding.logo_url",
		`{"logo_url":"https://u:p@acme.example"}`: "branding.logo_url", `{"accent_color":"red"}`: "branding.accent_color",
		`{"accent_color":"#fff"}`: "branding.accent_color", `{"accent_color":"#ffffff;}"}`: "branding.accent_color",
	} {
		require.Equal(t, []string{field}, w.admin("PATCH", path, `{"branding":`+body+`}`).problem(422, webhook.CodeInvalid).fields(), body)
	}
}
