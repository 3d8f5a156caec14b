package activities

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
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

// dialer makes guarded connections. The type of an error tells the phase: a *net.DNSError, a dial error, a proxyError, a
// tunnelError, or a tlsError.
type dialer struct {
	guard *guard
	net   net.Dialer
	tls   *tls.Config
	// proxy makes the connections; nil: net does.
	proxy *proxy
	// certificate is presented to a receiver that asks for one; nil: none is.
	certificate *tls.Certificate
}

// presenting returns a dialer that presents the certificate. It has TLS sessions of its own, because a session that is resumed
// brings along the certificate that it began with.
func (d *dialer) presenting(certificate *tls.Certificate) *dialer {
	own := *d
	own.tls, own.certificate = d.tls.Clone(), certificate
	own.tls.ClientSessionCache = tls.NewLRUClientSessionCache(certifiedSessions)
	return &own
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
	d := &dialer{
		net: net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second},
		tls: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			RootCAs:            roots,
			NextProtos:         []string{"h2", "http/1.1"},
			ClientSessionCache: tls.NewLRUClientSessionCache(tlsSessions),
		},
	}
	return d.guarded(g), nil
}

// guarded returns a dialer with another guard.
func (d *dialer) guarded(g *guard) *dialer {
	other := *d
	other.guard = g
	other.net.Control = func(network, address string, c syscall.RawConn) error {
		return safely(func() error { return g.control(network, address, c) }) // net may run it in another goroutine
	}
	return &other
}

// dialPlain returns a connection without TLS.
func (d *dialer) dialPlain(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = safely(func() error {
		conn, err = d.dial(ctx, network, address)
		return err
	})
	return conn, err
}

// dial connects to one of the host's addresses that the guard allows. A name that has none gets the same error, after the
// same time, as a name that does not resolve: otherwise a tenant could learn which names exist inside the operator's network.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	started := time.Now()
	var conn net.Conn
	if d.proxy == nil {
		conn, err = d.net.DialContext(ctx, network, address)
	} else {
		conn, err = d.tunnel(ctx, host, port)
	}
	if _, notName := netip.ParseAddr(host); err == nil || notName == nil {
		return conn, err
	}
	blocked, missing := (*blockedError)(nil), (*net.DNSError)(nil)
	switch {
	case errors.As(err, &blocked) && blocked.address:
		err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case errors.As(err, &missing) && missing.IsNotFound:
	default:
		return nil, err
	}
	pauseUntil(ctx, started.Add(unresolvedTime))
	return nil, err
}

// unresolvedTime is how long it takes at least to find that a name does not resolve to an address that may be called. Names
// inside the operator's network are found sooner than those elsewhere.
const unresolvedTime = 250 * time.Millisecond

func pauseUntil(ctx context.Context, moment time.Time) {
	timer := time.NewTimer(time.Until(moment))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// maxTunnels is how many addresses of a host are tried through the proxy.
const maxTunnels = 4

// tunnel connects through the proxy. The name is resolved and its addresses are checked here, and the proxy is told the
// address, so that it cannot resolve the name differently. IPv4 comes first, because this machine's routes say nothing of the
// proxy's.
func (d *dialer) tunnel(ctx context.Context, host, port string) (net.Conn, error) {
	addrs, err := d.resolve(ctx, host, port)
	if err != nil {
		return nil, err
	}
	var first error
	for i, to := range addrs {
		end, _ := ctx.Deadline()
		share, cancel := context.WithTimeout(ctx, time.Until(end)/time.Duration(len(addrs)-i))
		conn, err := d.proxy.connect(share, to)
		cancel()
		if fault := (*proxyError)(nil); err == nil || errors.As(err, &fault) {
			return conn, err
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// resolve returns the host's addresses that the guard allows, at least one.
func (d *dialer) resolve(ctx context.Context, host, port string) ([]netip.AddrPort, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	found := []netip.Addr{}
	if literal, err := netip.ParseAddr(host); err == nil {
		found = append(found, literal)
	} else if found, err = cmp.Or(d.net.Resolver, net.DefaultResolver).LookupNetIP(ctx, "ip", host); err != nil {
		return nil, err
	}
	var allowed []netip.AddrPort
	var refused error
	for _, a := range found {
		to := netip.AddrPortFrom(a.Unmap(), uint16(n))
		if err := d.guard.check(to); err != nil {
			refused = cmp.Or(refused, err)
			continue
		}
		allowed = append(allowed, to)
	}
	if len(allowed) == 0 {
		return nil, refused
	}
	slices.SortStableFunc(allowed, func(a, b netip.AddrPort) int { return cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()) })
	return allowed[:min(len(allowed), maxTunnels)], nil
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
	dialed, err := d.dial(ctx, network, address)
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
