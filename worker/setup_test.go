package worker_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/schemas"
	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
	"waybill/workflows"
)

// memDispatches keeps dispatches in memory. A claimed event stays claimed until it is deleted or released.
type memDispatches struct {
	mu       sync.Mutex
	waiting  []store.Dispatch
	claimed  map[webhook.EventKey]store.Dispatch
	deleted  []webhook.EventKey
	released []store.Release
	limits   []int
	wake     []store.EndpointRef
	fail     error
	created  int // calls of EnsurePartitions
	forgot   int // calls of ForgetLostDispatches
	trimmed  int // calls of TrimQuarantine
	// unowned are the events whose deliveries AdoptHeld adopts, tooLong the pages that ExpireHeld has left, and holds what it was told.
	unowned   []string
	tooLong   int
	holds     map[string]time.Duration
	expired   int // idempotency keys that are left to forget
	oldSeals  map[string]int
	expiring  []store.ExpiringCertificate
	uncounted int // pages of statistics that CompactStats leaves
	retained  []store.RetentionRule
	erased    int // events whose answers FinishErasedEvents erases
	erasing   []string
}

func newDispatches() *memDispatches {
	return &memDispatches{claimed: map[webhook.EventKey]store.Dispatch{}}
}

func (o *memDispatches) ClaimDispatches(_ context.Context, c store.DispatchClaim) (out []store.Dispatch, last string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limits = append(o.limits, c.Limit)
	if o.fail != nil {
		return nil, "", o.fail
	}
	o.waiting = slices.DeleteFunc(o.waiting, func(e store.Dispatch) bool {
		if len(out) == c.Limit || slices.Contains(c.Without, e.TenantID) || c.ExpressOnly && !e.Express {
			return false
		}
		o.claimed[e.EventKey] = e
		out = append(out, e)
		return true
	})
	return out, "", nil
}

func (o *memDispatches) DeleteDispatches(_ context.Context, keys []webhook.EventKey) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deleted = append(o.deleted, keys...)
	return o.fail
}

func (o *memDispatches) ReleaseDispatches(_ context.Context, releases []store.Release) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.released = append(o.released, releases...)
	for _, r := range releases {
		if e, ok := o.claimed[r.EventKey]; ok && r.After == 0 {
			o.waiting = append(o.waiting, e)
		}
	}
	return o.fail
}

func (o *memDispatches) AdoptHeld(context.Context, int) ([]store.AdoptedDelivery, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var adopted []store.AdoptedDelivery
	for _, id := range o.unowned {
		adopted = append(adopted, store.AdoptedDelivery{TenantID: "acme", EventID: id})
	}
	o.unowned = nil
	return adopted, o.fail
}

func (o *memDispatches) ExpireHeld(_ context.Context, holds map[string]time.Duration, _ time.Time, _ int) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tooLong, o.holds = max(o.tooLong-1, 0), holds
	return o.tooLong > 0, o.fail
}

// QueuesToWake expects o.wake in the order of its ids.
func (o *memDispatches) QueuesToWake(_ context.Context, after webhook.EndpointID, limit int) ([]store.EndpointRef, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := slices.IndexFunc(o.wake, func(e store.EndpointRef) bool { return e.ID == after }) + 1
	return o.wake[from:min(from+limit, len(o.wake))], o.fail
}

func (o *memDispatches) CountSetAside(context.Context, int) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for _, r := range o.released {
		if r.SetAside {
			n++
		}
	}
	return n, o.fail
}

func (o *memDispatches) ForgetLostDispatches(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forgot++
	return o.fail
}

func (o *memDispatches) ForgetOnce(_ context.Context, age time.Duration, limit int) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if age != 24*time.Hour {
		return false, errors.New("not the time that the API promises")
	}
	n := min(limit, o.expired)
	o.expired -= n
	return n == limit, nil
}

func (o *memDispatches) ForgetEndedSecrets(context.Context, time.Duration, int) (bool, error) {
	return false, o.fail
}

func (o *memDispatches) CompactStats(context.Context, time.Duration, int) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.uncounted--
	return o.uncounted > 0, nil
}

func (o *memDispatches) OldSeals(context.Context) (map[string]int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.oldSeals), o.fail
}

func (o *memDispatches) FinishErasedEvents(_ context.Context, _ time.Duration, limit int) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(limit, o.erased)
	o.erased -= n
	return n == limit, nil
}

func (o *memDispatches) OpenErasures(context.Context, int) ([]string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.erasing, nil
}

func (o *memDispatches) Retain(_ context.Context, rule store.RetentionRule) ([]store.Expired, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.retained = append(o.retained, rule)
	return []store.Expired{{What: "events_2020_01", Rows: 7, Bytes: 1 << 20}, {What: "audit entries", Rows: 3}}, o.fail
}

func (o *memDispatches) WarnOfCertificates(_ context.Context, _ time.Time, limit int) ([]store.ExpiringCertificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(limit, len(o.expiring))
	warned := o.expiring[:n]
	o.expiring = o.expiring[n:]
	return warned, o.fail
}

func (o *memDispatches) TrimQuarantine(context.Context) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trimmed++
	return 0, o.fail
}

func (o *memDispatches) EnsurePartitions(context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.created++
	return o.fail
}

// has reports how many events were deleted and released.
func (o *memDispatches) has(deleted, released int) func() bool {
	return func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return len(o.deleted) == deleted && len(o.released) == released
	}
}

// fakeStarter writes down what it starts.
type fakeStarter struct {
	mu      sync.Mutex
	started []*workflows.EventDeliveryInput
	woken   []store.EndpointRef
	told    []string
	erasing []string
	down    bool
	gate    chan struct{} // when set, a start waits for it
	begun   []string      // the tenant of each start, before the gate
	open    func()        // lets all starts pass the gate
	// fault, when set, is asked for the error of each start, and wakeFault for that of each wake. It may panic.
	fault     func(*workflows.EventDeliveryInput) error
	wakeFault func(webhook.EndpointID) error
}

var (
	errDown    = webhook.Errorf(webhook.CodeUnavailable, "the engine does not answer")
	errRefused = webhook.Errorf(webhook.CodeInvalid, "the engine refuses it")
)

func (f *fakeStarter) Start(_ context.Context, in *workflows.EventDeliveryInput) error {
	f.mu.Lock()
	f.begun = append(f.begun, in.Tenant)
	f.mu.Unlock()
	if f.fault != nil {
		if err := f.fault(in); err != nil {
			return err
		}
	}
	if f.gate != nil {
		<-f.gate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errDown
	}
	f.started = append(f.started, in)
	return nil
}

func (f *fakeStarter) WakeQueue(_ context.Context, tenant string, id webhook.EndpointID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errDown
	}
	if f.wakeFault != nil {
		if err := f.wakeFault(id); err != nil {
			return err
		}
	}
	f.woken = append(f.woken, store.EndpointRef{TenantID: tenant, ID: id})
	return nil
}

func (f *fakeStarter) StartErasure(_ context.Context, tenant string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errDown
	}
	f.erasing = append(f.erasing, tenant)
	return nil
}

func (f *fakeStarter) TellHandedOver(_ context.Context, _, eventID string, _ webhook.EndpointID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, eventID)
	return nil
}

// block makes starts wait at the gate. They pass when the test has ended, so that one that fails ends, too.
func (f *fakeStarter) block(t *testing.T) {
	t.Helper()
	f.gate = make(chan struct{})
	f.open = sync.OnceFunc(func() { close(f.gate) })
	t.Cleanup(f.open)
}

// beginnings returns the tenants of the starts in the order in which they begin.
func (f *fakeStarter) beginnings() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.begun)
}

func (f *fakeStarter) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *fakeStarter) all() []*workflows.EventDeliveryInput {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.started)
}

func key(n int) webhook.EventKey {
	return webhook.NewID[webhook.EventKey]([16]byte{14: byte(n >> 8), 15: byte(n)})
}

// event is event n, to as many endpoints.
func event(n, endpoints int) store.Dispatch {
	e := store.Dispatch{EventKey: key(n), TenantID: "acme", EventID: key(n).String(), EventType: "item.sold", Dialect: "rheo"}
	for i := range endpoints {
		e.Deliveries = append(e.Deliveries, store.DispatchDelivery{
			ID:         webhook.NewID[webhook.DeliveryID]([16]byte{1: byte(n), 15: byte(i + 1)}),
			EndpointID: webhook.NewID[webhook.EndpointID]([16]byte{15: byte(i + 1)}),
		})
	}
	return e
}

// bundle is a running dispatcher.
type bundle struct {
	dispatches *memDispatches
	starter    *fakeStarter
	dispatcher *worker.Dispatcher
	stop       func()
}

func setup(t *testing.T, change ...func(*worker.DispatcherOptions)) *bundle {
	t.Helper()
	data, err := fs.ReadFile(schemas.Dialects(), "rheo.json")
	require.NoError(t, err)
	rheo, err := webhook.ParseDialect(data)
	require.NoError(t, err)
	b := &bundle{dispatches: newDispatches(), starter: &fakeStarter{}}
	options := worker.DispatcherOptions{
		Dispatches: b.dispatches, Starter: b.starter, Dialects: map[string]*webhook.Dialect{"rheo": rheo}, Starts: 2, Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&options)
	}
	b.dispatcher = worker.NewDispatcher(options)
	b.stop = background(t, b.dispatcher.Run)
	return b
}

// isFull reports whether a further event of acme would be left to the relay.
func (b *bundle) isFull() bool {
	e := event(1, 1)
	return b.dispatcher.Full(&e)
}

// background runs a loop until the returned function, or the test's end, stops it and has waited for it.
func background(t *testing.T, run func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 10*time.Second, time.Millisecond)
}

// passGate lets one of those pass that wait at a gate.
func passGate(t *testing.T, gate chan<- struct{}) {
	t.Helper()
	select {
	case gate <- struct{}{}:
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing waits at the gate")
	}
}

// isClosed reports whether nothing waits for the channel any more.
func isClosed(c <-chan struct{}) func() bool {
	return func() bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
}
