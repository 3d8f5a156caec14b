package worker_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
)

// Lost workflows are restarted, once for each event. Events that are only late, settled in the meantime or deleted are not
// touched.
func TestReconciler_Repairs(t *testing.T) {
	t.Parallel()
	m := newLog()
	lost := m.add(1, webhook.StatusPending, webhook.StatusDelivered, webhook.StatusPending)
	late := m.add(2, webhook.StatusPending)
	m.running[late.EventID] = true
	settled := m.add(3, webhook.StatusPending)
	settled.Log[0].Status = webhook.StatusDelivered
	delete(m.states, m.add(4, webhook.StatusPending).EventKey)
	m.add(5, webhook.StatusPending).Dialect = "gone"
	m.unswept = 3

	r := reconcile(t, m)
	eventually(t, shows(r, 4, 1, 0))
	eventually(t, m.rounds(3))
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Len(t, m.restarted, 1)
	require.Equal(t, lost.EventKey, m.restarted[0].EventKey)
	require.Equal(t, webhook.StatusDelivered, m.restarted[0].Deliveries[1].Status, "it is not sent again")
	require.Zero(t, m.unswept)
	require.Empty(t, m.woken)
}

// metric returns the value of a counter or gauge without labels.
func metric(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue() + f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	require.Fail(t, "there is no metric "+name)
	return 0
}

// A queue that is lost is started anew. One that runs is only slow; it is woken and not counted. One that cannot be woken keeps none of
// the others from it.
func TestReconciler_Queues(t *testing.T) {
	t.Parallel()
	m := newLog()
	for n := range 8 {
		m.overdue = append(m.overdue, endpoint(n+1))
	}
	m.queues = map[webhook.EndpointID]bool{endpoint(2).ID: true}
	m.badQueues = map[webhook.EndpointID]error{endpoint(1).ID: errRefused}
	r := reconcile(t, m)
	eventually(t, shows(r, 0, 6, 0))
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Contains(t, m.woken, endpoint(2).ID)
	require.Equal(t, []store.EndpointRef{endpoint(1)}, m.overdue)
	require.Positive(t, metric(t, r, "waybill_reconciler_failed_total"))
}

// An endpoint whose last failure was recorded by a process that died is disabled all the same.
func TestReconciler_DisablesWhatKeepsFailing(t *testing.T) {
	t.Parallel()
	m := newLog()
	m.failing = []store.FailingEndpoint{
		{EndpointRef: endpoint(1), Rule: webhook.AutoDisable{Failures: 3}}, {EndpointRef: endpoint(2), Rule: webhook.AutoDisable{Failures: 4}},
	}
	r := reconcile(t, m)
	eventually(t, shows(r, 0, 2, 0))
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Equal(t, []webhook.EndpointID{endpoint(1).ID, endpoint(2).ID}, m.disabled)
}

// What belongs to a queue does not need the event's workflow, and a new one does not get it.
func TestReconciler_LeavesToTheQueue(t *testing.T) {
	t.Parallel()
	m := newLog()
	s := m.add(1, webhook.StatusRetrying, webhook.StatusRetrying)
	s.Queued = map[webhook.DeliveryID]bool{s.Deliveries[0].ID: true}
	all := m.add(2, webhook.StatusRetrying)
	all.Queued = map[webhook.DeliveryID]bool{all.Deliveries[0].ID: true}
	r := reconcile(t, m)
	eventually(t, shows(r, 1, 1, 0))
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Len(t, m.restarted[0].Deliveries, 1)
	require.Equal(t, s.Deliveries[1].ID, m.restarted[0].Deliveries[0].ID)
}

// A process that does not reach the database has no lease any more once its time is over, and does not go on to tell what it saw before.
func TestReconciler_LeaseEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newLog()
		m.running[m.add(1, webhook.StatusPending).EventID] = true // late
		r := reconcile(t, m)
		pass := func(d time.Duration) float64 {
			time.Sleep(d) // of the test's own clock
			synctest.Wait()
			return metric(t, r, "waybill_reconciler_stalled")
		}
		require.EqualValues(t, 1, pass(time.Minute))
		m.mu.Lock()
		m.unleased = errDown
		m.mu.Unlock()
		require.EqualValues(t, 1, pass(time.Minute), "nobody else can have the lease")
		require.EqualValues(t, 0, pass(10*time.Minute))
	})
}

func TestReconciler_EngineDown(t *testing.T) {
	t.Parallel()
	m := newLog()
	m.add(1, webhook.StatusRetrying)
	m.unswept, m.fail = 1, errDown
	r := reconcile(t, m)
	eventually(t, shows(r, 1, 0, 0))
	eventually(t, func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.unswept == 0
	})
	m.mu.Lock()
	m.fail = nil
	m.mu.Unlock()
	eventually(t, shows(r, 0, 1, 0))
}

func TestReconciler_ReportsOrphans(t *testing.T) {
	t.Parallel()
	m := newLog()
	for n := range 30 {
		m.running[fmt.Sprintf("orphan-%d", n)] = true
	}
	m.running["order-1"] = true
	r := reconcile(t, m)
	eventually(t, shows(r, 0, 0, 30))
	m.mu.Lock()
	clear(m.running)
	m.mu.Unlock()
	eventually(t, shows(r, 0, 0, 0))
	require.Empty(t, m.restarted)
}

// A second process leaves the work to the first, and shows nothing of it.
func TestReconciler_OneAtATime(t *testing.T) {
	t.Parallel()
	m := newLog()
	late := m.add(1, webhook.StatusPending)
	m.running[late.EventID], m.running["orphan"] = true, true
	first := reconcile(t, m)
	eventually(t, shows(first, 1, 0, 1))
	second := reconcile(t, m)
	eventually(t, m.rounds(4))
	require.True(t, shows(second, 0, 0, 0)())

	m.mu.Lock()
	m.holder = "elsewhere"
	m.mu.Unlock()
	eventually(t, shows(first, 0, 0, 0))
}

// A process that stops lets the next one reconcile at once.
func TestReconciler_GivesTheLeaseBack(t *testing.T) {
	t.Parallel()
	m := newLog()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		worker.NewReconciler(worker.ReconcilerOptions{Log: m, Restarter: m, Logger: slog.New(slog.DiscardHandler)}).Run(ctx)
	}()
	eventually(t, m.rounds(1))
	stop()
	eventually(t, isClosed(ended))
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Empty(t, m.holder)
}

// Events that cannot be repaired, each for a reason of its own, keep none of the others from it, wherever they come.
func TestReconciler_BadEvents(t *testing.T) {
	t.Parallel()
	m := newLog()
	m.bad = map[string]error{}
	var log lines
	for n := range 12 {
		e := m.add(n+1, webhook.StatusPending)
		switch n {
		case 0, 5:
			m.bad[e.EventID] = errRefused
		case 1:
			m.bad[e.EventID] = nil // panics
		case 2, 3, 4: // as many as it takes to believe in an outage
			m.bad[e.EventID] = errDown
		}
	}
	r := reconcile(t, m, func(o *worker.ReconcilerOptions) { o.Logger = log.logger() })
	eventually(t, shows(r, 6, 6, 0))
	require.NotZero(t, metric(t, r, "waybill_reconciler_failed_total"))
	require.Contains(t, log.String(), "event_id="+key(1).String())
}

// While the engine is down a round asks it a few times, not for every event.
func TestReconciler_EngineDownIsOneOutage(t *testing.T) {
	t.Parallel()
	m := newLog()
	m.fail = errDown
	for n := range 100 {
		m.add(n+1, webhook.StatusPending)
	}
	reconcile(t, m)
	eventually(t, m.rounds(2))
	m.mu.Lock()
	defer m.mu.Unlock()
	require.LessOrEqual(t, len(m.lookedFor), 3*m.asked)
}

func pagesOf(ids ...string) [][]store.EventRef {
	var pages [][]store.EventRef
	for _, id := range ids {
		pages = append(pages, []store.EventRef{{TenantID: "acme", EventID: id}})
	}
	return pages
}

// A search that takes longer than a round continues in the next round, and logs it.
func TestReconciler_LongSearchForOrphans(t *testing.T) {
	t.Parallel()
	m := newLog()
	m.pages, m.stuck = pagesOf("orphan-1", "order-1", "orphan-2", "orphan-3"), 2
	var log lines
	r := reconcile(t, m, func(o *worker.ReconcilerOptions) { o.StageTimeout, o.Logger = 2*time.Second, log.logger() })
	eventually(t, shows(r, 0, 0, 3))
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Equal(t, []string{"", "1", "2", "2", "3"}, m.tokens[:5], "it does not begin again")
	require.Contains(t, log.String(), `the search for orphan workflows goes on in the next round" listed=2 found=1`)
}

// A list that cannot go on begins again, and a page that the database cannot look up is left out.
func TestReconciler_BadPagesOfOrphans(t *testing.T) {
	t.Parallel()
	m := newLog()
	m.pages, m.refuse = pagesOf("orphan-1", "bad", "orphan-2"), true
	m.badPages = map[string]error{"bad": errRefused}
	r := reconcile(t, m)
	eventually(t, shows(r, 0, 0, 2))
	m.mu.Lock()
	defer m.mu.Unlock()
	require.Equal(t, []string{"", "1", "", "1", "2"}, m.tokens[:5])
}
