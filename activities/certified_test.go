package activities_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
	"waybill/webhook/certtest"
)

// names are those of the client certificates that a receiver saw.
type names chan string

// serveCertified starts a receiver that demands a certificate of the authority, as strictly as demand says.
func serveCertified(t *testing.T, ca *certtest.Authority, version uint16, demand tls.ClientAuthType) (*httptest.Server, names, *atomic.Int64) {
	t.Helper()
	seen := make(names, 100)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		name := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			name = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		seen <- name
	}))
	s.TLS = &tls.Config{ClientAuth: demand, ClientCAs: ca.Pool(), MinVersion: version, MaxVersion: version}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet
	conns := countConns(s)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, seen, conns
}

func identity(t *testing.T, ca *certtest.Authority, n byte, name string) *activities.Identity {
	t.Helper()
	certificate, key := ca.Issue(t, name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	return &activities.Identity{
		Endpoint: webhook.NewID[webhook.EndpointID]([16]byte{0xe, n}), Certificate: certificate, Key: webhook.SecretFromText(key),
	}
}

// Endpoints of one host prove themselves each with its own certificate, over connections and TLS sessions of their own.
func TestTransport_Send_presentsTheEndpointsCertificate(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := certtest.NewAuthority(t)
			s, seen, conns := serveCertified(t, ca, version, tls.VerifyClientCertIfGiven)
			tr := newTransport(t, s)
			one, two := identity(t, ca, 1, "one"), identity(t, ca, 2, "two")
			send := func(who *activities.Identity, want string) {
				t.Helper()
				out := tr.Send(t.Context(), activities.Request{URL: s.URL, Body: []byte("{}"), Timeout: 10 * time.Second, Identity: who})
				require.Equal(t, 200, out.StatusCode, out.Error)
				require.Equal(t, want, <-seen)
			}
			for range 3 {
				send(one, "one")
				send(two, "two")
				send(nil, "nobody")
			}
			require.EqualValues(t, 3, conns.Load(), "each has one connection")

			tr.CloseIdle() // now sessions are resumed
			for range 2 {
				send(nil, "nobody")
				send(two, "two")
				send(one, "one")
				tr.CloseIdle()
			}

			renewed := identity(t, ca, 1, "one renewed")
			send(renewed, "one renewed")
			copied := *one
			copied.Endpoint = two.Endpoint
			send(one, "one")
			before := conns.Load()
			send(&copied, "one")
			require.Equal(t, before+1, conns.Load(), "two endpoints share no connection, even with one certificate")
		})
	}
}

func TestTransport_Send_certificateThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, seen, _ := serveCertified(t, certtest.NewAuthority(t), version, tls.RequireAndVerifyClientCert)
			stranger := identity(t, certtest.NewAuthority(t), 1, "stranger")
			out := newTransport(t, s).Send(t.Context(), activities.Request{URL: s.URL, Body: []byte("{}"), Timeout: 10 * time.Second, Identity: stranger})
			require.Equal(t, webhook.ErrorTLS, out.ErrorClass, out.Error)
			require.Contains(t, out.Error, "it had asked for a client certificate, and got this endpoint's")
			require.Empty(t, seen)
		})
	}
}

func TestTransport_Send_certificateThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	ca := certtest.NewAuthority(t)
	s, seen, _ := serveCertified(t, ca, tls.VersionTLS13, tls.VerifyClientCertIfGiven)
	who := identity(t, ca, 1, "one")
	who.Key = identity(t, ca, 1, "another").Key
	out := newTransport(t, s).Send(t.Context(), activities.Request{URL: s.URL, Timeout: 10 * time.Second, Identity: who})
	require.Equal(t, webhook.ErrorAuth, out.ErrorClass)
	require.Equal(t, "the endpoint's client certificate cannot be used", out.Error)
	require.Empty(t, seen)
}
