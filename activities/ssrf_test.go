package activities_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"waybill/activities"
	"waybill/webhook"
)

// ssrfCase is a line of testdata/ssrf.txt.
type ssrfCase struct {
	url string
	// name says that only what the host resolves to is wrong.
	name bool
}

func ssrfCases(t *testing.T, port string) []ssrfCase {
	t.Helper()
	text, err := os.ReadFile("testdata/ssrf.txt")
	require.NoError(t, err)
	var all []ssrfCase
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		kind, quoted, _ := strings.Cut(strings.TrimSpace(line), " ")
		url, err := strconv.Unquote(strings.TrimSpace(quoted))
		require.NoError(t, err, line)
		require.Contains(t, []string{"refused", "name"}, kind)
		all = append(all, ssrfCase{strings.ReplaceAll(url, "{port}", port), kind == "name"})
	}
	require.GreaterOrEqual(t, len(all), 200)
	return all
}

// startCanary starts a service that nobody may call, at one port of every loopback address, with TLS and without. It counts
// connections.
func startCanary(t *testing.T) (port string, conns *atomic.Int64) {
	t.Helper()
	first, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err = net.SplitHostPort(first.Addr().String())
	require.NoError(t, err)
	listeners := []net.Listener{first}
	if second, err := net.Listen("tcp6", "[::1]:"+port); err == nil { // where there is IPv6
		listeners = append(listeners, second)
	}
	conns = new(atomic.Int64)
	for _, l := range listeners {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		require.NoError(t, s.Listener.Close())
		s.Listener = l
		s.Config.ErrorLog = quiet
		s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				conns.Add(1)
			}
		}
		s.Start()
		t.Cleanup(s.Close)
	}
	return port, conns
}

// No URL leads inside, when an endpoint is created or when something is sent, directly or through a proxy: a service there
// counts no connection, and the proxy is asked for nothing. The name server is as hostile as can be: every name leads inside.
func TestSSRF(t *testing.T) {
	t.Parallel()
	portText, conns := startCanary(t)
	port, err := strconv.ParseUint(portText, 10, 16)
	require.NoError(t, err)
	through, asked := startProxy(t, nil)
	resolver := nameServer(t, map[string][][]string{
		"mixed.receiver.example": {{"127.0.0.1", "10.0.0.1", "::1", "fd00::1"}}, "v6.receiver.example": {{"::1"}},
		"mapped.receiver.example": {{"::ffff:127.0.0.1"}}, "*": {{"127.0.0.1"}},
	})
	rules := activities.AddressRules{Ports: []uint16{uint16(port), 80, 443}} // it is never the port that is refused
	limits := webhook.Limits{Dialect: plainDialect(), AllowHTTP: true, CheckAddress: func(host string, port uint16) error {
		return rules.Check("acme", host, port)
	}}
	for route, tr := range map[string]*activities.Transport{
		"direct":          transportWith(t, activities.TransportOptions{Rules: rules, Resolver: resolver}),
		"through a proxy": transportWith(t, activities.TransportOptions{Rules: rules, Resolver: resolver, Proxy: through}),
	} {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			cases := ssrfCases(t, portText)
			for i, out := range sendAll(t, tr, cases) {
				c := cases[i]
				e := webhook.Endpoint{URL: c.url, EventTypes: []string{"*"}}
				require.Equal(t, c.name, e.Validate(limits) == nil, "creation of %q", c.url)
				require.NoError(t, out.Fault, "%q", c.url)
				require.Zero(t, out.StatusCode, "%q", c.url)
				require.Contains(t, []webhook.ErrorClass{webhook.ErrorBlocked, webhook.ErrorDNS}, out.ErrorClass, "%q: %s", c.url, out.Error)
				require.Equal(t, c.name, c.name && out.ErrorClass == webhook.ErrorDNS, "%q: %s", c.url, out.Error)
				require.NotContains(t, out.Error, "127.0.0.1", "%q", c.url)
			}
		})
	}
	free := newTransport(t)
	t.Cleanup(func() { // after the subtests
		if n := conns.Load(); n != 0 {
			t.Errorf("%d connections arrived", n)
		}
		if n := asked.addresses(); len(n) != 0 {
			t.Errorf("the proxy was asked for %q", n)
		}
		free.Send(context.Background(), activities.Request{URL: "http://127.0.0.1:" + portText, Timeout: 2 * bounded})
		if conns.Load() == 0 {
			t.Error("the service counts no connections")
		}
	})
}

// sendAll sends to every URL, a few at a time, because a name that does not resolve takes its time.
func sendAll(t *testing.T, tr *activities.Transport, cases []ssrfCase) []activities.Response {
	t.Helper()
	answers := make([]activities.Response, len(cases))
	var group errgroup.Group
	group.SetLimit(32)
	for i, c := range cases {
		group.Go(func() error {
			answers[i] = tr.Send(t.Context(), activities.Request{Tenant: "acme", URL: c.url, Body: []byte("{}"), Timeout: 6 * bounded})
			return nil
		})
	}
	require.NoError(t, group.Wait())
	return answers
}
