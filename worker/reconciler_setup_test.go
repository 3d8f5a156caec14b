package worker_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
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

// memLog is a log in memory with the workflows that belong to it. An event that was restarted is not stalled any more.
type memLog struct {
	mu      sync.Mutex
	states  map[webhook.EventKey]*store.EventState
	stalled []store.Stalled
	running map[string]bool // by event id
	// overdue are endpoints whose queue is overdue, and queues those whose queue is running. failing are to be disabled.
	overdue  []store.EndpointRef
	queues   map[webhook.EndpointID]bool
	failing  []store.FailingEndpoint
	disabled []webhook.EndpointID
	unswept  int
	holder   string
	fail     error // of the workflows
	unleased error // of ClaimReconciler
	// bad are events, by id, whose repair fails so; nil: it panics.
	bad       map[string]error
	lookedFor []string // by Lives
	// pages are what RunningEvents lists. The first call for the page stuck hangs until its context is done, and the first token
	// is refused if refuse says so.
	pages  [][]store.EventRef
	stuck  int
	refuse bool
	tokens []string
	// badQueues fail WakeQueue.
	badQueues map[webhook.EndpointID]error
	// badPages fail UnknownEvents, by the first event id.
	badPages map[string]error

	restarted []*workflows.EventDeliveryInput
	woken     []webhook.EndpointID
	asked     int
}

func newLog() *memLog {
	return &memLog{states: map[webhook.EventKey]*store.EventState{}, running: map[string]bool{}}
}

// add adds a stalled event whose deliveries have the given statuses.
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
	m.states[s.EventKey] = s
	return s
}

func (m *memLog) ClaimReconciler(ctx context.Context, holder string, lease time.Duration) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.unleased != nil {
		return false, m.unleased
	}
	if m.holder == "" {
		m.holder = holder
	}
	mine := m.holder == holder
	if mine && lease == 0 {
		m.holder = ""
	}
	return mine, nil
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

func (m *memLog) OverdueQueues(_ context.Context, _ time.Duration, from webhook.EndpointID, limit int) ([]store.EndpointRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := slices.IndexFunc(m.overdue, func(e store.EndpointRef) bool { return e.ID == from }) + 1
	return slices.Clone(m.overdue[at:min(at+limit, len(m.overdue))]), nil
}

func (m *memLog) FailingEndpoints(context.Context, time.Duration, webhook.EndpointID, int) ([]store.FailingEndpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.failing), nil
}

func (m *memLog) IsQueueRunning(_ context.Context, _ string, endpoint webhook.EndpointID) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.queues[endpoint], m.fail
}

func (m *memLog) WakeQueue(_ context.Context, _ string, endpoint webhook.EndpointID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.badQueues[endpoint]; err != nil {
		return err
	}
	m.woken = append(m.woken, endpoint)
	m.overdue = slices.DeleteFunc(m.overdue, func(e store.EndpointRef) bool { return e.ID == endpoint })
	return nil
}

func (m *memLog) DisableFailing(_ context.Context, _ string, endpoint webhook.EndpointID, rule *webhook.AutoDisable, _ time.Time) (*webhook.Endpoint, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disabled = append(m.disabled, endpoint)
	m.failing = slices.DeleteFunc(m.failing, func(e store.FailingEndpoint) bool { return e.ID == endpoint && e.Rule == *rule })
	return nil, nil
}

func (m *memLog) EventState(_ context.Context, key webhook.EventKey) (*store.EventState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.states[key]
	if !ok {
		return nil, webhook.Errorf(webhook.CodeNotFound, "no such event")
	}
	return s, nil
}

func (m *memLog) UnknownEvents(_ context.Context, events []store.EventRef) ([]store.EventRef, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.badPages[events[0].EventID]; err != nil {
		return nil, err
	}
	return slices.DeleteFunc(events, func(e store.EventRef) bool { return !strings.HasPrefix(e.EventID, "orphan") }), nil
}

func (m *memLog) IsRunning(_ context.Context, _, eventID string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookedFor = append(m.lookedFor, eventID)
	if err := m.bad[eventID]; webhook.ErrorCode(err) == webhook.CodeUnavailable {
		return false, err
	}
	return m.running[eventID], m.fail
}

func (m *memLog) Restart(_ context.Context, in *workflows.EventDeliveryInput) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err, bad := m.bad[in.EventID]; bad {
		if err == nil {
			panic("restart " + in.EventID)
		}
		return err
	}
	m.restarted = append(m.restarted, in)
	m.stalled = slices.DeleteFunc(m.stalled, func(d store.Stalled) bool { return d.EventKey == in.EventKey })
	return nil
}

// RunningEvents lists pages, or else all of running on one page. A token is the number of its page.
func (m *memLog) RunningEvents(ctx context.Context, _ time.Time, token []byte) ([]store.EventRef, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens = append(m.tokens, string(token))
	if m.pages == nil {
		var page []store.EventRef
		for id := range m.running {
			page = append(page, store.EventRef{TenantID: "acme", EventID: id})
		}
		return page, nil, nil
	}
	n, _ := strconv.Atoi(string(token)) // none: the first page
	if n == m.stuck && n > 0 {
		m.stuck = 0
		m.mu.Unlock()
		<-ctx.Done()
		m.mu.Lock()
		return nil, nil, webhook.Errorf(webhook.CodeUnavailable, "too slow").WithCause(ctx.Err())
	}
	if n > 0 && m.refuse {
		m.refuse = false
		return nil, nil, webhook.Errorf(webhook.CodeInvalid, "the token is not known")
	}
	if n+1 == len(m.pages) {
		return slices.Clone(m.pages[n]), nil, nil
	}
	return slices.Clone(m.pages[n]), []byte(strconv.Itoa(n + 1)), nil
}

// reconcile runs a reconciler over m.
func reconcile(t *testing.T, m *memLog, change ...func(*worker.ReconcilerOptions)) *prometheus.Registry {
	t.Helper()
	data, err := fs.ReadFile(schemas.Dialects(), "rheo.json")
	require.NoError(t, err)
	rheo, err := webhook.ParseDialect(data)
	require.NoError(t, err)
	r := prometheus.NewRegistry()
	o := worker.ReconcilerOptions{
		Log: m, Restarter: m, Dialects: map[string]*webhook.Dialect{"rheo": rheo}, After: time.Second, Registerer: r,
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&o)
	}
	background(t, worker.NewReconciler(o).Run)
	return r
}

// shows reports whether the metrics say so.
func shows(r *prometheus.Registry, stalled, repaired, orphans int) func() bool {
	want := fmt.Sprintf(`
		# HELP waybill_reconciler_orphan_workflows Running workflows whose event is not stored.
		# TYPE waybill_reconciler_orphan_workflows gauge
		waybill_reconciler_orphan_workflows %d
		# HELP waybill_reconciler_repaired_total Events whose lost workflow was restarted, endpoints whose lost queue was, and failing endpoints that were disabled late.
		# TYPE waybill_reconciler_repaired_total counter
		waybill_reconciler_repaired_total %d
		# HELP waybill_reconciler_stalled Stalled deliveries: their next attempt, or the end of their hold, is overdue.
		# TYPE waybill_reconciler_stalled gauge
		waybill_reconciler_stalled %d
		`, orphans, repaired, stalled)
	return func() bool {
		return testutil.GatherAndCompare(r, strings.NewReader(want),
			"waybill_reconciler_stalled", "waybill_reconciler_repaired_total", "waybill_reconciler_orphan_workflows") == nil
	}
}

func (m *memLog) rounds(n int) func() bool {
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return m.asked >= n
	}
}
