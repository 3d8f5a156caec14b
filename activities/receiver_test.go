package activities_test

import (
	"bufio"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/activities"
)

var loopback = allowed("127.0.0.0/8", "::1/128")

// allowed are networks that every tenant may call on every port.
func allowed(prefixes ...string) []activities.AllowedNetwork {
	var all []activities.AllowedNetwork
	for _, p := range prefixes {
		all = append(all, activities.AllowedNetwork{Prefix: netip.MustParsePrefix(p)})
	}
	return all
}

// newTransport returns a transport that may call this machine and trusts the given servers.
func newTransport(t *testing.T, trusted ...*httptest.Server) *activities.Transport {
	t.Helper()
	options := activities.TransportOptions{Rules: activities.AddressRules{Allow: loopback}}
	for _, s := range trusted {
		options.RootCAs = append(options.RootCAs, certificateOf(s)...)
	}
	tr, err := activities.NewTransport(options)
	require.NoError(t, err)
	t.Cleanup(tr.CloseIdle)
	return tr
}

func certificateOf(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// serve starts a plain HTTP receiver that counts its connections.
func serve(t *testing.T, h http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	conns := countConns(s)
	s.Start()
	t.Cleanup(s.Close)
	return s, conns
}

// serveTLS starts an HTTPS receiver that speaks HTTP/2 too.
func serveTLS(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func countConns(s *httptest.Server) *atomic.Int64 {
	var n atomic.Int64
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			n.Add(1)
		}
	}
	return &n
}

// serveRaw starts a receiver that misbehaves below HTTP: play gets each connection, its first request read.
func serveRaw(t *testing.T, play func(conn *net.TCPConn, r *bufio.Reader)) (url string, conns *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	conns = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
				r := bufio.NewReader(conn)
				if readRequest(r) == nil {
					play(conn.(*net.TCPConn), r)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return "http://" + l.Addr().String() + "/hook", conns
}

func readRequest(r *bufio.Reader) error {
	req, err := http.ReadRequest(r)
	if err != nil {
		return err
	}
	_, err = bufio.NewReader(req.Body).WriteTo(discard{})
	return err
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
