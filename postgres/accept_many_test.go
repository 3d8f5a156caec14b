package postgres_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"waybill/postgres"
	"waybill/webhook"
)

// Many events to many endpoints share transactions, but no transaction stores more deliveries than it may.
func TestAccept_ManyDeliveries(t *testing.T) {
	t.Parallel()
	const events, endpoints, most = 40, 5, 12
	b := setup(t, func(o *postgres.Options) { o.MaxDeliveries = most })
	b.tenant("acme")
	for range endpoints {
		b.endpoint("acme")
	}
	var group errgroup.Group
	for range events {
		group.Go(func() error {
			r, err := b.Accept(t.Context(), publication("acme", ""))
			if err == nil && len(r.Deliveries) != endpoints {
				t.Errorf("%d deliveries", len(r.Deliveries))
			}
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, events*endpoints, b.count(`SELECT count(*) FROM deliveries`))
	largest := b.count(`SELECT max(n) FROM (SELECT count(*) AS n FROM deliveries GROUP BY xmin) AS transactions`)
	require.LessOrEqual(t, largest, most)
	require.GreaterOrEqual(t, largest, endpoints)
}

// Damaged rows of one tenant are an error only for its own events.
func TestAccept_DamagedTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("bad")
	b.exec(`UPDATE endpoints SET retry = '"never"' WHERE id = $1`, b.endpoint("bad").ID)
	results := postgres.AcceptRun(t, b.Store, []*webhook.Publication{publication("bad", ""), publication("acme", ""), publication("nobody", "")})
	requireCode(t, webhook.CodeInternal, results[0])
	require.NoError(t, results[1])
	requireCode(t, webhook.CodeNotFound, results[2])
}

// While transactions of a tenant with very many endpoints are under way, another's events are stored.
func TestAccept_BesideAWideTenant(t *testing.T) {
	t.Parallel()
	var wide atomic.Int32
	gate := make(chan struct{})
	b := setup(t, func(o *postgres.Options) {
		o.Failpoint = func(name string) {
			if name == "before-commit" && wide.Add(-1) >= 0 {
				<-gate
			}
		}
	})
	openAll := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(openAll)
	b.tenant("wide")
	b.endpoint("wide")
	b.exec(`INSERT INTO endpoints (id, tenant_id, url, event_types, created_at, updated_at)
		SELECT gen_random_uuid(), tenant_id, url, event_types, created_at, updated_at FROM endpoints CROSS JOIN generate_series(1, 500)`)
	b.tenant("acme")
	b.endpoint("acme")
	require.Len(t, b.publish(publication("wide", "")).Deliveries, 501)
	wide.Store(2)
	var group errgroup.Group
	for range 2 {
		group.Go(func() error {
			_, err := b.Accept(t.Context(), publication("wide", ""))
			return err
		})
		left := wide.Load()
		require.Eventually(t, func() bool { return wide.Load() < left }, 10*time.Second, time.Millisecond)
	}
	b.publish(publication("acme", ""))
	openAll()
	require.NoError(t, group.Wait())
}
