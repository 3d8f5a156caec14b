package postgres

import (
	"context"
	"database/sql/driver"
	"net"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// cancelTime is what a call has beyond its deadline to cancel its statement. Then the server hangs, and the connection is
// given up.
const cancelTime = 2 * time.Second

// connector makes connections on which no call waits for longer than its context allows, and cancelTime more. lib/pq alone
// would wait for ever: when a context ends it asks the server to cancel, and waits for it to answer.
type connector struct{ cfg pq.Config }

// Connect implements driver.Connector. The first address that is dialed is the connection's, a later one a request to
// cancel what runs on it.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := pq.NewConnectorConfig(c.cfg)
	if err != nil {
		return nil, err
	}
	d := new(dialer)
	inner.Dialer(d)
	conn, err := inner.Connect(ctx)
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
	conn      *boundNet // the last one that was dialed before connected
}

// Dial and DialTimeout are there for lib/pq's interface; it calls DialContext.
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
	bound.limit, _ = ctx.Deadline() // of the handshake
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

// SetDeadline is what lib/pq sets while it connects, and clears afterwards.
func (c *boundNet) SetDeadline(at time.Time) error {
	if !c.limit.IsZero() && (at.IsZero() || at.After(c.limit)) {
		at = c.limit
	}
	return c.Conn.SetDeadline(at)
}

// boundBy makes the end of the context the limit of all that is read and written from now on. Idle, a connection waits for
// ever.
func (c *boundNet) boundBy(ctx context.Context) error {
	c.limit = time.Time{}
	if end, ok := ctx.Deadline(); ok {
		c.limit = end.Add(cancelTime)
	}
	return c.Conn.SetDeadline(c.limit)
}

// pqConn is what lib/pq's connection can do and database/sql makes use of.
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

// BeginTx implements driver.ConnBeginTx. What ends the transaction is within the bound of its last statement.
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

// pqStmt is what lib/pq's prepared statement can do and database/sql makes use of.
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
