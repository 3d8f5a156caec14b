package activities_test

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

func TestTransport_Send_refusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	s, conns := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, portText, err := net.SplitHostPort(s.Listener.Addr().String())
	require.NoError(t, err)
	port, err := strconv.ParseUint(portText, 10, 16)
	require.NoError(t, err)
	// The port is allowed, so that only the address can be what is refused.
	tr, err := activities.NewTransport(activities.TransportOptions{Rules: activities.AddressRules{Ports: []uint16{uint16(port)}}})
	require.NoError(t, err)

	for _, host := range []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
		"169.254.169.254", "192.0.0.192", "198.18.0.1", "203.0.113.7", "224.0.0.1", "255.255.255.255",
		"[::]", "[::1]", "[fe80::1%25lo]", "[fc00::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]",
		"[64:ff9b::7f00:1]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2001::1]", "[2001:db8::1]", "[2606:4700::1%25lo]",
	} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			for _, scheme := range []string{"http", "https"} {
				out := tr.Send(t.Context(), activities.Request{URL: scheme + "://" + host + ":" + portText + "/", Timeout: 10 * time.Second})
				require.Equal(t, webhook.ErrorBlocked, out.ErrorClass, out.Error)
				require.Equal(t, "the host's address is private or reserved, which this Waybill must not call", out.Error)
			}
		})
	}
	t.Cleanup(func() { // after the subtests
		if n := conns.Load(); n != 0 {
			t.Errorf("%d connections arrived", n)
		}
	})
}

func TestTransport_Send_limitsPorts(t *testing.T) {
	t.Parallel()
	tr, err := activities.NewTransport(activities.TransportOptions{Rules: activities.AddressRules{Ports: []uint16{444}}})
	require.NoError(t, err)
	// A public address; the guard refuses the port before anything leaves this machine.
	out := tr.Send(t.Context(), activities.Request{URL: "http://8.8.8.8:25/", Timeout: 10 * time.Second})
	require.Equal(t, webhook.ErrorBlocked, out.ErrorClass)
	require.Equal(t, "port 25 is not one that this Waybill may call", out.Error)
}

func TestTransport_Send_allowsWhatTheOperatorNames(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	for _, allow := range []string{"127.0.0.0/8", "127.0.0.1/32"} {
		tr, err := activities.NewTransport(activities.TransportOptions{Rules: activities.AddressRules{Allow: allowed(allow)}})
		require.NoError(t, err)
		out := tr.Send(t.Context(), activities.Request{URL: s.URL, Timeout: 10 * time.Second})
		require.Equal(t, 200, out.StatusCode, "a port that is not listed, within an allowed network: %s", out.Error)
		tr.CloseIdle()
		out = tr.Send(t.Context(), activities.Request{URL: "http://10.0.0.1:8080", Timeout: 10 * time.Second})
		require.Equal(t, webhook.ErrorBlocked, out.ErrorClass)
	}
}

func TestAddressRules_Check(t *testing.T) {
	t.Parallel()
	const private = "private or reserved address (127.0.0.1), which this Waybill must not call"
	for host, want := range map[string]string{
		"example.com": "", "example.com.": "", "xn--bcher-kva.example": "", "a_b.example": "", "8.8.8.8": "", "2606:4700::1": "",
		"123.example": "", "localhost.example": "", "0x7f.example": "", "face.example.0xyz": "",

		"127.0.0.1": private, "2130706433": private, "0x7f.1": private, "0x7f000001": private, "0X7F.0.0.0x1": private,
		"127.1": private, "127.0.1": private, "0177.0.0.1": private, "017700000001": private, "127.0.0.1.": private,
		"[::ffff:127.0.0.1]": private, "::ffff:7f00:1": private,
		"10.0.0.1": "(10.0.0.1)", "169.254.169.254": "(169.254.169.254)", "2852039166": "(169.254.169.254)", "0": "(0.0.0.0)",
		"::1": "(::1)", "[::1]": "(::1)", "::": "(::)", "fd00::1": "(fd00::1)", "64:ff9b::7f00:1": "reserved", "2002:7f00:1::": "reserved",
		"fe80::1%lo": "zone", "2606:4700::1%eth0": "zone",
		"localhost": "this machine itself", "LocalHost.": "this machine itself", "a.localhost": "this machine itself", "ip6-loopback": "this machine itself",
		"134744072": "write it as 8.8.8.8", "8.8.2056": "write it as 8.8.8.8", "::ffff:8.8.8.8": "write it as 8.8.8.8",
		"1.2.3.4.5": "neither", "1.2.3.256": "neither", "256.1": "neither", "99999999999": "neither", "99999999999999999999999": "neither",
		"08.8.8.8": "write it as 8.8.8.8", "": "neither", ".": "neither", "a..b": "neither", "bücher.example": "write it as xn--bcher-kva.example", "BÜCHER.example.": "write it as xn--bcher-kva.example",
		"127。0。0。1": "neither", "１２７.0.0.1": "neither", "a b": "neither", "127.0.0.1%00": "neither", "x%00": "neither",
		strings.Repeat("a", 63) + ".example": "", strings.Repeat("a", 64) + ".example": "more than 63 bytes between two dots",
		strings.Repeat("a.", 126) + "b": "", strings.Repeat("a.", 127) + "b": "a host of 255 bytes",
	} {
		err := activities.AddressRules{}.Check("acme", host, 443)
		if want == "" {
			require.NoError(t, err, host)
		} else {
			require.ErrorContains(t, err, want, host)
		}
	}
}

func TestAddressRules_Check_allowsWhatTheOperatorNames(t *testing.T) {
	t.Parallel()
	allow := allowed("127.0.0.0/8", "fd00::/8")
	for _, host := range []string{"127.0.0.1", "localhost", "a.localhost.", "fd00::1"} {
		require.NoError(t, activities.AddressRules{Allow: allow}.Check("acme", host, 9000), host)
	}
	for _, host := range []string{"10.0.0.1", "::1", "fd00::1%lo", "::ffff:127.0.0.1", "2130706433"} {
		require.Error(t, activities.AddressRules{Allow: allow}.Check("acme", host, 9000), host)
	}
}

func TestAddressRules_Check_ports(t *testing.T) {
	t.Parallel()
	inside := allowed("10.0.0.0/8")
	for _, c := range []struct {
		host  string
		port  uint16
		rules activities.AddressRules
		text  string
	}{
		{"r.example", 8443, activities.AddressRules{}, ""},
		{"r.example", 25, activities.AddressRules{}, "has the port 25, which this Waybill may not call; it may call 80 443 8080 8443"},
		{"r.example", 443, activities.AddressRules{Ports: []uint16{444}}, "it may call 444"},
		{"8.8.8.8", 25, activities.AddressRules{}, "has the port 25"},
		{"8.8.8.8", 25, activities.AddressRules{Allow: inside}, "has the port 25"},
		{"10.1.2.3", 25, activities.AddressRules{Allow: inside}, ""},
		{"r.example", 25, activities.AddressRules{Allow: inside}, ""}, // it may resolve into the operator's network
		{"2606:4700::1", 25, activities.AddressRules{}, "has the port 25"},
	} {
		err := c.rules.Check("acme", c.host, c.port)
		if c.text == "" {
			require.NoError(t, err, c.host)
		} else {
			require.ErrorContains(t, err, c.text, c.host)
		}
	}
}
