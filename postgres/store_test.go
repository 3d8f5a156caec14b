package postgres_test

import (
	"context"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

func TestOpen_Refuses(t *testing.T) {
	t.Parallel()
	keys := []postgres.Key{postgrestest.Key()}
	for name, o := range map[string]postgres.Options{
		"no URL":        {Keys: keys},
		"a broken URL":  {Keys: keys, URL: "postgres://user:hunter2@host:port/x"},
		"an odd option": {Keys: keys, URL: "postgres://user:hunter2@host/x?sslmode=hunter2"},
		"no key":        {URL: "postgres://user:hunter2@host/x"},
	} {
		s, err := postgres.Open(o)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "hunter2", name)
		require.Nil(t, s)
	}
}

// proxy stands in front of the database and can go away. It starts away.
type proxy struct {
	address, to string
	flow        sync.RWMutex // locked while the proxy hangs
	mu          sync.Mutex
	listener    net.Listener
	conns       []net.Conn
	accepted    int                 // connections in all
	changing    func([]byte) []byte // what the database sends; nil: nothing
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	p := &proxy{address: l.Addr().String(), to: to}
	t.Cleanup(p.stop)
	return p
}

func (p *proxy) start(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.address)
	require.NoError(t, err)
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", p.to)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.accepted++
			p.mu.Unlock()
			go func() { p.copy(out, in, nil); _ = out.Close() }()
			go func() { p.copy(in, out, p.changed); _ = in.Close() }()
		}
	}()
}

// dialed is how many connections were made.
func (p *proxy) dialed() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// change has the proxy change what the database sends, which arrives in whole messages as long as they are few and small.
func (p *proxy) change(how func([]byte) []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.changing = how
}

func (p *proxy) changed(b []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.changing == nil {
		return b
	}
	return p.changing(b)
}

// closeConns ends the connections that there are.
func (p *proxy) closeConns() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.conns = nil
}

// copy hands on what comes, changed unless that is nil, and while the proxy hangs, nothing.
func (p *proxy) copy(to io.Writer, from io.Reader, changed func([]byte) []byte) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		out := buf[:n]
		if changed != nil {
			out = changed(out)
		}
		p.flow.RLock()
		_, err = to.Write(out)
		p.flow.RUnlock()
		if err != nil {
			return
		}
	}
}

// hang makes the proxy take what it is sent and hand nothing on, until the function that it returns is called.
func (p *proxy) hang() (resume func()) {
	p.flow.Lock()
	return sync.OnceFunc(p.flow.Unlock)
}

func (p *proxy) stop() {
	p.mu.Lock()
	if p.listener != nil {
		_ = p.listener.Close()
	}
	p.listener = nil
	p.mu.Unlock()
	p.closeConns()
}

// proxied returns a proxy in front of the database that is not started, and options that lead through it.
func (b *bundle) proxied(t *testing.T) (*proxy, postgres.Options) {
	t.Helper()
	u, err := url.Parse(b.opts.URL)
	require.NoError(t, err)
	p := newProxy(t, u.Host)
	u.Host = p.address
	o := b.opts
	o.URL = u.String()
	return p, o
}

func TestStore_LivesWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	p, o := b.proxied(t)
	s := postgrestest.Open(t, o)

	use := func() error {
		r, err := s.Accept(t.Context(), publication("acme", ""))
		if err != nil {
			return err
		}
		d := r.Deliveries[0]
		if _, err := s.Sending(t.Context(), target("acme", d)); err != nil {
			return err
		}
		_, err = s.RecordAttempt(t.Context(), record("acme", d.ID, 1, webhook.StatusDelivered))
		return err
	}
	away := func() {
		requireCode(t, webhook.CodeUnavailable, s.Ping(t.Context()))
		requireCode(t, webhook.CodeUnavailable, use())
		_, err := s.Tenant(t.Context(), "acme")
		requireCode(t, webhook.CodeUnavailable, err)
		_, err = s.UpdateTenant(t.Context(), "acme", func(*webhook.Tenant) error { return nil })
		requireCode(t, webhook.CodeUnavailable, err)
		_, _, err = s.ClaimDispatches(t.Context(), store.DispatchClaim{Limit: 1, Lease: time.Second})
		requireCode(t, webhook.CodeUnavailable, err)
		requireCode(t, webhook.CodeUnavailable, s.DeleteDispatches(t.Context(), []webhook.EventKey{{}}))
		_, err = s.Deliveries(t.Context(), "acme", store.DeliveryFilter{Page: store.Page{Limit: 1}})
		requireCode(t, webhook.CodeUnavailable, err)
	}
	away()
	p.start(t)
	require.NoError(t, s.Ping(t.Context()))
	require.NoError(t, use())
	p.stop()
	away()
	p.start(t)
	require.NoError(t, use(), "dead connections cost nothing once the database is back")
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events`))
}

func TestStore_ConnectionKilledInTheMiddle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	id := b.delivery().ID
	b.record(record("acme", b.delivery().ID, 1, webhook.StatusDelivered)) // all statements are prepared
	for table, call := range map[string]func() error{
		"events": func() error { _, err := b.Accept(t.Context(), publication("acme", "lost")); return err },
		"attempts": func() error {
			_, err := b.RecordAttempt(t.Context(), record("acme", id, 1, webhook.StatusDelivered))
			return err
		},
	} {
		lock := b.beginBlocking(`LOCK TABLE ` + table + ` IN ACCESS EXCLUSIVE MODE`)
		done := make(chan error, 1)
		go func() { done <- call() }()
		for _, pid := range b.waitBlocked(1) {
			_, err := b.db.Exec(`SELECT pg_terminate_backend($1)`, pid)
			require.NoError(t, err)
		}
		requireCode(t, webhook.CodeUnavailable, <-done)
		require.NoError(t, lock.Rollback())
	}
	require.Equal(t, 2, b.count(`SELECT count(*) FROM events`))
	require.Len(t, b.accepted, 2, "nothing is told of what was not committed")
	require.False(t, b.publish(publication("acme", "lost")).Repeated)
	require.Equal(t, webhook.StatusDelivered, b.record(record("acme", id, 1, webhook.StatusDelivered)).Status)
}

func TestStore_IdleConnectionsKilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	var wg sync.WaitGroup
	for range 20 { // so that the pool is full
		wg.Go(func() { _, _ = b.Accept(t.Context(), publication("acme", "")); _, _ = b.Tenant(t.Context(), "acme") })
	}
	wg.Wait()
	var killed []bool
	require.NoError(t, b.db.Select(&killed, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, b.Schema()))
	require.NotEmpty(t, killed)
	d := b.delivery()
	_, err := b.Sending(t.Context(), target("acme", d))
	require.NoError(t, err)
	b.record(record("acme", d.ID, 1, webhook.StatusDelivered))
	require.NoError(t, b.DeleteDispatches(t.Context(), keysOf(b.accepted)))
}

func TestStore_RunIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.Timeout = 2 * time.Second })
	b.tenant("acme")
	b.endpoint("acme")
	lock := b.beginBlocking(`LOCK TABLE events IN ACCESS EXCLUSIVE MODE`)
	_, err := b.Accept(t.Context(), publication("acme", "slow"))
	requireCode(t, webhook.CodeUnavailable, err)
	require.NoError(t, lock.Rollback())
	require.False(t, b.publish(publication("acme", "slow")).Repeated)
}

func TestStore_CallerLeaves(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	ctx, cancel := context.WithCancel(t.Context())
	lock := b.beginBlocking(`LOCK TABLE events IN ACCESS EXCLUSIVE MODE`)
	done := make(chan error, 1)
	go func() { _, err := b.Accept(ctx, publication("acme", "mine")); done <- err }()
	b.waitBlocked(1)
	cancel()
	requireCode(t, webhook.CodeUnavailable, <-done)
	require.NoError(t, lock.Rollback())
	require.Eventually(t, func() bool {
		_, err := b.Event(t.Context(), "acme", "mine")
		return err == nil
	}, 20*time.Second, 5*time.Millisecond, "what was under way takes effect")
	require.True(t, b.publish(publication("acme", "mine")).Repeated, "and a repetition finds out")
}

func TestStore_NotMigratedYet(t *testing.T) {
	t.Parallel()
	s := postgrestest.Open(t, postgres.Options{
		URL: postgrestest.URL(t), Schema: postgrestest.Schema(t), MaxConns: 1, Keys: []postgres.Key{postgrestest.Key()},
	})
	require.NoError(t, s.Ping(t.Context()))
	_, err := s.Tenant(t.Context(), "acme")
	requireCode(t, webhook.CodeUnavailable, err)
}

func TestStore_OneConnectionIsEnough(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.MaxConns = 1 })
	b.tenant("acme")
	b.endpoint("acme")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := b.Accept(t.Context(), publication("acme", ""))
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := b.Sending(t.Context(), target("acme", r.Deliveries[0])); err != nil {
				t.Error(err)
			}
			if _, err := b.RecordAttempt(t.Context(), record("acme", r.Deliveries[0].ID, 1, webhook.StatusDelivered)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, 20, b.count(`SELECT count(*) FROM attempts`))
}

func TestStore_ReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	u, err := url.Parse(b.opts.URL)
	require.NoError(t, err)
	q := u.Query()
	q.Set("default_transaction_read_only", "on")
	u.RawQuery = q.Encode()
	o := b.opts
	o.URL = u.String()
	// A transaction of lib/pq asks for more than the default.
	_, err = postgrestest.Open(t, o).ForgetOnce(t.Context(), time.Hour, 10)
	requireCode(t, webhook.CodeUnavailable, err)
}

func TestClose_EndsTheCalls(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	require.NoError(t, b.Close())
	_, err := b.Accept(t.Context(), publication("acme", ""))
	requireCode(t, webhook.CodeUnavailable, err)
	_, err = b.RecordAttempt(t.Context(), record("acme", webhook.DeliveryID{}, 1, webhook.StatusDelivered))
	requireCode(t, webhook.CodeUnavailable, err)
	_, err = b.Tenant(t.Context(), "acme")
	require.Error(t, err)
}
