package activities_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/webhook"
)

// A receiver that demands a client certificate is told apart from one that is broken, whenever and however it refuses.
func TestTransport_Send_tellsOfADemandedCertificate(t *testing.T) {
	t.Parallel()
	const asked = "it had asked for a client certificate, and this endpoint has none"
	for name, protocols := range map[string][]string{"HTTP/1.1": {"http/1.1"}, "HTTP/2": {"h2", "http/1.1"}} {
		for kind, c := range map[string]struct {
			config *tls.Config
			// hangUp closes the connection after the handshake, without an alert.
			hangUp bool
			class  webhook.ErrorClass
			text   string
		}{
			"TLS 1.2, an alert": {config: &tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAnyClientCert}, class: webhook.ErrorTLS, text: asked},
			"TLS 1.3, an alert": {config: &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAnyClientCert}, class: webhook.ErrorTLS, text: asked},
			"TLS 1.2, a close":  {config: &tls.Config{MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert}, hangUp: true, class: webhook.ErrorTLS, text: asked},
			"TLS 1.3, a close":  {config: &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert}, hangUp: true, class: webhook.ErrorTLS, text: asked},
			"a close, unasked":  {hangUp: true, class: webhook.ErrorProtocol, text: "the receiver closed the connection before its answer was complete"},
			"asked, not needed": {config: &tls.Config{ClientAuth: tls.RequestClientCert}},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					if c.hangUp {
						t.Error("a request arrived that must not be answered")
					}
				}))
				s.TLS = new(tls.Config)
				if c.config != nil {
					s.TLS = c.config.Clone()
				}
				s.TLS.NextProtos = protocols
				s.Config.ErrorLog = quiet
				s.EnableHTTP2 = len(protocols) > 1
				trusted := s
				if c.hangUp {
					s.Listener = hangsUp{s.Listener, s}
				}
				s.StartTLS()
				t.Cleanup(s.Close)
				out := newTransport(t, trusted).Send(t.Context(), activities.Request{URL: s.URL, Body: []byte("{}"), Timeout: 2 * bounded})
				require.Equal(t, c.class, out.ErrorClass, out.Error)
				require.Contains(t, out.Error, c.text)
				require.Less(t, out.Duration, bounded)
			})
		}
	}
}

// hangsUp makes the connections of a server end when their handshake is done.
type hangsUp struct {
	net.Listener
	s *httptest.Server
}

func (l hangsUp) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	go func() {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		over := tls.Server(conn, l.s.TLS)
		if over.Handshake() == nil {
			_ = conn.(*net.TCPConn).CloseWrite() // no close_notify
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	return l.Accept()
}
