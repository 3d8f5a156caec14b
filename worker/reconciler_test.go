package worker_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/schemas"
	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
	"waybill/workflows"
)

// memLog is a log in memory, and the workflows that belong to it. What is started anew stands still no more.
type memLog struct {
	mu        sync.Mutex
	standing  map[webhook.EventKey]*store.EventState
	stalled   []store.Stalled
	lives     map[string]bool // by event id
	forgotten []store.EndpointRef
	unswept   int
	holder    string
	fail      error // of the workflows

	restarted []*workflows.EventDeliveryInput
	woken     []webhook.EndpointID
	onRestart func()
	asked     int
}

func newLog() *memLog {
	return &memLog{standing: map[webhook.EventKey]*store.EventState{}, lives: map[string]bool{}}
}

// add lets an event stand still, whose deliveries have the given statuses.
func (m *memLog) add(n int, statuses ...webhook.Status) *store.EventState {
	s := &store.EventState{Dispatch: event(n, len(statuses)), HeldAt: map[webhook.DeliveryID]time.Time{}}
	for i, d := range s.Deliveries {
		s.Log = append(s.Log, webhook.DeliveryHistory{ID: d.ID, EndpointID: d.EndpointID, Status: statuses[i]})
		if statuses[i] == webhook.StatusHeld {
			s.HeldAt[d.ID] = time.Now().Add(-time.Hour)
		}
		if !statuses[i].Settled() {
			m.stalled = append(m.stalled, store.Stalled{ID: d.ID, TenantID: "acme", EventID: s.EventID, EventKey: s.EventKey})
		}
	}
	m.standing[s.EventKey] = s
	return s
}

func (m *memLog) ClaimReconciler(_ context.Context, holder string, _ time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.holder == "" {
		m.holder = holder
	}
	return m.holder == holder, nil
}

func (m *memLog) SweepDeliveries(context.Context, time.Duration, int) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unswept > 0 {
		m.unswept--
	}
	return m.unswept > 0, nil
}

func (m *memLog) StalledDeliveries(_ context.Context, _ store.StallRule, after store.Stalled, limit int) ([]store.Stalled, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := slices.IndexFunc(m.stalled, func(d store.Stalled) bool { return d.ID == after.ID }) + 1
	return slices.Clone(m.stalled[from:min(from+limit, len(m.stalled))]), nil
}

func (m *memLog) CountStalled(context.Context, store.StallRule) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.stalled), nil
}

func (m *memLog) RecoverForgotten(context.Context, time.Duration) ([]store.EndpointRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	marked := m.forgotten
	m.forgotten = nil
	return marked, nil
}

func (m *memLog) EventState(_ context.Context, key webhook.EventKey) (*store.EventState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.standing[key]
	if !ok {
		return nil, webhook.Errorf(webhook.CodeNotFound, "no such event")
	}
	return s, nil
}

func (m *memLog) UnknownEvents(_ context.Context, events []store.EventRef) ([]store.EventRef, error) {
	return slices.DeleteFunc(events, func(e store.EventRef) bool { return !strings.HasPrefix(e.EventID, "orphan") }), nil
}

func (m *memLog) Lives(_ context.Context, _, eventID string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lives[eventID], m.fail
}

func (m *memLog) Restart(_ context.Context, in *workflows.EventDeliveryInput) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.restarted = append(m.restarted, in)
	m.stalled = slices.DeleteFunc(m.stalled, func(d store.Stalled) bool { return d.EventKey == in.EventKey })
	if m.onRestart != nil {
		m.onRestart()
	}
	return nil
}

func (m *memLog) WakeDelivery(_ context.Context, _, _ string, endpoint webhook.EndpointID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.woken = append(m.woken, endpoint)
	return nil
}

func (m *memLog) LivingEvents(_ context.Context, _ time.Time, visit func([]store.EventRef) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var page []store.EventRef
	for id := range m.lives {
		page = append(page, store.EventRef{TenantID: "acme", EventID: id})
	}
	return visit(page)
}

// reconcile runs a reconciler over m.
func reconcile(t *testing.T, m *memLog) *prometheus.Registry {
	t.Helper()
	data, err := fs.ReadFile(schemas.Dialects(), "rheo.json")
	require.NoError(t, err)
	rheo, err := webhook.ParseDialect(data)
	require.NoError(t, err)
	r := prometheus.NewRegistry()
	background(t, worker.NewReconciler(worker.ReconcilerOptions{
		Log: m, Restarter: m, Dialects: map[string]*webhook.Dialect{"rheo": rheo}, After: time.Second, Registerer: r,
		Logger: slog.New(slog.DiscardHandler),
	}).Run)
	return r
}

// shows reports whether the metrics say so.
func shows(r *prometheus.Registry, stalled, repaired, orphans int) func() bool {
	want := fmt.Sprintf(`
		# HELP waybill_reconciler_orphan_workflows Workflows that live and whose event is not stored.
		# TYPE waybill_reconciler_orphan_workflows gauge
		waybill_reconciler_orphan_workflows %d
		# HELP waybill_reconciler_repaired_total Events whose lost workflow was started anew, and endpoints whose recovery was.
		# TYPE waybill_reconciler_repaired_total counter
		waybill_reconciler_repaired_total %d
		# HELP waybill_reconciler_stalled Deliveries that stand still: their next attempt, or the end of their hold, is overdue.
		# TYPE waybill_reconciler_stalled gauge
		waybill_reconciler_stalled %d
		`, orphans, repaired, stalled)
	return func() bool { return testutil.GatherAndCompare(r, strings.NewReader(want)) == nil }
}

func (m *memLog) rounds(n int) func() bool {
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.asked >= n
	}
}

// What has lost its workflow is started anew, once for each event; what is late, settled meanwhile or gone is left alone.
func TestReconciler_Repairs(t *testing.T) {
	t.Parallel()
	m := newLog()
	lost := m.add(1, webhook.StatusPending, webhook.StatusDelivered, webhook.StatusPending)
	late := m.add(2, webhook.StatusPending)
	m.lives[late.EventID] = true
	settled := m.add(3, webhook.StatusPending)
	settled.Log[0].Status = webhook.StatusDelivered
	delete(m.standing, m.add(4, webhook.StatusPending).EventKey)
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

// The recovery of an endpoint may come between what a new workflow is told and its start.
func TestReconciler_WakesWhatWasReleasedMeanwhile(t *testing.T) {
	t.Parallel()
	m := newLog()
	m.add(1, webhook.StatusHeld, webhook.StatusHeld)
	m.onRestart = func() {
		after := m.add(1, webhook.StatusPending, webhook.StatusHeld)
		m.stalled = nil
		require.Len(t, after.HeldAt, 1)
	}
	r := reconcile(t, m)
	eventually(t, shows(r, 0, 1, 0))
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.restarted[0]
	require.Equal(t, webhook.StatusHeld, in.Deliveries[0].Status)
	require.WithinDuration(t, time.Now().Add(71*time.Hour), in.Deliveries[0].NextAttemptAt, time.Minute, "the hold is not prolonged")
	require.Equal(t, []webhook.EndpointID{in.Deliveries[0].EndpointID}, m.woken)
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

func TestReconciler_ReportsOrphansAndForgottenEndpoints(t *testing.T) {
	t.Parallel()
	m := newLog()
	for n := range 30 {
		m.lives[fmt.Sprintf("orphan-%d", n)] = true
	}
	m.lives["order-1"] = true
	m.forgotten = []store.EndpointRef{{TenantID: "acme"}}
	r := reconcile(t, m)
	eventually(t, shows(r, 0, 1, 30))
	m.mu.Lock()
	clear(m.lives)
	m.mu.Unlock()
	eventually(t, shows(r, 0, 1, 0))
	require.Empty(t, m.restarted)
}

// A second process leaves the work to the first, and shows nothing of it.
func TestReconciler_OneAtATime(t *testing.T) {
	t.Parallel()
	m := newLog()
	late := m.add(1, webhook.StatusPending)
	m.lives[late.EventID], m.lives["orphan"] = true, true
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
