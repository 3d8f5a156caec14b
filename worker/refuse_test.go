package worker_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"waybill/activities"
	"waybill/store"
	"waybill/webhook"
	"waybill/worker"
	"waybill/workflows"
)

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// release returns how an event was given back last; nil when it was not.
func (o *memDispatches) release(key webhook.EventKey) *store.Release {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, r := range slices.Backward(o.released) {
		if r.EventKey == key {
			return &r
		}
	}
	return nil
}

// faultOf fails the starts of the events below n with the error.
func faultOf(below int, err error) func(*workflows.EventDeliveryInput) error {
	return func(in *workflows.EventDeliveryInput) error {
		if in.EventKey.String() < key(below).String() {
			return err
		}
		return nil
	}
}

// All other events start, however many the engine refuses, and the dispatcher does not consider the engine down.
func TestDispatcher_RefusedEvents(t *testing.T) {
	t.Parallel()
	var log lines
	r := prometheus.NewRegistry()
	b := setup(t, func(o *worker.DispatcherOptions) { o.Logger, o.Registerer = log.logger(), r })
	b.starter.fault = faultOf(50, errRefused)
	var events []store.Dispatch
	for n := range 100 {
		events = append(events, event(n, 1))
	}
	b.dispatcher.Offer(events)
	eventually(t, b.dispatches.has(50, 50))
	require.False(t, b.isFull())
	for n := range 50 {
		require.Equal(t, &store.Release{EventKey: key(n), After: time.Second, Error: errRefused.Error()}, b.dispatches.release(key(n)))
		require.Equal(t, 1, strings.Count(log.String(), "dispatch="+key(n).String()), "one line a try")
	}
	require.Contains(t, log.String(), "tenant=acme")
	require.NoError(t, testutil.GatherAndCompare(r, strings.NewReader(`
		# HELP waybill_dispatches_refused_total Failed tries to dispatch an event where the event itself is the cause. The log names the event.
		# TYPE waybill_dispatches_refused_total counter
		waybill_dispatches_refused_total 50
		`)))
}

// The delay grows with each try up to ten minutes, and the tenth try is the last.
func TestDispatcher_SetsAside(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.starter.fault = faultOf(100, errRefused)
	for tries, want := range map[int]store.Release{
		0: {After: time.Second}, 1: {After: 2 * time.Second}, 3: {After: 8 * time.Second}, 8: {After: 256 * time.Second},
		9: {After: 512 * time.Second, SetAside: true}, 40: {After: 10 * time.Minute, SetAside: true},
	} {
		e := event(tries, 1)
		e.Tries, want.EventKey, want.Error = tries, e.EventKey, errRefused.Error()
		b.dispatcher.Offer([]store.Dispatch{e})
		eventually(t, func() bool { return b.dispatches.release(e.EventKey) != nil })
		require.Equal(t, &want, b.dispatches.release(e.EventKey))
	}
}

// An event for which alone the engine seems to be down is put off too, and never set aside: the engine may have too much to do.
func TestDispatcher_UnavailableForOneEvent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	begun, otherStarted := make(chan struct{}), make(chan struct{})
	goOn := sync.OnceFunc(func() { close(otherStarted) })
	t.Cleanup(goOn)
	b.starter.fault = func(in *workflows.EventDeliveryInput) error {
		if in.EventKey == key(1) {
			close(begun)
			<-otherStarted
			return errDown
		}
		return nil
	}
	bad := event(1, 1)
	bad.Tries = 30
	b.dispatcher.Offer([]store.Dispatch{bad})
	eventually(t, isClosed(begun)) // only a start that succeeds after this tells that the engine is up
	b.dispatcher.Offer([]store.Dispatch{event(2, 1)})
	eventually(t, b.dispatches.has(1, 0))
	goOn()
	eventually(t, b.dispatches.has(1, 1))
	require.Equal(t, &store.Release{EventKey: key(1), After: 10 * time.Minute, Error: errDown.Error()}, b.dispatches.release(key(1)))
	require.False(t, b.isFull())
}

func TestDispatcher_Panics(t *testing.T) {
	t.Parallel()
	var log lines
	b := setup(t, func(o *worker.DispatcherOptions) { o.Logger = log.logger() })
	b.starter.fault = func(in *workflows.EventDeliveryInput) error {
		if in.EventKey == key(1) {
			panic("no such policy")
		}
		return nil
	}
	b.dispatcher.Offer([]store.Dispatch{event(1, 1), event(2, 1)})
	eventually(t, b.dispatches.has(1, 1))
	require.Equal(t, &store.Release{EventKey: key(1), After: time.Second, Error: "panic: no such policy"}, b.dispatches.release(key(1)))
	require.Contains(t, log.String(), "refuse_test.go", "the stack")
}

// The stored text of an error is short and plain.
func TestDispatcher_ErrorText(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.starter.fault = faultOf(2, webhook.Errorf(webhook.CodeInvalid, "\x1b[2J\x00\xff%s", strings.Repeat("é", 1000)))
	b.dispatcher.Offer([]store.Dispatch{event(1, 1)})
	eventually(t, b.dispatches.has(0, 1))
	text := b.dispatches.release(key(1)).Error
	require.LessOrEqual(t, len(text), 500)
	require.Regexp(t, `^invalid:  \[2J \x{FFFD}é+$`, text)
}

// While the engine is down, events that could not be started anyway are no probes: the relay goes on to one that is.
func TestRelay_ProbesWithAnEventThatCanStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.starter.setDown(true)
	b.dispatcher.Offer([]store.Dispatch{event(1, 1)})
	eventually(t, b.dispatches.has(0, 1))
	require.True(t, b.isFull())
	b.starter.setDown(false)
	b.dispatches.mu.Lock()
	for n := range 300 { // at one probe a second, more than the test's patience
		bad := event(n+10, 1)
		if bad.Dialect = "gone"; n%2 == 0 {
			bad.Dialect, bad.Fault = "rheo", errors.New("a policy cannot be read")
		}
		b.dispatches.waiting = append(b.dispatches.waiting, bad)
	}
	b.dispatches.waiting = append(b.dispatches.waiting, event(1, 1))
	b.dispatches.mu.Unlock()
	background(t, worker.NewRelay(b.dispatches, b.dispatcher, slog.New(slog.DiscardHandler)).Run)
	eventually(t, b.dispatches.has(1, 301))
	require.Equal(t, "a policy cannot be read", b.dispatches.release(key(10)).Error)
}

// An event that is refused tells as well as one that starts that the engine is there.
func TestRelay_RefusedProbe(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.starter.setDown(true)
	b.dispatcher.Offer([]store.Dispatch{event(1, 1)})
	eventually(t, b.dispatches.has(0, 1))
	b.dispatches.mu.Lock()
	for n := range 100 {
		b.dispatches.waiting = append(b.dispatches.waiting, event(n+1, 1))
	}
	b.dispatches.mu.Unlock()
	b.starter.fault = faultOf(60, errRefused)
	b.starter.setDown(false)
	background(t, worker.NewRelay(b.dispatches, b.dispatcher, slog.New(slog.DiscardHandler)).Run)
	eventually(t, b.dispatches.has(41, 60))
}

// A process that does not know a dialect leaves the event to others, less and less often, and never sets it aside.
func TestDispatcher_UnknownDialectIsPutOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	e := event(1, 1)
	e.Dialect, e.Tries = "gone", 50
	b.dispatcher.Offer([]store.Dispatch{e})
	eventually(t, b.dispatches.has(0, 1))
	require.Equal(t, &store.Release{EventKey: key(1), After: time.Minute, Error: `the dialect "gone" is not loaded in this process`}, b.dispatches.release(key(1)))
}

// What express mode leaves over may be refused too, and a panic of an attempt is left to the workflow.
func TestExpress_RefusedLeftovers(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *worker.DispatcherOptions) {
		o.Express = worker.NewExpress(attempterFunc(func(activities.AttemptInput) (*activities.AttemptResult, error) { panic("attempt") }), awake, true)
	})
	b.starter.fault = faultOf(2, errRefused)
	b.dispatcher.Offer([]store.Dispatch{event(1, 2), event(2, 2)})
	eventually(t, b.dispatches.has(1, 1))
	require.Equal(t, &store.Release{EventKey: key(1), After: time.Second, Error: errRefused.Error()}, b.dispatches.release(key(1)))
	require.Equal(t, key(2), b.starter.all()[0].EventKey)
	require.Empty(t, b.starter.all()[0].Deliveries[0].Status)
}
