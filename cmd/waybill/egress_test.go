package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/activities"
)

func TestConfig_EgressAllowCIDRs(t *testing.T) {
	t.Parallel()
	network := func(prefix string, port uint16, tenant string) activities.AllowedNetwork {
		return activities.AllowedNetwork{Prefix: netip.MustParsePrefix(prefix), Port: port, Tenant: tenant}
	}
	for text, want := range map[string]activities.AllowedNetwork{
		"10.0.0.0/8":                network("10.0.0.0/8", 0, ""),
		" 10.1.2.3/8 ":              network("10.0.0.0/8", 0, ""),
		"10.0.0.0/8:443":            network("10.0.0.0/8", 443, ""),
		"fd00::/8":                  network("fd00::/8", 0, ""),
		"[fd00::/8]":                network("fd00::/8", 0, ""),
		"[fd00::/8]:65535":          network("fd00::/8", 65535, ""),
		"fd00::/8:443":              network("fd00::/8", 443, ""),
		"acme@10.0.0.0/8":           network("10.0.0.0/8", 0, "acme"),
		"acme@10.0.0.0/8:443":       network("10.0.0.0/8", 443, "acme"),
		"acme-2@[fd00::/8]:443":     network("fd00::/8", 443, "acme-2"),
		"acme@192.168.1.7/32:9000 ": network("192.168.1.7/32", 9000, "acme"),
	} {
		s, err := parse(nil, good("WAYBILL_EGRESS_ALLOW_CIDRS=127.0.0.0/8,"+text))
		require.NoError(t, err, text)
		require.Equal(t, []activities.AllowedNetwork{network("127.0.0.0/8", 0, ""), want}, s.rules.Allow, text)
	}
	for _, text := range []string{
		"10.0.0.0", "10.0.0.0/33", "10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/8:http", "10.0.0.0/8:-1", "10.0.0.0/8:443:443", "10.0.0.0:443/8",
		"[10.0.0.0/8", "10.0.0.0/8]", "[fd00::/8]443", "[fd00::/8]:", "[fd00::/8]::443", "[]", "[]:443", "::ffff:10.0.0.0/104", "fe80::%lo/64",
		"@10.0.0.0/8", "Acme@10.0.0.0/8", "a@b@10.0.0.0/8", "acme@", "acme", ",", strings.Repeat("10.0.0.0/8,", 1001) + "10.0.0.0/8",
	} {
		_, err := parse(nil, good("WAYBILL_EGRESS_ALLOW_CIDRS="+text))
		require.ErrorContains(t, err, "WAYBILL_EGRESS_ALLOW_CIDRS", text)
	}
	s, err := parse(nil, good("WAYBILL_EGRESS_ALLOW_CIDRS="+strings.Repeat("10.0.0.0/8,", 999)+"10.0.0.0/8"))
	require.NoError(t, err)
	require.Len(t, s.rules.Allow, 1000)
}

func TestConfig_EgressAddresses(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, good("WAYBILL_EGRESS_ADDRESSES=203.0.113.7, 203.0.113.17/28,2001:db8::7"))
	require.NoError(t, err)
	require.Equal(t, []netip.Prefix{
		netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("203.0.113.16/28"), netip.MustParsePrefix("2001:db8::7/128"),
	}, s.rules.Own)
	for _, text := range []string{"waybill.example", "203.0.113.7:443", "::ffff:203.0.113.7", "fe80::1%lo", ",", strings.Repeat("203.0.113.7,", 100) + "203.0.113.7"} {
		_, err := parse(nil, good("WAYBILL_EGRESS_ADDRESSES="+text))
		require.ErrorContains(t, err, "WAYBILL_EGRESS_ADDRESSES", text)
	}
}

// The proxy's URL has a password, which no error shows.
func TestConfig_EgressProxy(t *testing.T) {
	t.Parallel()
	s, err := parse(nil, good())
	require.NoError(t, err)
	require.Nil(t, s.proxy)
	for text, password := range map[string]string{
		"http://waybill:hush%2Fhush@proxy.internal:3128": "hush/hush", "https://waybill:hush@10.0.0.1/": "hush", "http://[fd00::1]:3128": "",
	} {
		s, err := parse(nil, good("WAYBILL_EGRESS_PROXY="+text))
		require.NoError(t, err)
		got, _ := s.proxy.User.Password()
		require.Equal(t, password, got)
	}
	s, err = parse(nil, good("WAYBILL_EGRESS_PROXY_FILE="+secretFile(t, "http://u:hush@proxy.internal:3128\n")))
	require.NoError(t, err)
	require.Equal(t, "proxy.internal:3128", s.proxy.Host)
	for _, text := range []string{
		"proxy.internal:3128", "socks5://u:hush@proxy.internal", "http://u:hush/hush@proxy.internal", "http://u:hush%hush@proxy.internal", "http://u:hush@",
		"http://u:hush@proxy.internal/path", "http://u:hush@proxy.internal?a=b", "http://u:hush@proxy.internal#a", "http://u:hush@proxy.internal:0",
		"http://u:hush@proxy.internal:65536", "http://u:hush@proxy.internal:hush",
	} {
		_, err := parse(nil, good("WAYBILL_EGRESS_PROXY="+text))
		require.ErrorContains(t, err, "WAYBILL_EGRESS_PROXY", text)
		require.NotContains(t, err.Error(), "hush")
	}
}
