package activities

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// mailWire dials for one conversation with a mail server, whose end the context of the dial sets for good.
type mailWire struct {
	timeout time.Duration // of the dial and of the TLS handshake
	tls     *tls.Config   // nil: TLS does not begin with the connection

	mu   sync.Mutex
	conn net.Conn
}

func (w *mailWire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dial, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(dial, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.conn = raw
	w.mu.Unlock()
	end, _ := ctx.Deadline()
	bounded := &boundedConn{Conn: raw, end: end}
	if w.tls == nil {
		return bounded, nil
	}
	secure := tls.Client(bounded, w.tls)
	if err := secure.HandshakeContext(dial); err != nil {
		return nil, err
	}
	return secure, nil
}

// close ends the conversation, wherever it is.
func (w *mailWire) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

// boundedConn is a connection whose deadline nobody can set beyond its end.
type boundedConn struct {
	net.Conn
	end time.Time
}

func (c *boundedConn) SetDeadline(at time.Time) error     { return c.Conn.SetDeadline(c.bound(at)) }
func (c *boundedConn) SetReadDeadline(at time.Time) error { return c.Conn.SetReadDeadline(c.bound(at)) }
func (c *boundedConn) SetWriteDeadline(at time.Time) error {
	return c.Conn.SetWriteDeadline(c.bound(at))
}

func (c *boundedConn) bound(at time.Time) time.Time {
	if !c.end.IsZero() && (at.IsZero() || at.After(c.end)) {
		return c.end
	}
	return at
}
