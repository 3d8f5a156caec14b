package api_test

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/api"
	"waybill/webhook"
)

// Receivers learn where deliveries come from, whoever's key is used.
func TestServer_GetEgress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, object{"addresses": []any{}}, into[object](b.admin("GET", "/v1/egress", "").want(200)))
	b = setup(t, func(o *api.Options) {
		o.EgressAddresses = []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("203.0.113.16/28"), netip.MustParsePrefix("2001:db8::7/128")}
	})
	got := b.call(b.key("acme", webhook.ScopePublish), "GET", "/v1/egress", "").want(200)
	require.Equal(t, object{"addresses": []any{"203.0.113.7", "203.0.113.16/28", "2001:db8::7"}}, into[object](got))
}
