package postgres

import (
	"cmp"
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// ErrNoTLS is in the errors of all calls while the URL asks for TLS, which it does unless it says otherwise, and the server has none.
var ErrNoTLS = errors.New("the database server does not speak TLS: add sslmode=disable to the URL where the way to it can be trusted")

// ErrLogin is in the errors of all calls while the server does not let in who connects.
var ErrLogin = errors.New("the database server refuses the user or the password")

// ErrReadOnly is in the errors of all calls while none of the URL's servers takes writes: it is a standby, or was told to.
var ErrReadOnly = errors.New("the database server is a standby or read-only")

// errNoConnection is in the error of every call that got no connection.
var errNoConnection = errors.New("connect to the database")

// withPorts returns a URL with several servers, written host:port,host:port as libpq takes it, in the way that lib/pq takes it. Others
// it leaves as they are.
func withPorts(text string) string {
	u, err := url.Parse(text)
	if err != nil || !strings.Contains(u.Host, ",") || !strings.Contains(u.Host, ":") {
		return text
	}
	var hosts, ports []string
	for server := range strings.SplitSeq(u.Host, ",") {
		host, port, err := net.SplitHostPort(server)
		if err != nil { // no port
			host, port = strings.Trim(server, "[]"), ""
		}
		hosts, ports = append(hosts, host), append(ports, cmp.Or(port, "5432"))
	}
	q := u.Query()
	q.Set("host", strings.Join(hosts, ","))
	q.Set("port", strings.Join(ports, ","))
	u.Host, u.Path, u.RawQuery = "", cmp.Or(u.Path, "/"), q.Encode() // without a path it would be no URL of Postgres any more
	return u.String()
}

// connector makes connections to the URL's server that takes writes, on which no call waits longer than its context allows plus
// cancelTime. lib/pq alone would wait forever: when a context ends it asks the server to cancel, and waits for the answer.
type connector struct {
	hosts []pq.Config // one for each server of the URL
	// latest is the index of the server that let us in last. It is tried first, so that a server that is gone costs its timeout once
	// and not for every connection.
	latest atomic.Int32
}

// newConnector gives each server of the URL its share of connectTimeout, unless the URL has a timeout for each.
func newConnector(cfg pq.Config) *connector {
	var hosts []pq.Config
	for _, h := range append([]pq.ConfigMultihost{{Host: cfg.Host, Hostaddr: cfg.Hostaddr, Port: cfg.Port}}, cfg.Multi...) {
		one := cfg.Clone()
		one.Host, one.Hostaddr, one.Port, one.Multi = h.Host, h.Hostaddr, h.Port, nil
		hosts = append(hosts, one)
	}
	for i := range hosts {
		if hosts[i].ConnectTimeout <= 0 {
			hosts[i].ConnectTimeout = max(connectTimeout/time.Duration(len(hosts)), leastConnectTimeout)
		}
		if hosts[i].TargetSessionAttrs == "" {
			hosts[i].TargetSessionAttrs = pq.TargetSessionAttrsReadWrite
		}
	}
	return &connector{hosts: hosts}
}

// Connect implements driver.Connector. It tries the servers in turn.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	latest := int(c.latest.Load())
	failed := errNoConnection
	for i := range c.hosts {
		at := (latest + i) % len(c.hosts)
		conn, err := connect(ctx, c.hosts[at])
		if err == nil {
			c.latest.Store(int32(at))
			return conn, nil
		}
		failed = fmt.Errorf("%w; %s:%d: %w", failed, c.hosts[at].Host, c.hosts[at].Port, err)
	}
	return nil, failed
}

// silent returns which of several servers let nobody in, host:port. Calls pass over them, so they do not tell.
func (c *connector) silent(ctx context.Context) []string {
	if len(c.hosts) == 1 {
		return nil
	}
	lets := make([]bool, len(c.hosts))
	var trying sync.WaitGroup
	for i, one := range c.hosts {
		one = one.Clone()
		one.TargetSessionAttrs = pq.TargetSessionAttrsAny // a standby is one that can take over
		trying.Go(func() {
			conn, err := connect(ctx, one)
			if lets[i] = err == nil; lets[i] {
				_ = conn.Close() // it has served its purpose
			}
		})
	}
	trying.Wait()
	var silent []string
	for i, one := range c.hosts {
		if !lets[i] {
			silent = append(silent, net.JoinHostPort(one.Host, strconv.Itoa(int(one.Port))))
		}
	}
	return silent
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver { return &pq.Driver{} }

// refusals are what lib/pq says of a server that takes no writes. It has no other sign of it.
var refusals = []string{"session is read-only", "server is in hot standby mode"}

func connect(ctx context.Context, cfg pq.Config) (driver.Conn, error) {
	inner, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return nil, err
	}
	d := new(dialer)
	inner.Dialer(d)
	conn, err := inner.Connect(ctx)
	switch {
	case errors.Is(err, pq.ErrSSLNotSupported):
		return nil, ErrNoTLS
	case err != nil && slices.Contains(refusals, err.Error()):
		return nil, ErrReadOnly
	}
	if e := pq.As(err); e != nil && e.Code.Class() == "28" { // invalid authorization
		return nil, fmt.Errorf("%w: %w", ErrLogin, err)
	}
	if err != nil {
		return nil, err
	}
	d.connected.Store(true)
	bound := &boundConn{pqConn: conn.(pqConn), net: d.conn}
	pq.SetNoticeHandler(conn, bound.notice)
	return bound, nil
}
