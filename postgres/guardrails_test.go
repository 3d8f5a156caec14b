package postgres_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

// calls are one of each kind: in a group, in a transaction, prepared, and by itself.
func calls(ctx context.Context, s *postgres.Store, d webhook.ReceiptDelivery) map[string]func() error {
	return map[string]func() error{
		"Ping":    func() error { return s.Ping(ctx) },
		"Accept":  func() error { _, err := s.Accept(ctx, publication("acme", "")); return err },
		"Sending": func() error { _, err := s.Sending(ctx, target("acme", d)); return err },
		"RecordAttempt": func() error {
			_, err := s.RecordAttempt(ctx, record("acme", d.ID, 1, webhook.StatusDelivered))
			return err
		},
		"DeleteDispatches": func() error { return s.DeleteDispatches(ctx, []webhook.EventKey{{}}) },
		"ClaimDispatches": func() error {
			_, _, err := s.ClaimDispatches(ctx, store.DispatchClaim{Limit: 1, Lease: time.Second})
			return err
		},
		"CountDispatches": func() error { _, err := s.CountDispatches(ctx, 1); return err },
		"HoldDelivery":    func() error { _, err := s.HoldDelivery(ctx, "acme", d.ID, now()); return err },
		"CancelDelivery":  func() error { _, err := s.CancelDelivery(ctx, "acme", d.ID, "", now()); return err },
		"DisableEndpoint": func() error {
			_, _, err := s.DisableEndpoint(ctx, "acme", d.EndpointID, webhook.Change{Reason: "", At: now()})
			return err
		},
		"UpdateTenant": func() error {
			_, err := s.UpdateTenant(ctx, "acme", func(*webhook.Tenant) error { return nil })
			return err
		},
		"Tenant":  func() error { _, err := s.Tenant(ctx, "acme"); return err },
		"History": func() error { _, err := s.History(ctx, "acme", uuid.NewString()); return err },
		"Deliveries": func() error {
			_, err := s.Deliveries(ctx, "acme", store.DeliveryFilter{Page: store.Page{Limit: 1}})
			return err
		},
		"Attempts":      func() error { _, err := s.Attempts(ctx, "acme", d.ID, store.Page{Limit: 1}); return err },
		"APIKeyByHash":  func() error { _, err := s.APIKeyByHash(ctx, []byte("x")); return err },
		"UnknownEvents": func() error { _, err := s.UnknownEvents(ctx, nil); return err },
		"CountStalled":  func() error { _, err := s.CountStalled(ctx, store.StallRule{}); return err },
		"IngestOutbox":  func() error { _, err := s.IngestOutbox(ctx, store.Ingestion{Rows: 1}); return err },
		"QueuesToWake":  func() error { _, err := s.QueuesToWake(ctx, d.EndpointID, 1); return err },
	}
}

// prepareCalls makes every call, so that its connections and its prepared statements are there.
func prepareCalls(ctx context.Context, s *postgres.Store, d webhook.ReceiptDelivery) {
	for range 2 {
		for _, call := range calls(ctx, s, d) {
			_ = call()
		}
	}
}

// A database that takes what it is sent and answers nothing: every call ends at Options.Timeout and the 2 s of the request to
// cancel, however many connections the pool has, and whether they are there or are to be made.
func TestStore_DatabaseHangs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	d := b.delivery()
	p, o := b.proxied(t)
	p.start(t)
	o.Timeout = time.Second
	const most = 3*time.Second + 1500*time.Millisecond // Timeout, the time to cancel, and that of a busy machine
	for round := range 2 {
		s := postgrestest.Open(t, o)
		if round == 0 { // with connections and prepared statements
			prepareCalls(t.Context(), s, d)
		}
		resume := p.hang()
		type ended struct {
			name string
			err  error
			took time.Duration
		}
		results := make(chan ended)
		all := calls(t.Context(), s, d)
		for name, call := range all {
			go func() {
				began := time.Now()
				err := call()
				results <- ended{name, err, time.Since(began)}
			}()
		}
		for range all {
			r := <-results
			requireCode(t, webhook.CodeUnavailable, r.err)
			require.Less(t, r.took, most, r.name)
		}
		resume()
		require.NoError(t, s.Close())
	}
}

// A statement that was given up does not go on in the database, whether the request to cancel it arrives or not.
func TestStore_DeadlineCancelsTheStatement(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	u, err := url.Parse(b.opts.URL)
	require.NoError(t, err)
	p := newProxy(t, u.Host)
	p.start(t)
	running := func(name string) int {
		return b.count(`SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND state <> 'idle'`, name)
	}
	for _, arrives := range []bool{true, false} {
		o := b.opts
		name := b.Schema() + "_given_up"
		q := u.Query()
		q.Set("application_name", name)
		proxied := *u
		proxied.Host, proxied.RawQuery = p.address, q.Encode()
		o.URL, o.Timeout = proxied.String(), time.Second
		s := postgrestest.Open(t, o)
		require.NoError(t, s.Ping(t.Context()))
		lock := b.beginBlocking(`LOCK TABLE tenants IN ACCESS EXCLUSIVE MODE`)
		done := make(chan error, 1)
		go func() { _, err := s.Tenant(t.Context(), "acme"); done <- err }()
		require.Eventually(t, func() bool { return running(name) == 1 }, 10*time.Second, 5*time.Millisecond)
		if !arrives {
			t.Cleanup(p.hang())
		}
		requireCode(t, webhook.CodeUnavailable, <-done)
		require.Eventually(t, func() bool { return running(name) == 0 }, 10*time.Second, 10*time.Millisecond,
			"the lock is still held, and the statement waits no more")
		require.NoError(t, lock.Rollback())
	}
}

// A process that stops in the middle of a transaction does not keep its locks.
func TestStore_GuardRailsOfTheSession(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.Timeout = 1500 * time.Millisecond })
	for setting, want := range map[string]string{"statement_timeout": "1500ms", "idle_in_transaction_session_timeout": "1500ms"} {
		require.Equal(t, want, postgres.Setting(t, b.Store, setting))
	}
}
