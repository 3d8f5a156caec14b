package activities_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

var quiet = log.New(io.Discard, "", 0)

func TestTransport_Send(t *testing.T) {
	t.Parallel()
	type arrival struct {
		method, path, proto, body string
		header                    http.Header
	}
	got := make(chan arrival, 1)
	s := serveTLS(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- arrival{r.Method, r.RequestURI, r.Proto, string(body), r.Header}
		w.Header().Set("Retry-After", "7")
		w.Header().Set("X-Answer", "yes")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "thanks")
	})
	out := newTransport(t, s).Send(t.Context(), activities.Request{
		URL: s.URL + "/hook?a=b", Body: []byte(`{"a":1}`), Timeout: 10 * time.Second,
		Headers: []webhook.Header{
			{Name: "x-custom", Value: "first"}, {Name: "Content-Type", Value: "application/json"},
			{Name: "user-agent", Value: "Acme/1.0"}, {Name: "X-Custom", Value: "second"},
		},
	})
	require.Empty(t, out.Error)
	require.Equal(t, http.StatusAccepted, out.StatusCode)
	require.Equal(t, "thanks", string(out.Body))
	require.False(t, out.Truncated)
	require.Equal(t, "yes", out.Headers.Get("X-Answer"))
	require.Equal(t, 7*time.Second, out.RetryAfter)
	require.Positive(t, out.Duration)
	require.WithinDuration(t, time.Now(), out.Started, time.Minute)

	in := <-got
	require.Equal(t, "POST", in.method)
	require.Equal(t, "/hook?a=b", in.path)
	require.Equal(t, "HTTP/2.0", in.proto)
	require.JSONEq(t, `{"a":1}`, in.body)
	require.Equal(t, []string{"second"}, in.header["X-Custom"], "the later of two headers holds")
	require.Equal(t, []string{"Acme/1.0"}, in.header["User-Agent"])
	require.Empty(t, in.header["Accept-Encoding"])
	require.NotContains(t, in.header, "X-Idempotency-Key")
}

func TestTransport_Send_keepsTheSpellingOfHeaders(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	got := make(chan string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			close(got)
			return
		}
		defer conn.Close()
		b := make([]byte, 4096)
		n, _ := conn.Read(b)
		got <- string(b[:n])
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}()
	out := newTransport(t).Send(t.Context(), activities.Request{
		URL: "http://" + l.Addr().String(), Timeout: 10 * time.Second,
		Headers: []webhook.Header{{Name: "X-Tradevine-Hmac-SHA256", Value: "ab"}, {Name: "webhook-id", Value: "cd"}},
	})
	require.Equal(t, http.StatusNoContent, out.StatusCode, out.Error)
	raw := <-got
	require.Contains(t, raw, "\r\nX-Tradevine-Hmac-SHA256: ab\r\n")
	require.Contains(t, raw, "\r\nwebhook-id: cd\r\n")
	require.Contains(t, raw, "\r\nUser-Agent: Waybill\r\n")
	require.NotContains(t, strings.ToLower(raw), "idempotency-key")
	require.NotContains(t, strings.ToLower(raw), "accept-encoding")
}

func TestTransport_Send_doesNotFollowRedirects(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	target, _ := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	for _, code := range []int{301, 302, 303, 307, 308} {
		s, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, code) })
		out := newTransport(t).Send(t.Context(), activities.Request{URL: s.URL, Timeout: 10 * time.Second})
		require.Equal(t, code, out.StatusCode)
		require.Empty(t, out.ErrorClass)
	}
	require.Zero(t, elsewhere.Load())
}

func TestTransport_Send_readsLittle(t *testing.T) {
	t.Parallel()
	exact := strings.Repeat("x", activities.MaxResponseBody)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := z.Write(make([]byte, 8<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.Less(t, bomb.Len(), activities.MaxResponseBody)

	for name, c := range map[string]struct {
		body, encoding, want string
		truncated            bool
	}{
		"a body at the limit":              {body: exact, want: exact},
		"a body above it":                  {body: exact + "y", want: exact, truncated: true},
		"a huge body":                      {body: strings.Repeat("x", 4<<20), want: exact, truncated: true},
		"a bomb, which stays compressed":   {body: bomb.String(), encoding: "gzip", want: bomb.String()},
		"text that pretends to be gzipped": {body: "plain", encoding: "gzip", want: "plain"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.encoding != "" {
					w.Header().Set("Content-Encoding", c.encoding)
				}
				_, _ = io.WriteString(w, c.body)
			})
			out := newTransport(t).Send(t.Context(), activities.Request{URL: s.URL, Timeout: 10 * time.Second})
			require.Empty(t, out.Error)
			require.Equal(t, http.StatusOK, out.StatusCode)
			require.Equal(t, c.truncated, out.Truncated)
			require.Equal(t, c.want, string(out.Body))
		})
	}
}

func TestTransport_Send_reusesConnections(t *testing.T) {
	t.Parallel()
	s, conns := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[string]int{"/": 200, "/fail": 500}[r.URL.Path])
		_, _ = io.WriteString(w, "a short answer")
	})
	tr := newTransport(t)
	for range 5 {
		require.Equal(t, 200, tr.Send(t.Context(), activities.Request{URL: s.URL, Timeout: 10 * time.Second}).StatusCode)
		require.Equal(t, 500, tr.Send(t.Context(), activities.Request{URL: s.URL + "/fail", Timeout: 10 * time.Second}).StatusCode)
	}
	require.EqualValues(t, 1, conns.Load())
}

func TestTransport_Send_verifiesTheReceiver(t *testing.T) {
	t.Parallel()
	var received atomic.Int64
	count := func(http.ResponseWriter, *http.Request) { received.Add(1) }
	good := serveTLS(t, count)
	old := httptest.NewUnstartedServer(http.HandlerFunc(count))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	old.Config.ErrorLog = quiet
	old.StartTLS()
	t.Cleanup(old.Close)
	asksForCertificate := httptest.NewUnstartedServer(http.HandlerFunc(count))
	asksForCertificate.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	asksForCertificate.Config.ErrorLog = quiet
	asksForCertificate.StartTLS()
	t.Cleanup(asksForCertificate.Close)
	plain, _ := serve(t, count)

	hangsUp, _ := serveRaw(t, nil) // a handshake is no request, so that it closes the connection

	for name, c := range map[string]struct {
		url, text string
		trusted   []*httptest.Server
	}{
		"an unknown authority":        {url: good.URL, text: "the certificate is not valid: x509: certificate signed by unknown authority"},
		"another host's name":         {url: strings.Replace(good.URL, "127.0.0.1", "localhost", 1), text: "not localhost", trusted: []*httptest.Server{good}},
		"TLS 1.1":                     {url: old.URL, text: "protocol version", trusted: []*httptest.Server{old}},
		"no TLS at all":               {url: strings.Replace(plain.URL, "http:", "https:", 1), text: "does not speak TLS"},
		"a handshake that breaks off": {url: strings.Replace(hangsUp, "http:", "https:", 1), text: "closed the connection during"},
		"a client certificate":        {url: asksForCertificate.URL, text: "certificate required", trusted: []*httptest.Server{asksForCertificate}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := newTransport(t, c.trusted...).Send(t.Context(), activities.Request{URL: c.url, Timeout: 10 * time.Second})
			require.Equal(t, webhook.ErrorTLS, out.ErrorClass, out.Error)
			require.Contains(t, out.Error, c.text)
			require.Zero(t, out.StatusCode)
		})
	}
	t.Cleanup(func() { // after the subtests
		if n := received.Load(); n != 0 {
			t.Errorf("%d requests arrived", n)
		}
	})
}

func TestTransport_Send_ignoresProxies(t *testing.T) {
	var proxied atomic.Int64
	proxy, _ := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	// A documentation address: no test must leave this machine, and net/http never asks a proxy for loopback.
	out := newTransport(t).Send(t.Context(), activities.Request{URL: "http://203.0.113.7/", Timeout: 10 * time.Second})
	require.Equal(t, webhook.ErrorBlocked, out.ErrorClass)
	require.Zero(t, proxied.Load())
}

func TestTransport_Send_endsWithItsContext(t *testing.T) {
	t.Parallel()
	s, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := newTransport(t).Send(ctx, activities.Request{URL: s.URL})
	require.Equal(t, webhook.ErrorTimeout, out.ErrorClass)
	require.Contains(t, out.Error, "canceled the request")
}

func TestNewTransport_refusesWrongOptions(t *testing.T) {
	t.Parallel()
	_, err := activities.NewTransport(activities.TransportOptions{RootCAs: []byte("no PEM")})
	require.ErrorContains(t, err, "PEM")
	_, err = activities.NewTransport(activities.TransportOptions{Rules: activities.AddressRules{Allow: allowed("127.0.0.0/8", "::ffff:10.0.0.0/104")}})
	require.ErrorContains(t, err, "::ffff:10.0.0.0/104")
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 27, 14, 32, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, " 5 ": 5 * time.Second, "-5": 0, "1.5": 0, "soon": 0,
		"99999999999999999999999": webhook.MaxRetryDelay, "Wed, 27 May 2026 14:33:00 GMT": time.Minute,
		"Wed, 27 May 2026 14:31:00 GMT": 0, "Wed, 27 May 2099 14:31:00 GMT": webhook.MaxRetryDelay,
	} {
		require.Equal(t, want, activities.ParseRetryAfter(value, now), value)
	}
}
