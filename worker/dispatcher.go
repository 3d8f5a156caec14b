package worker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/engine"
	"waybill/store"
	"waybill/tracing"
	"waybill/webhook"
	"waybill/workflows"
)

// Limits of the dispatcher.
const (
	// DefaultStarts is how many starts are in flight at most. A start that misses its eager slot costs three times as much, and each takes as
	// long as all of them, other tenants' too, so a few are better than many. One would be too few, because attempts that run at the same
	// time share transactions. An installation whose Temporal is far away needs more.
	DefaultStarts = 8
	// startTimeout is below every lease, so that an event is not started by two processes at once.
	startTimeout = 5 * time.Second
	// outcomesSize is how many outcomes wait to be written.
	outcomesSize = 512
	// maxPutOff bounds how long an event waits in dispatches for endpoints that are slow. After that it waits in a workflow.
	maxPutOff = 5 * time.Minute
)

// Dispatcher starts the workflows of accepted events, right after the commit that accepted them, and deletes their
// dispatches. It guarantees nothing: an event that it does not start stays in dispatches, where the relay finds it.
type Dispatcher struct {
	dispatches Dispatches
	starter    Starter
	dialects   map[string]*webhook.Dialect
	express    *Express
	// slots holds one token for each start that may be in flight.
	slots      chan struct{}
	retryAfter func([]webhook.EndpointID) time.Duration
	failpoint  func(name string)
	log        *slog.Logger

	// starting are the events that wait for the start of their workflow, or for room at their endpoint. Those of express mode wait in its lines.
	starting *lines
	// leftovers are events that express mode did not settle, and attempting makes the attempts of those that are in it.
	leftovers  *leftovers
	attempting sync.WaitGroup
	// outcomes carries the results of dispatches to writeOutcomes.
	outcomes chan outcome
	// down is true while the engine does not answer. New events then stay in dispatches, and only the relay tries to start
	// them.
	down atomic.Bool
	// started counts the starts, and the wakes of queues, that succeeded.
	started atomic.Int64
	refused prometheus.Counter
	tracer  *tracing.Tracer
}

// DispatcherOptions are the dependencies and the settings of a Dispatcher.
type DispatcherOptions struct {
	Dispatches Dispatches
	Starter    Starter
	Dialects   map[string]*webhook.Dialect
	// Express delivers in express mode for the tenants that it accepts; nil: no express mode.
	Express *Express
	// Starts is how many starts are in flight at most; 0: DefaultStarts.
	Starts int
	// RetryAfter returns how long an event to these endpoints should wait, because all of them are slow and busy; nil: no
	// event waits.
	RetryAfter func([]webhook.EndpointID) time.Duration
	// Room returns how many more events to an endpoint may be started now; nil: as many as there are.
	Room func(webhook.EndpointID) int
	// Failpoint is called at "after-claim" of the relay, and at "after-start" and "express-after-post" before the dispatch is
	// deleted, for tests that kill the process there.
	Failpoint func(name string)
	// Registerer registers the metric; nil: it is not exported.
	Registerer prometheus.Registerer
	// Tracer starts the spans of dispatches; nil: there are none.
	Tracer *tracing.Tracer
	Logger *slog.Logger
}

func (o *DispatcherOptions) setDefaults() {
	o.Starts = cmp.Or(o.Starts, DefaultStarts)
	if o.RetryAfter == nil {
		o.RetryAfter = func([]webhook.EndpointID) time.Duration { return 0 }
	}
	if o.Room == nil {
		o.Room = func(webhook.EndpointID) int { return math.MaxInt }
	}
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
}

// NewDispatcher returns a Dispatcher that does nothing before Run.
func NewDispatcher(o DispatcherOptions) *Dispatcher {
	o.setDefaults()
	d := &Dispatcher{
		dispatches: o.Dispatches, starter: o.Starter, dialects: o.Dialects, express: o.Express, retryAfter: o.RetryAfter, failpoint: o.Failpoint, log: o.Logger,
		tracer:   o.Tracer,
		slots:    make(chan struct{}, o.Starts),
		starting: newLines(math.MaxInt, noRoom(o.Room)), outcomes: make(chan outcome, outcomesSize),
		leftovers: newLeftovers(),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_dispatches_refused_total",
			Help: "Failed tries to dispatch an event where the event itself is the cause. The log names the event.",
		}),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(d.refused)
	}
	return d
}

// Full reports whether a new event should be left to the relay, because starts fail or its tenant's events arrive faster than they are
// dispatched.
func (d *Dispatcher) Full(e *store.Dispatch) bool {
	return d.fails(e) || !d.lineOf(e).hasRoom(e.TenantID)
}

// fails reports whether an event needs a start, and starts fail.
func (d *Dispatcher) fails(e *store.Dispatch) bool { return d.down.Load() && !d.express.takes(e) }

// lineOf returns where an event waits.
func (d *Dispatcher) lineOf(e *store.Dispatch) *waiting {
	if d.express.takes(e) {
		return d.express.lines.waiting
	}
	return d.starting.waiting
}

// isFull reports whether nobody's events have room. noStarts: of those that need a start, whatever has room.
func (d *Dispatcher) isFull(noStarts bool) bool {
	if d.express == nil {
		return noStarts
	}
	return d.express.lines.isFull()
}

// crowded returns the tenants whose new events have no room.
func (d *Dispatcher) crowded() []string {
	out := d.starting.crowded()
	if d.express != nil {
		out = append(out, d.express.lines.crowded()...)
	}
	return out
}

// Offer queues events that were accepted a moment ago. It never blocks: what has no room is left to the relay.
func (d *Dispatcher) Offer(events []store.Dispatch) {
	for i := range events {
		e := &events[i]
		if d.fails(e) || !d.lineOf(e).offer(e) {
			d.leave(outcome{key: e.EventKey})
		}
	}
}

// leave releases an event, unless there is much to write. Its lease expires then, and the relay finds it.
func (d *Dispatcher) leave(o outcome) {
	select {
	case d.outcomes <- o:
	default:
	}
}

// Run starts the workflows of offered events until the context is done. Then it finishes the starts in flight and writes
// their outcomes.
func (d *Dispatcher) Run(ctx context.Context) {
	var working, leaving, starting, writing sync.WaitGroup
	leaving.Go(func() {
		<-ctx.Done()
		d.leaveWaiting()
	})
	if d.express != nil {
		for range leftoverStarts {
			starting.Go(func() { d.startLeftovers(ctx) })
		}
		working.Go(func() { d.workExpress(ctx) })
	}
	for range cap(d.slots) {
		working.Go(func() { d.work(ctx) })
	}
	working.Go(func() { d.tendLines(ctx) })
	stop := make(chan struct{})
	writing.Go(func() { d.writeOutcomes(stop) })
	working.Wait()
	d.attempting.Wait()
	d.leftovers.finish()
	starting.Wait()
	leaving.Wait()
	close(stop)
	writing.Wait()
}

// leaveWaiting releases the events that this process will not dispatch any more, so that their leases need not expire first.
func (d *Dispatcher) leaveWaiting() {
	left := d.starting.close()
	if d.express != nil {
		left = append(left, d.express.lines.close()...)
	}
	for i := range left {
		d.outcomes <- outcome{key: left[i].EventKey}
	}
}

func (d *Dispatcher) work(ctx context.Context) {
	for {
		e, ok := d.starting.next()
		if !ok {
			return
		}
		if err := safely(d.log, func() error { d.dispatch(ctx, e); return nil }); err != nil {
			d.outcomes <- d.refuse(e, fault{err: err})
		}
		d.starting.leaveStart(e)
	}
}

// dispatch starts the workflow of an event. When the context is done it finishes what has begun, and begins no start.
func (d *Dispatcher) dispatch(ctx context.Context, e *store.Dispatch) {
	if !d.sendBack(e) {
		d.outcomes <- d.start(ctx, e, engine.NewEventDeliveryInput(e, d.dialects[e.Dialect]))
	}
}

// sendBack reports whether an event cannot be started now for a reason outside of the engine. It then releases the event.
func (d *Dispatcher) sendBack(e *store.Dispatch) bool {
	switch after := d.putOff(e); {
	case e.Fault != nil:
		d.outcomes <- d.refuse(e, fault{err: e.Fault})
	case d.dialects[e.Dialect] == nil:
		d.outcomes <- d.refuse(e, fault{err: fmt.Errorf("the dialect %q is not loaded in this process", e.Dialect), most: maxDialectDelay, passing: true})
	case after > 0:
		d.outcomes <- outcome{key: e.EventKey, after: after}
	default:
		return false
	}
	return true
}

// putOff returns how long an event should stay in dispatches because all its endpoints are slow and busy. A workflow that
// only waits costs Temporal as much as one that delivers. Without this, the events of an endpoint that hangs would delay
// those of others. In express mode they wait in the endpoints' queues.
func (d *Dispatcher) putOff(e *store.Dispatch) time.Duration {
	if len(e.Deliveries) == 0 || isOld(e) || d.express.takes(e) {
		return 0
	}
	endpoints := make([]webhook.EndpointID, len(e.Deliveries))
	for i, to := range e.Deliveries {
		endpoints[i] = to.EndpointID
	}
	return d.retryAfter(endpoints)
}

// isOld reports whether an event waits no longer in dispatches. The time is that of the event's id, whose clock may be another.
func isOld(e *store.Dispatch) bool { return time.Since(e.EventKey.Time()).Abs() > maxPutOff }

// start starts the workflow of one event, once a slot is free.
func (d *Dispatcher) start(ctx context.Context, e *store.Dispatch, in *workflows.EventDeliveryInput) outcome {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return outcome{key: e.EventKey}
	}
	defer func() { <-d.slots }()
	if ctx.Err() != nil {
		return outcome{key: e.EventKey} // select chooses at random when both cases are ready
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	before := d.started.Load()
	ctx, span := d.tracer.Dispatch(ctx, e.Traceparent, eventOf(e), false)
	err := d.starter.Start(ctx, in)
	span.End(err)
	switch {
	case err == nil:
		d.started.Add(1)
		d.failpoint("after-start")
		d.setUp()
		return outcome{key: e.EventKey, done: true}
	case webhook.ErrorCode(err) == webhook.CodeInvalid:
		d.setUp() // the engine has answered
		return d.refuse(e, fault{err: err})
	case d.started.Load() != before:
		// The engine has started others meanwhile, so it is not down. It may have too much to do, so the event is not set aside.
		return d.refuse(e, fault{err: err, passing: true})
	}
	d.setDown(err)
	return outcome{key: e.EventKey}
}

func eventOf(e *store.Dispatch) tracing.Event {
	return tracing.Event{Tenant: e.TenantID, ID: e.EventID, Type: e.EventType}
}

func (d *Dispatcher) setDown(err error) {
	if !d.down.Swap(true) {
		d.log.Warn("workflows do not start; accepted events wait to be dispatched", "error", err)
	}
}

func (d *Dispatcher) setUp() {
	if d.down.Swap(false) {
		d.log.Info("workflows start again")
	}
}
