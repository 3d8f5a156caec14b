package postgres

import (
	"context"
	"database/sql/driver"
	"net"
	"sync/atomic"
	"time"
)

// cancelTime is how long after its deadline a call may take to cancel its statement. After that the server counts as
// hanging, and the connection is closed.
const cancelTime = 2 * time.Second

// keepAlive ends the idle connections to a server that is gone without a word in about the time that a call on one of them takes to
// fail. Otherwise each would cost a call.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 4 * time.Second, Interval: 2 * time.Second, Count: 3}

// dialer makes the first connection for the driver, and a later one for each request to cancel a statement.
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
	c, err := (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext(ctx, network, address)
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

// boundConn bounds each call by its context, and judges how it ended.
type boundConn struct {
	pqConn
	net *boundNet
	// unconfirmed is set while the server answers a call, when it gave up waiting for its standby.
	unconfirmed bool
	// readOnly is set once the server has refused a write.
	readOnly bool
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *boundConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	stmt, err := c.pqConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, c.judge(err)
	}
	return &boundStmt{stmt.(pqStmt), c}, nil
}

// BeginTx implements driver.ConnBeginTx. The end of the transaction is bounded by its last statement.
func (c *boundConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	tx, err := c.pqConn.BeginTx(ctx, opts)
	if err != nil {
		return nil, c.judge(err)
	}
	return boundTx{tx, c}, nil
}

// QueryContext implements driver.QueryerContext.
func (c *boundConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return c.judgeRows(c.pqConn.QueryContext(ctx, query, args))
}

// ExecContext implements driver.ExecerContext.
func (c *boundConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return c.judgeResult(c.pqConn.ExecContext(ctx, query, args))
}

// Ping implements driver.Pinger.
func (c *boundConn) Ping(ctx context.Context) error {
	if err := c.net.boundBy(ctx); err != nil {
		return driver.ErrBadConn
	}
	return c.pqConn.Ping(ctx)
}

// ResetSession implements driver.SessionResetter.
func (c *boundConn) ResetSession(ctx context.Context) error {
	if c.readOnly {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// IsValid implements driver.Validator.
func (c *boundConn) IsValid() bool { return !c.readOnly && c.pqConn.IsValid() }

// boundTx judges the end of its transaction.
type boundTx struct {
	driver.Tx
	conn *boundConn
}

// Commit implements driver.Tx.
func (t boundTx) Commit() error { return t.conn.judge(t.Tx.Commit()) }

// pqStmt has the interfaces of lib/pq's prepared statement that database/sql uses.
type pqStmt interface {
	driver.Stmt
	driver.StmtQueryContext
	driver.StmtExecContext
}

type boundStmt struct {
	pqStmt
	conn *boundConn
}

// QueryContext implements driver.StmtQueryContext.
func (s *boundStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.conn.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return s.conn.judgeRows(s.pqStmt.QueryContext(ctx, args))
}

// ExecContext implements driver.StmtExecContext.
func (s *boundStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.conn.net.boundBy(ctx); err != nil {
		return nil, driver.ErrBadConn
	}
	return s.conn.judgeResult(s.pqStmt.ExecContext(ctx, args))
}

// boundRows judges the end of its statement, which the server answers after the last row.
type boundRows struct {
	driver.RowsNextResultSet
	conn *boundConn
}

// Next implements driver.Rows.
func (r *boundRows) Next(dest []driver.Value) error {
	err := r.RowsNextResultSet.Next(dest)
	if err == nil {
		return nil
	}
	return r.conn.judge(err)
}

// Close implements driver.Rows. What is left of the answer is read first.
func (r *boundRows) Close() error { return r.conn.judge(r.RowsNextResultSet.Close()) }
