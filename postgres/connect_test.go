package postgres_test

import (
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/webhook"
)

// onHosts is the URL with other servers, host:port each.
func onHosts(t *testing.T, text string, options map[string]string, servers ...string) string {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	var hosts, ports []string
	for _, server := range servers {
		host, port, err := net.SplitHostPort(server)
		require.NoError(t, err)
		hosts, ports = append(hosts, host), append(ports, port)
	}
	q := u.Query()
	q.Set("port", strings.Join(ports, ","))
	for name, value := range options {
		q.Set(name, value)
	}
	u.Host, u.RawQuery = strings.Join(hosts, ","), q.Encode()
	return u.String()
}

func hostOf(t *testing.T, text string) string {
	t.Helper()
	u, err := url.Parse(text)
	require.NoError(t, err)
	return u.Host
}

// A URL may name several servers. Waybill uses the one that answers, and stays with it.
func TestStore_SeveralServers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	first, second := newProxy(t, hostOf(t, b.opts.URL)), newProxy(t, hostOf(t, b.opts.URL))
	o := b.opts
	o.URL, o.MaxConns = onHosts(t, o.URL, nil, first.address, second.address), 2
	s := postgrestest.Open(t, o)
	err := s.Ping(t.Context())
	requireCode(t, webhook.CodeUnavailable, err)
	require.ErrorContains(t, err, first.address)
	require.ErrorContains(t, err, second.address, "the error names every server that was tried")

	publish := func() {
		t.Helper()
		_, err := s.Accept(t.Context(), publication("acme", ""))
		require.NoError(t, err)
	}
	second.start(t)
	publish()
	first.start(t)
	second.closeConns()
	publish()
	require.Zero(t, first.dialed(), "what answered last is asked first")
	second.stop()
	publish()
	require.NotZero(t, first.dialed())
}

// A server that takes a connection and says nothing costs its share of the time to connect, once.
func TestStore_OneOfTheServersHangs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	dead, alive := newProxy(t, hostOf(t, b.opts.URL)), newProxy(t, hostOf(t, b.opts.URL))
	dead.start(t)
	alive.start(t)
	t.Cleanup(dead.hang())
	o := b.opts
	o.URL = onHosts(t, o.URL, nil, dead.address, alive.address)
	s := postgrestest.Open(t, o)
	began := time.Now()
	require.NoError(t, s.Ping(t.Context()), "the second server is reached within the timeout of the call")
	require.Greater(t, time.Since(began), 2*time.Second)
	alive.closeConns()
	began = time.Now()
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, 2*time.Second, time.Millisecond)
	require.Less(t, time.Since(began), 2*time.Second)
}

// A server that takes no writes is not used, and that is an outage.
func TestStore_OnlyAReadOnlyServer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	o := b.opts
	server := hostOf(t, o.URL)
	o.URL = onHosts(t, o.URL, map[string]string{"default_transaction_read_only": "on"}, server, server)
	s := postgrestest.Open(t, o)
	for name, call := range calls(t.Context(), s, webhook.ReceiptDelivery{}) {
		err := call()
		requireCode(t, webhook.CodeUnavailable, err)
		require.ErrorIs(t, err, postgres.ErrReadOnly, name)
	}
}

// A connection to a server that has stopped taking writes is thrown away with the first write that it refuses.
func TestStore_ServerBecomesReadOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	role := b.Schema()
	_, err := b.db.Exec(`CREATE ROLE ` + role + ` LOGIN SUPERUSER PASSWORD 'x'`)
	require.NoError(t, err)
	t.Cleanup(func() { _, err := b.db.Exec(`DROP ROLE ` + role); require.NoError(t, err) })
	u, err := url.Parse(b.opts.URL)
	require.NoError(t, err)
	u.User = url.UserPassword(role, "x")
	for name, options := range map[string]string{"by default": "", "with any server": "any"} {
		o := b.opts
		o.MaxConns = 1
		o.URL = onHosts(t, u.String(), map[string]string{"target_session_attrs": options}, u.Host)
		s := postgrestest.Open(t, o)
		forget := func() error { _, err := s.ForgetOnce(t.Context(), time.Hour, 10); return err }
		require.NoError(t, forget(), name)
		before := postgres.Backend(t, s)
		postgres.SetForSession(t, s, "default_transaction_read_only", "on")
		requireCode(t, webhook.CodeUnavailable, forget())
		require.NoError(t, forget(), "the next connection is to a server that takes writes: "+name)
		require.NotEqual(t, before, postgres.Backend(t, s), name)
	}
}
