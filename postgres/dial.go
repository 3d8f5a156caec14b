package postgres

import (
	"context"
	"net"
	"time"
)

// dialer makes connections that give a server up when it does not answer within a time; 0: they wait for ever, as
// lib/pq does. A context that ends does not help there: lib/pq asks the server to cancel, and waits for it to answer.
type dialer struct{ answer time.Duration }

// Dial and DialTimeout are there for lib/pq's interface; it calls DialContext.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil || d.answer == 0 {
		return c, err
	}
	return &answeringConn{Conn: c, answer: d.answer}, nil
}

// answeringConn bounds how long the answer to what was written last may take. Idle, it waits for ever.
type answeringConn struct {
	net.Conn
	answer time.Duration
	// bound is set while whoever uses the connection has a deadline of its own: lib/pq has while it connects.
	bound bool
}

func (c *answeringConn) SetDeadline(at time.Time) error {
	c.bound = !at.IsZero()
	return c.Conn.SetDeadline(at)
}

func (c *answeringConn) Write(b []byte) (int, error) {
	if !c.bound {
		if err := c.Conn.SetDeadline(time.Now().Add(c.answer)); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}
