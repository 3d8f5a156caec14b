package activities_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

// tunnels is what a proxy was asked for.
type tunnels struct {
	mu  sync.Mutex
	all []*http.Request
}

func (p *tunnels) add(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, r)
}

func (p *tunnels) addresses() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []string
	for _, r := range p.all {
		all = append(all, r.Host)
	}
	return all
}

func (p *tunnels) first() *http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all[0]
}

// startProxy starts a proxy that connects wherever it is told to. secure makes it speak TLS.
func startProxy(t *testing.T, secure func(*httptest.Server)) (*url.URL, *tunnels) {
	t.Helper()
	asked := new(tunnels)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.add(r)
		to, err := net.DialTimeout("tcp", r.Host, bounded)
		if r.Method != http.MethodConnect || err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer to.Close()
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer from.Close()
		_, _ = io.WriteString(from, "HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n")
		go func() {
			defer from.Close() // ends the copy below
			_, _ = io.Copy(from, to)
		}()
		_, _ = io.Copy(to, from)
	}))
	s.Config.ErrorLog = quiet
	if secure != nil {
		s.StartTLS()
		secure(s)
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	require.NoError(t, err)
	return u, asked
}

// Everything goes through the proxy, which gets an address and the credentials. Its connections are kept like others.
func TestTransport_Send_throughProxy(t *testing.T) {
	t.Parallel()
	const password = "p@ss:/word"
	for _, overTLS := range []bool{false, true} {
		t.Run("TLS "+strconv.FormatBool(overTLS), func(t *testing.T) {
			t.Parallel()
			plain, plainConns := serve(t, func(http.ResponseWriter, *http.Request) {})
			secure := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Proto", r.Proto)
				w.Header().Set("X-Password", r.Header.Get("Proxy-Authorization"))
			})
			o := activities.TransportOptions{
				Rules: activities.AddressRules{Allow: loopback}, RootCAs: certificateOf(secure), Resolver: nameServer(t, map[string][][]string{"example.com": {{"127.0.0.1"}}}),
			}
			var trust func(*httptest.Server)
			if overTLS {
				trust = func(s *httptest.Server) { o.RootCAs = append(o.RootCAs, certificateOf(s)...) }
			}
			at, asked := startProxy(t, trust)
			at.User = url.UserPassword("waybill", password)
			o.Proxy = at
			tr := transportWith(t, o)
			port := strconv.Itoa(int(portOf(t, secure.URL)))
			for range 3 {
				require.Equal(t, 200, tr.Send(t.Context(), activities.Request{URL: plain.URL, Timeout: 2 * bounded}).StatusCode)
				out := tr.Send(t.Context(), activities.Request{URL: "https://example.com:" + port, Timeout: 2 * bounded})
				require.Equal(t, 200, out.StatusCode, out.Error)
				require.Equal(t, "HTTP/2.0", out.Headers.Get("X-Proto"))
				require.Empty(t, out.Headers.Get("X-Password"), "it is for the proxy only")
			}
			require.Equal(t, []string{plain.Listener.Addr().String(), "127.0.0.1:" + port}, asked.addresses(), "a tunnel each, to addresses")
			require.EqualValues(t, 1, plainConns.Load())
			want := "Basic " + base64.StdEncoding.EncodeToString([]byte("waybill:"+password))
			first := asked.first()
			require.Equal(t, want, first.Header.Get("Proxy-Authorization"))
			require.Equal(t, "Waybill", first.UserAgent())
		})
	}
}

// The receiver's certificate is verified behind the proxy too.
func TestTransport_Send_throughProxyVerifies(t *testing.T) {
	t.Parallel()
	secure := serveTLS(t, func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") })
	at, _ := startProxy(t, nil)
	tr := transportWith(t, activities.TransportOptions{Rules: activities.AddressRules{Allow: loopback}, Proxy: at})
	out := tr.Send(t.Context(), activities.Request{URL: secure.URL, Timeout: 2 * bounded})
	require.Equal(t, webhook.ErrorTLS, out.ErrorClass, out.Error)
}

// What the proxy itself does wrong is no failure of the receiver; what it says of the receiver is.
func TestTransport_Send_proxyFails(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	secure := serveTLS(t, func(http.ResponseWriter, *http.Request) {})
	says := func(text string) string {
		u, _ := serveRaw(t, func(conn *net.TCPConn, _ *bufio.Reader) { _, _ = io.WriteString(conn, text) })
		return u[:len(u)-len("/hook")]
	}
	hangs, _ := serveRaw(t, func(_ *net.TCPConn, r *bufio.Reader) { _, _ = r.ReadByte() })
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never speaks TLS
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	for name, c := range map[string]struct {
		proxy, fault string
		class        webhook.ErrorClass
		text         string
		timeout      time.Duration
	}{
		"it is not there":               {proxy: gone, fault: "the egress proxy cannot be reached"},
		"its certificate is unknown":    {proxy: secure.URL, fault: "the egress proxy cannot be spoken to: the TLS handshake failed"},
		"it hangs before the handshake": {proxy: "https://" + silent.Addr().String(), fault: "the egress proxy cannot be reached", timeout: 300 * time.Millisecond},
		"it does not know us":           {proxy: says("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"), fault: "the egress proxy refuses the credentials in WAYBILL_EGRESS_PROXY"},
		"it is no proxy":                {proxy: says("220 mail.example ESMTP\r\n"), fault: "the egress proxy does not answer in HTTP"},
		"it sends endless headers":      {proxy: says("HTTP/1.1 200 OK\r\nX: " + string(make([]byte, 20<<10))), fault: "the egress proxy does not answer in HTTP"},
		"it says too much":              {proxy: says("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), fault: "the egress proxy sent more than its answer"},
		"it cannot connect":             {proxy: says("HTTP/1.1 502 Bad Gateway\r\n\r\n"), class: webhook.ErrorConnect, text: "the egress proxy did not connect to the receiver (it answered 502)"},
		"its rules forbid it":           {proxy: says("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nnope"), class: webhook.ErrorConnect, text: "it answered 403"},
		"it hangs up":                   {proxy: says(""), class: webhook.ErrorConnect, text: "the egress proxy closed the connection instead of connecting"},
		"the receiver hangs":            {proxy: hangs[:len(hangs)-len("/hook")], class: webhook.ErrorTimeout, text: "no complete answer within 2s", timeout: 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, err := url.Parse(c.proxy)
			require.NoError(t, err)
			at.User = url.UserPassword("waybill", "s3cret")
			tr := transportWith(t, activities.TransportOptions{Rules: activities.AddressRules{Allow: loopback}, Proxy: at})
			if c.timeout == 0 {
				c.timeout = 2 * bounded
			}
			for _, to := range []string{"http://127.0.0.1:9/", "https://127.0.0.1:9/"} {
				out := tr.Send(t.Context(), activities.Request{URL: to, Timeout: c.timeout})
				if c.fault != "" {
					require.EqualError(t, out.Fault, c.fault)
					require.Empty(t, out.ErrorClass)
					continue
				}
				require.NoError(t, out.Fault)
				require.Equal(t, c.class, out.ErrorClass)
				require.Contains(t, out.Error, c.text)
			}
		})
	}
}

// A request that got the connection of another one is with the receiver, though the dial for it still waits for the proxy.
func TestTransport_Send_overAnotherConnection(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	release, arrived, done := make(chan struct{}), make(chan struct{}, 1), make(chan struct{})
	receiver, _ := serve(t, func(http.ResponseWriter, *http.Request) {
		if requests.Add(1) == 1 {
			<-release // keeps the only connection until the second request has begun to dial
			return
		}
		arrived <- struct{}{}
		<-done
	})
	t.Cleanup(func() { close(done) })
	answerFirst := sync.OnceFunc(func() { close(release) })
	t.Cleanup(answerFirst)
	up, _ := startProxy(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0") // a proxy over TLS that makes one handshake and then hangs
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	certified := serveTLS(t, nil)
	second := make(chan net.Conn, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go splice(tls.Server(conn, &tls.Config{Certificates: certified.TLS.Certificates, NextProtos: []string{"http/1.1"}}), up.Host)
		if conn, err = l.Accept(); err == nil {
			second <- conn
		}
	}()
	tr := transportWith(t, activities.TransportOptions{
		Rules: activities.AddressRules{Allow: loopback}, RootCAs: certificateOf(certified), Proxy: &url.URL{Scheme: "https", Host: l.Addr().String()},
	})
	first := make(chan activities.Response, 1)
	go func() { first <- tr.Send(t.Context(), activities.Request{URL: receiver.URL, Timeout: 2 * bounded}) }()
	require.Eventually(t, func() bool { return requests.Load() == 1 }, bounded, time.Millisecond)
	out := make(chan activities.Response, 1)
	go func() { out <- tr.Send(t.Context(), activities.Request{URL: receiver.URL, Timeout: bounded}) }()
	defer received(t, second).Close()
	answerFirst()
	require.Equal(t, 200, received(t, first).StatusCode)
	received(t, arrived)
	got := received(t, out)
	require.NoError(t, got.Fault)
	require.Equal(t, webhook.ErrorTimeout, got.ErrorClass)
}

// splice joins a connection to the one that it makes to an address.
func splice(from net.Conn, address string) {
	defer from.Close()
	to, err := net.DialTimeout("tcp", address, bounded)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		defer from.Close() // ends the copy below
		_, _ = io.Copy(from, to)
	}()
	_, _ = io.Copy(to, from)
}

// While the proxy is down no attempt is made or recorded: the activity fails with what Temporal retries.
func TestActivities_Attempt_proxyDown(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	b := setup(t, unreachable(t), func(o *activities.Options) {
		o.Transport = transportWith(t, activities.TransportOptions{
			Rules: activities.AddressRules{Allow: loopback}, Proxy: &url.URL{Scheme: "http", Host: l.Addr().String(), User: url.UserPassword("w", "s3cret-query")},
		})
	})
	_, err = b.attempt(t, input())
	require.ErrorContains(t, err, "attempt: the egress proxy cannot be reached")
	require.ErrorContains(t, err, "type: unavailable, retryable: true")
	require.Empty(t, b.store.recorded)

	signaled := input()
	signaled.Signaled = true
	for range 2 {
		_, err = b.attempt(t, signaled)
		require.Error(t, err)
	}
	noted := fmt.Sprintf("temporal %s 1", deliveryID)
	require.Equal(t, []string{noted, noted}, b.store.noted, "each try names the attempt, so that it is noted once")
}

func TestNewTransport_refusesProxies(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"socks5://u:s3cret@127.0.0.1:1080", "http://u:s3cret@", "//u:s3cret@127.0.0.1:1080"} {
		at, err := url.Parse(text)
		require.NoError(t, err)
		_, err = activities.NewTransport(activities.TransportOptions{Proxy: at})
		require.EqualError(t, err, "the egress proxy is not an http or https URL")
	}
}
