package activities

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"waybill/webhook"
)

// exchange is what classify needs to know about a request besides its error.
type exchange struct {
	timeout time.Duration
	// asked is whether the receiver asked for a client certificate on this connection; notAsked unless the request is the first on it.
	asked inquiry
	// atProxy says that a dial for the request waits for a connection to the operator's proxy.
	atProxy atomic.Bool
	// connected says that the request has a connection, be it one that another request left in the meantime.
	connected bool
}

// exchangeKey is the context key of the exchange that a dial is for.
type exchangeKey struct{}

// atProxy notes that the exchange in ctx waits for the proxy, until it is reached.
func atProxy(ctx context.Context) (reached func()) {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		return func() {}
	}
	x.atProxy.Store(true)
	return func() { x.atProxy.Store(false) }
}

// fault returns the fault of the operator's proxy that an error tells of; nil: it is the receiver's failure.
func (x *exchange) fault(ctx context.Context, err error) error {
	if p := (*proxyError)(nil); errors.As(err, &p) {
		return p
	}
	if ctx.Err() != nil && !x.connected && x.atProxy.Load() {
		return &proxyError{"cannot be reached", err}
	}
	return nil
}

// watch returns a context that records the connection of its request.
func (x *exchange) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		x.connected = true
		if over, ok := info.Conn.(*tls.Conn); ok {
			if raw, ok := over.NetConn().(*connection); ok && !info.Reused {
				x.asked = raw.asked
			}
		}
	}})
}

// classify returns the class and the text of a transport error. The text is built from fixed words, because errors of
// package net contain addresses of this network, and errors of net/http quote what the receiver sent.
func (x *exchange) classify(ctx context.Context, err error) (webhook.ErrorClass, string) {
	var (
		blocked *blockedError
		name    *net.DNSError
		shake   *tlsError
		op      *net.OpError
		tunnel  *tunnelError
	)
	switch {
	case errors.As(err, &blocked):
		return webhook.ErrorBlocked, blocked.text
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return webhook.ErrorTimeout, fmt.Sprintf("no complete answer within %s", webhook.Duration(x.timeout))
	case ctx.Err() != nil:
		return webhook.ErrorTimeout, "Waybill canceled the request before an answer arrived"
	case errors.As(err, &name):
		return webhook.ErrorDNS, dnsText(name)
	case isTimeout(err):
		return webhook.ErrorTimeout, fmt.Sprintf("no connection within %s", webhook.Duration(connectTimeout))
	case errors.As(err, &tunnel):
		return webhook.ErrorConnect, tunnel.Error()
	case errors.As(err, &shake):
		return webhook.ErrorTLS, tlsText(shake.cause) + askedText(shake.asked)
	case errors.As(err, &op) && op.Op == remoteAlert: // with TLS 1.3 the alert may come after the handshake
		return webhook.ErrorTLS, tlsText(op) + askedText(x.asked)
	case errors.As(err, &op) && op.Op == "dial":
		return webhook.ErrorConnect, "the receiver cannot be reached: " + errnoText(err)
	case x.asked != notAsked && closed(err):
		return webhook.ErrorTLS, "the receiver closed the connection" + askedText(x.asked)
	default:
		return httpFault(err)
	}
}

// askedText is appended to the text of a failure that the client certificate, or the lack of one, may explain.
func askedText(asked inquiry) string {
	switch asked {
	case askedInVain:
		return "; it had asked for a client certificate, and this endpoint has none"
	case askedAndGiven:
		return "; it had asked for a client certificate, and got this endpoint's"
	default:
		return ""
	}
}

// remoteAlert is what crypto/tls calls an alert of the other side in a net.OpError.
const remoteAlert = "remote error"

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &t) && t.Timeout()
}

func dnsText(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return "the host name does not resolve to an address that this Waybill may call"
	case err.IsTimeout:
		return "the host name did not resolve in time"
	default:
		return "the host name cannot be resolved at the moment"
	}
}

func tlsText(err error) string {
	var (
		certificate *tls.CertificateVerificationError
		op          *net.OpError
		record      tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &certificate):
		return webhook.CleanLine("the certificate is not valid: "+certificate.Err.Error(), maxErrorBytes)
	case errors.As(err, &op) && op.Op == remoteAlert:
		return "the receiver refused the TLS handshake: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	case errors.As(err, &record):
		return "the receiver does not speak TLS on this port"
	case closed(err):
		return "the receiver closed the connection during the TLS handshake"
	case strings.HasPrefix(err.Error(), "tls: "):
		return webhook.CleanLine("the TLS handshake failed: "+strings.TrimPrefix(err.Error(), "tls: "), maxErrorBytes)
	default:
		return "the TLS handshake failed"
	}
}

func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return "the connection failed"
}

// parseRetryAfter reads seconds or an HTTP date.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	delay := time.Duration(0)
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		delay = time.Duration(min(seconds, uint64(webhook.MaxRetryDelay/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		delay = at.Sub(now)
	}
	return min(max(delay, 0), webhook.MaxRetryDelay)
}
