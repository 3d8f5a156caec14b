package postgres

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// cancelTime is how long after its deadline a call may take to cancel its statement. After that the server counts as
// hanging, and the connection is closed.
const cancelTime = 2 * time.Second

// ErrNoTLS is in the errors of all calls while the URL asks for TLS, which it does unless it says otherwise, and the server has none.
var ErrNoTLS = errors.New("the database server does not speak TLS: add sslmode=disable to the URL where the way to it can be trusted")

// ErrLogin is in the errors of all calls while the server does not let in who connects.
var ErrLogin = errors.New("the database server refuses the user or the password")

// connector makes connections on which no call waits longer than its context allows plus cancelTime. lib/pq alone would
// wait forever: when a context ends it asks the server to cancel, and waits for the answer.
type connector struct{ cfg pq.Config }

// Connect implements driver.Connector. The first dial is for the connection, a later one for a request to cancel its
// statement.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := pq.NewConnectorConfig(c.cfg)
	if err != nil {
		return nil, err
	}
	d := new(dialer)
	inner.Dialer(d)
	conn, err := inner.Connect(ctx)
	if errors.Is(err, pq.ErrSSLNotSupported) {
		return nil, ErrNoTLS
	}
	if e := pq.As(err); e != nil && e.Code.Class() == "28" { // invalid authorization
		return nil, fmt.Errorf("%w: %w", ErrLogin, err)
	}
	if err != nil {
		return nil, err
	}
	d.connected.Store(true)
	return &boundConn{conn.(pqConn), d.conn}, nil
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

type dialer struct {
	connected atomic.Bool
	conn      *boundNet // the last one that was dialed before the connection was made
}

// Dial implements pq.Dialer. lib/pq requires it and DialTimeout, but calls DialContext.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout implements pq.Dialer.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext implements pq.DialerContext.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	canceling := d.connected.Load()
	if canceling {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cancelTime)
		defer cancel()
	}
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	bound := &boundNet{Conn: c}
	bound.limit, _ = ctx.Deadline() // bounds the handshake
	if !canceling {
		d.conn = bound
	}
	return bound, nil
}

// boundNet keeps every deadline within a limit.
type boundNet struct {
	net.Conn
	limit time.Time // zero: none
}

// SetDeadline sets a deadline within the limit. lib/pq sets one while it connects, and clears it afterwards.
func (c *boundNet) SetDeadline(at time.Time) error {
	if !c.limit.IsZero() && (at.IsZero() || at.After(c.limit)) {
		at = c.limit
	}
	return c.Conn.SetDeadline(at)
}

// boundBy makes the deadline of the context the limit of all reads and writes from now on. An idle connection has no limit.
func (c *boundNet) boundBy(ctx context.Context) error {
	c.limit = time.Time{}
	if end, ok := ctx.Deadline(); ok {
		c.limit = end.Add(cancelTime)
	}
	return c.Conn.SetDeadline(c.limit)
}

// pqConn has the interfaces of lib/pq's connection that database/sql uses.
type pqConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.QueryerContext
	driver.ExecerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

// boundConn bounds each call by its context.
type boundConn struct {
	pqConn
	net *boundNet
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *boundConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	stmt, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &boundStmt{stmt.(pqStmt), c.net}, nil
}

// BeginTx implements driver.ConnBeginTx. The end of the transaction is bounded by its last statement.
func (c *boundConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return c.pqConn.BeginTx(ctx, opts)
}

// QueryContext implements driver.QueryerContext.
func (c *boundConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return c.pqConn.QueryContext(ctx, query, args)
}

// ExecContext implements driver.ExecerContext.
func (c *boundConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return c.pqConn.ExecContext(ctx, query, args)
}

// Ping implements driver.Pinger.
func (c *boundConn) Ping(ctx context.Context) error {
	if err := c.net.boundBy(ctx); err != nil {
		return driver.ErrBadConn
	}
	return c.pqConn.Ping(ctx)
}

// pqStmt has the interfaces of lib/pq's prepared statement that database/sql uses.
type pqStmt interface {
	driver.Stmt
	driver.StmtQueryContext
	driver.StmtExecContext
}

type boundStmt struct {
	pqStmt
	net *boundNet
}

// QueryContext implements driver.StmtQueryContext.
func (s *boundStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return s.pqStmt.QueryContext(ctx, args)
}

// ExecContext implements driver.StmtExecContext.
func (s *boundStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return s.pqStmt.ExecContext(ctx, args)
}
