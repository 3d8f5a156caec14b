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
	mu        sync.Mutex
	states    map[webhook.EventKey]*store.EventState
	stalled   []store.Stalled
	running   map[string]bool // by event id
	forgotten []store.EndpointRef
	unswept   int
	holder    string
	fail      error // of the workflows
	// bad are events, by id, whose repair fails so; nil: it panics.
	bad       map[string]error
	lookedFor []string // by Lives
	// pages are what RunningEvents lists. The first call for the page stuck hangs until its context is done, and the first token
	// is refused if refuse says so.
	pages  [][]store.EventRef
	stuck  int
	refuse bool
	tokens []string
	// badPages fail UnknownEvents, by the first event id.
	badPages map[string]error

	restarted []*workflows.EventDeliveryInput
	woken     []webhook.EndpointID
	onRestart func()
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
		# HELP waybill_reconciler_repaired_total Events whose lost workflow was restarted, and endpoints whose recovery was.
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
		m.running[fmt.Sprintf("orphan-%d", n)] = true
	}
	m.running["order-1"] = true
	m.forgotten = []store.EndpointRef{{TenantID: "acme"}}
	r := reconcile(t, m)
	eventually(t, shows(r, 0, 1, 30))
	m.mu.Lock()
	clear(m.running)
	m.mu.Unlock()
	eventually(t, shows(r, 0, 1, 0))
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
	require.Contains(t, log.String(), "event="+key(1).String())
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
	r := reconcile(t, m, func(o *worker.ReconcilerOptions) { o.StageTimeout, o.Logger = 200*time.Millisecond, log.logger() })
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
