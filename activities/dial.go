package activities

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// connectTimeout bounds dial and handshake separately from the request's timeout, because a dial goes on after the request
// that started it has ended.
const connectTimeout = 15 * time.Second

// tlsSessions is how many TLS sessions are cached to shorten handshakes.
const tlsSessions = 1024

// certifiedSessions is how many are cached for one endpoint with a client certificate.
const certifiedSessions = 8

// dialer makes guarded connections. The type of an error tells the phase: a *net.DNSError, a dial error, or a tlsError.
type dialer struct {
	net net.Dialer
	tls *tls.Config
	// certificate is presented to a receiver that asks for one; nil: none is.
	certificate *tls.Certificate
}

// presenting returns a dialer that presents the certificate. It has TLS sessions of its own, because a session that is resumed
// brings along the certificate that it began with.
func (d *dialer) presenting(certificate *tls.Certificate) *dialer {
	own := &dialer{net: d.net, tls: d.tls.Clone(), certificate: certificate}
	own.tls.ClientSessionCache = tls.NewLRUClientSessionCache(certifiedSessions)
	return own
}

// inquiry is whether a receiver asked for a client certificate.
type inquiry int

const (
	notAsked inquiry = iota
	askedInVain
	askedAndGiven
)

// tlsError is a failed handshake.
type tlsError struct {
	cause error
	asked inquiry
}

// connection is a TCP connection to a receiver, below TLS.
type connection struct {
	net.Conn
	// asked matters after the handshake too: with TLS 1.3 a receiver refuses a connection for its certificate, or for the lack of one,
	// only then, and some libraries close it without an alert.
	asked inquiry
}

func (e *tlsError) Error() string { return fmt.Sprintf("TLS handshake: %v", e.cause) }
func (e *tlsError) Unwrap() error { return e.cause }

func newDialer(g *guard, rootCAs []byte) (*dialer, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if len(rootCAs) > 0 && !roots.AppendCertsFromPEM(rootCAs) {
		return nil, errors.New("the extra root certificates hold no certificate in PEM form")
	}
	return &dialer{
		net: net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second, Control: func(network, address string, c syscall.RawConn) error {
			return safely(func() error { return g.control(network, address, c) }) // net may run it in another goroutine
		}},
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            roots,
			NextProtos:         []string{"h2", "http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(tlsSessions),
		},
	}, nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = safely(func() error {
		conn, err = d.handshake(ctx, network, address)
		return err
	})
	return conn, err
}

func (d *dialer) handshake(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	dialed, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	raw := &connection{Conn: dialed}
	config := d.tls.Clone()
	config.ServerName = host
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		if d.certificate != nil {
			raw.asked = askedAndGiven
			return d.certificate, nil
		}
		raw.asked = askedInVain
		return new(tls.Certificate), nil // none
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &tlsError{err, raw.asked}
	}
	return conn, nil
}

// checkPrefixes refuses allow-list entries that could never match.
func checkPrefixes(allow []netip.Prefix) error {
	for _, p := range allow {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("the allowed network %q is not a CIDR such as 10.1.0.0/16 or fd00::/8", p)
		}
	}
	return nil
}
