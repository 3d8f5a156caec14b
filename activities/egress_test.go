package activities_test

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

// portOf returns the port of a receiver's URL.
func portOf(t *testing.T, address string) uint16 {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	require.NoError(t, err)
	return uint16(port)
}

// transportWith returns a transport of its own for a test.
func transportWith(t *testing.T, o activities.TransportOptions) *activities.Transport {
	t.Helper()
	tr, err := activities.NewTransport(o)
	require.NoError(t, err)
	t.Cleanup(tr.CloseIdle)
	return tr
}

// A network can be allowed on one port, and to one tenant. No other tenant may use that tenant's connections either.
func TestTransport_Send_limitsAllowedNetworks(t *testing.T) {
	t.Parallel()
	open, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	closed, closedConns := serve(t, func(http.ResponseWriter, *http.Request) {})
	for name, network := range map[string]activities.AllowedNetwork{
		"one port":                {Prefix: netip.MustParsePrefix("127.0.0.0/8"), Port: portOf(t, open.URL)},
		"one port and one tenant": {Prefix: netip.MustParsePrefix("127.0.0.1/32"), Port: portOf(t, open.URL), Tenant: "acme"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := activities.AddressRules{Allow: []activities.AllowedNetwork{network}}
			tr := transportWith(t, activities.TransportOptions{Rules: rules})
			send := func(tenant, url string) activities.Response {
				return tr.Send(t.Context(), activities.Request{Tenant: tenant, URL: url, Timeout: 2 * bounded})
			}
			for range 2 { // the second time there is an open connection
				require.Equal(t, 200, send("acme", open.URL).StatusCode)
				require.Equal(t, webhook.ErrorBlocked, send("acme", closed.URL).ErrorClass)
				others := send("other", open.URL)
				require.Equal(t, network.Tenant != "", others.ErrorClass == webhook.ErrorBlocked, others.Error)
				require.Equal(t, network.Tenant == "", others.StatusCode == 200)
			}
			for _, host := range []string{"127.0.0.1", "localhost"} {
				require.NoError(t, rules.Check("acme", host, portOf(t, open.URL)))
				require.Error(t, rules.Check("acme", host, portOf(t, closed.URL)))
				require.Equal(t, network.Tenant == "", rules.Check("other", host, portOf(t, open.URL)) == nil)
			}
			require.NoError(t, rules.Check("acme", "r.example", portOf(t, open.URL)), "it may resolve into the network")
			require.ErrorContains(t, rules.Check("acme", "r.example", portOf(t, closed.URL)), "has the port")
			require.Equal(t, network.Tenant == "", rules.Check("other", "r.example", portOf(t, open.URL)) == nil)
		})
	}
	t.Cleanup(func() { // after the subtests
		if n := closedConns.Load(); n != 0 {
			t.Errorf("%d connections arrived", n)
		}
	})
}

// The addresses of this installation are no receivers, unless they are allowed: a service there may trust its own machine.
func TestTransport_Send_doesNotCallItself(t *testing.T) {
	t.Parallel()
	var reads atomic.Int32
	machine, err := activities.NewMachine(func() ([]net.Addr, error) {
		reads.Add(1)
		return []net.Addr{
			&net.IPNet{IP: net.IPv4(8, 8, 4, 4), Mask: net.CIDRMask(24, 32)}, &net.IPAddr{IP: net.ParseIP("2606:4700::64")},
			&net.IPNet{IP: net.ParseIP("fe80::1"), Mask: net.CIDRMask(64, 128)},
		}, nil
	})
	require.NoError(t, err)
	rules := activities.AddressRules{Machine: machine, Own: []netip.Prefix{netip.MustParsePrefix("9.9.9.0/28")}}
	tr := transportWith(t, activities.TransportOptions{Rules: rules})
	for _, host := range []string{"8.8.4.4", "[2606:4700::64]", "9.9.9.9", "9.9.9.0"} {
		out := tr.Send(t.Context(), activities.Request{URL: "https://" + host + "/", Timeout: 2 * bounded})
		require.Equal(t, webhook.ErrorBlocked, out.ErrorClass, out.Error)
		require.Equal(t, "the host's address is private or reserved, which this Waybill must not call", out.Error)
		require.ErrorContains(t, rules.Check("acme", host, 443), "private or reserved")
	}
	for _, host := range []string{"8.8.4.5", "2606:4700::65", "9.9.9.16"} {
		require.NoError(t, rules.Check("acme", host, 443))
	}
	rules.Allow = allowed("8.8.4.4/32")
	require.NoError(t, rules.Check("acme", "8.8.4.4", 443))
	require.EqualValues(t, 1, reads.Load(), "the list is not read for each connection")
}

func TestNewMachine(t *testing.T) {
	t.Parallel()
	_, err := activities.NewMachine(nil)
	require.NoError(t, err)
	_, err = activities.NewMachine(func() ([]net.Addr, error) { return nil, errors.New("no such device") })
	require.ErrorContains(t, err, "read the addresses of this machine: no such device")
}

// A tenant cannot find out which names exist inside the operator's network: a name that resolves to private addresses looks
// like one that does not resolve, by class, text, and the time it takes.
func TestTransport_Send_hidesPrivateNames(t *testing.T) {
	t.Parallel()
	canary, conns := serve(t, func(http.ResponseWriter, *http.Request) {})
	port := portOf(t, canary.URL)
	resolver := nameServer(t, map[string][][]string{
		"private.example": {{"127.0.0.1"}}, "both.example": {{"127.0.0.1", "::1"}}, "ten.example": {{"10.0.0.1", "fd00::1", "169.254.169.254"}},
		"mapped.example": {{"::ffff:127.0.0.1"}}, "empty.example": {{}}, "public.example": {{"8.8.8.8"}}, "own.example": {{"9.9.9.9"}},
	})
	rules := activities.AddressRules{Ports: []uint16{port}, Own: []netip.Prefix{netip.MustParsePrefix("9.9.9.9/32")}}
	through, _ := startProxy(t, nil)
	for route, tr := range map[string]*activities.Transport{
		"direct":          transportWith(t, activities.TransportOptions{Rules: rules, Resolver: resolver}),
		"through a proxy": transportWith(t, activities.TransportOptions{Rules: rules, Resolver: resolver, Proxy: through}),
	} {
		for _, host := range []string{"missing.example", "empty.example", "private.example", "both.example", "ten.example", "mapped.example", "own.example"} {
			for _, scheme := range []string{"http", "https"} {
				t.Run(route+" "+scheme+" "+host, func(t *testing.T) {
					t.Parallel()
					out := tr.Send(t.Context(), activities.Request{URL: scheme + "://" + host + ":" + strconv.Itoa(int(port)) + "/", Timeout: 2 * bounded})
					require.NoError(t, out.Fault)
					require.Equal(t, webhook.ErrorDNS, out.ErrorClass, out.Error)
					require.Equal(t, "the host name does not resolve to an address that this Waybill may call", out.Error)
					require.GreaterOrEqual(t, out.Duration, 250*time.Millisecond)
				})
			}
		}
		t.Run(route+" a public name on another port", func(t *testing.T) {
			t.Parallel()
			out := tr.Send(t.Context(), activities.Request{URL: "http://public.example:25/", Timeout: 2 * bounded})
			require.Equal(t, "port 25 is not one that this Waybill may call", out.Error)
		})
	}
	t.Cleanup(func() { // after the subtests
		if n := conns.Load(); n != 0 {
			t.Errorf("%d connections arrived", n)
		}
	})
}

// A name may change where it leads to, between two requests and between the check and the connection.
func TestTransport_Send_rebinding(t *testing.T) {
	t.Parallel()
	s, conns := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") })
	resolver := nameServer(t, map[string][][]string{
		"r.example": {{"127.0.0.1"}, {"127.0.0.2"}}, "mixed.example": {{"127.0.0.2", "127.0.0.1"}},
	})
	through, tunnels := startProxy(t, nil)
	for _, proxy := range []*url.URL{nil, through} {
		tr := transportWith(t, activities.TransportOptions{Rules: activities.AddressRules{Allow: allowed("127.0.0.1/32")}, Resolver: resolver, Proxy: proxy})
		send := func(host string) activities.Response {
			return tr.Send(t.Context(), activities.Request{URL: "http://" + host + ":" + strconv.Itoa(int(portOf(t, s.URL))) + "/", Timeout: 2 * bounded})
		}
		if proxy == nil {
			require.Equal(t, 200, send("r.example").StatusCode)
		}
		require.Equal(t, webhook.ErrorDNS, send("r.example").ErrorClass, "it leads elsewhere now")
		require.Equal(t, 200, send("mixed.example").StatusCode, "the address that is allowed is used")
	}
	require.EqualValues(t, 3, conns.Load())
	require.Equal(t, []string{s.Listener.Addr().String()}, tunnels.addresses())
}
