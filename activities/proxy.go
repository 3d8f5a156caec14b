package activities

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	// proxyTimeout bounds the connection to the proxy, which is near. What comes after it waits for the receiver.
	proxyTimeout = 5 * time.Second
	// maxProxyAnswer bounds what the proxy says before the tunnel begins.
	maxProxyAnswer = 16 << 10
)

// proxyError is a fault of the operator's proxy. Nothing was sent to the receiver, which has no part in it.
type proxyError struct {
	text  string
	cause error
}

func (e *proxyError) Error() string { return "the egress proxy " + e.text }
func (e *proxyError) Unwrap() error { return e.cause }

// tunnelError says that the proxy works and did not connect to the receiver.
type tunnelError struct{ status int }

func (e *tunnelError) Error() string {
	if e.status == 0 {
		return "the egress proxy closed the connection instead of connecting to the receiver"
	}
	return fmt.Sprintf("the egress proxy did not connect to the receiver (it answered %d)", e.status)
}

// proxy opens tunnels with CONNECT.
type proxy struct {
	net     net.Dialer
	address string
	// tls is nil where the proxy itself is spoken to without TLS.
	tls *tls.Config
	// request is what follows the address of a CONNECT. It may hold the password.
	request string
}

// newProxy returns the proxy at a URL, such as http://user:password@proxy.internal:3128. Its errors never show the password.
func newProxy(at *url.URL, tlsConfig *tls.Config) (*proxy, error) {
	port := at.Port()
	switch {
	case at.Hostname() == "" || at.Scheme != "http" && at.Scheme != "https":
		return nil, errors.New("the egress proxy is not an http or https URL")
	case port == "" && at.Scheme == "http":
		port = "80"
	case port == "":
		port = "443"
	}
	p := &proxy{
		net: net.Dialer{Timeout: proxyTimeout, KeepAlive: 30 * time.Second}, address: net.JoinHostPort(at.Hostname(), port),
		request: "User-Agent: Waybill\r\n\r\n",
	}
	if at.Scheme == "https" {
		p.tls = tlsConfig.Clone()
		p.tls.ServerName, p.tls.NextProtos = at.Hostname(), []string{"http/1.1"}
	}
	if at.User != nil {
		password, _ := at.User.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(at.User.Username() + ":" + password))
		p.request = "Proxy-Authorization: Basic " + credentials + "\r\n" + p.request
	}
	return p, nil
}

// connect returns a connection to the address through the proxy.
func (p *proxy) connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	conn, err := p.reach(ctx)
	if err != nil {
		return nil, err
	}
	// A canceled context ends the exchange that follows.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = p.ask(conn, to)
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, nil
}

// reach connects to the proxy. Meanwhile the exchange in ctx, if it has one, is at the proxy.
func (p *proxy) reach(ctx context.Context) (net.Conn, error) {
	reached := atProxy(ctx)
	ctx, cancel := context.WithTimeout(ctx, proxyTimeout)
	defer cancel()
	conn, err := p.net.DialContext(ctx, "tcp", p.address)
	if err != nil {
		return nil, &proxyError{"cannot be reached", err}
	}
	if p.tls == nil {
		reached()
		return conn, nil
	}
	over := tls.Client(conn, p.tls)
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &proxyError{"cannot be spoken to: the TLS handshake failed", err}
	}
	reached()
	return over, nil
}

// ask sends the CONNECT and reads the answer. The other side of a tunnel that begins is silent until it is spoken to.
func (p *proxy) ask(conn net.Conn, to netip.AddrPort) error {
	if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s", to, to, p.request); err != nil {
		return &tunnelError{}
	}
	r := bufio.NewReader(io.LimitReader(conn, maxProxyAnswer))
	if _, err := r.Peek(1); err != nil {
		return &tunnelError{} // some proxies close when they cannot connect
	}
	answer, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return &proxyError{"does not answer in HTTP", err}
	}
	_ = answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusProxyAuthRequired:
		return &proxyError{"refuses the credentials in WAYBILL_EGRESS_PROXY", nil}
	case answer.StatusCode < 200 || answer.StatusCode > 299:
		return &tunnelError{answer.StatusCode}
	case r.Buffered() > 0:
		return &proxyError{"sent more than its answer", nil}
	default:
		return nil
	}
}
