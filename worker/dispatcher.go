package worker

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
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
	// DefaultStarts is how many starts are in flight at most. A start that misses its eager slot costs three times as much,
	// so a few are better than many. One would be too few, because attempts that run at the same time share transactions.
	DefaultStarts = 32
	// startTimeout is below every lease, so that an event is not started by two processes at once.
	startTimeout = 5 * time.Second
	// queueSize is how many events wait in memory for their start. It is low enough to start all of them well within a
	// lease.
	queueSize = 512
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

	queue chan store.Dispatch
	// leftovers are events that express mode did not settle, and turns makes the attempts of those that waited in a line.
	leftovers chan leftover
	turns     sync.WaitGroup
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
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
}

// NewDispatcher returns a Dispatcher that does nothing before Run.
func NewDispatcher(o DispatcherOptions) *Dispatcher {
	o.setDefaults()
	d := &Dispatcher{
		dispatches: o.Dispatches, starter: o.Starter, dialects: o.Dialects, express: o.Express, retryAfter: o.RetryAfter, failpoint: o.Failpoint, log: o.Logger,
		tracer: o.Tracer,
		slots:  make(chan struct{}, o.Starts),
		queue:  make(chan store.Dispatch, queueSize), outcomes: make(chan outcome, queueSize),
		leftovers: make(chan leftover, queueSize),
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

// Full reports whether new events should be left to the relay, because starts fail or events arrive faster than they start.
func (d *Dispatcher) Full() bool {
	return d.down.Load() && !d.express.takesAll() || len(d.queue) > queueSize/2
}

// Offer queues events that were accepted a moment ago. It never blocks: what does not fit into the queue is left to the
// relay.
func (d *Dispatcher) Offer(events []store.Dispatch) {
	for _, e := range events {
		if !d.offer(e) {
			select {
			case d.outcomes <- outcome{key: e.EventKey}:
			default: // the lease expires, and then the relay finds the event
			}
		}
	}
}

func (d *Dispatcher) offer(e store.Dispatch) bool {
	if d.down.Load() && !d.express.takes(&e) {
		return false
	}
	select {
	case d.queue <- e:
		return true
	default:
		return false
	}
}

// Run starts the workflows of offered events until the context is done. Then it finishes the starts in flight and writes
// their outcomes.
func (d *Dispatcher) Run(ctx context.Context) {
	var working, starting, writing sync.WaitGroup
	events := cap(d.slots)
	if d.express != nil {
		events += expressAttempts
		starting.Go(func() {
			<-ctx.Done()
			d.leaveLined()
		})
		for range leftoverStarts {
			starting.Go(func() { d.startLeftovers(ctx) })
		}
	}
	for range events {
		working.Go(func() { d.work(ctx) })
	}
	stop := make(chan struct{})
	writing.Go(func() { d.writeOutcomes(stop) })
	working.Wait()
	d.turns.Wait()
	close(d.leftovers)
	starting.Wait()
	d.leaveQueued()
	close(stop)
	writing.Wait()
}

// leaveQueued releases the events that this process will not start any more, so that their leases need not expire first.
func (d *Dispatcher) leaveQueued() {
	for {
		select {
		case e := <-d.queue:
			d.outcomes <- outcome{key: e.EventKey}
		default:
			return
		}
	}
}

// leaveLined releases the events that wait in lines.
func (d *Dispatcher) leaveLined() {
	for _, l := range d.express.lines.close() {
		d.outcomes <- outcome{key: l.in.EventKey}
	}
}

func (d *Dispatcher) work(ctx context.Context) {
	// When both are ready, select chooses at random. With a full queue a goroutine could make several more starts.
	for ctx.Err() == nil {
		select {
		case e := <-d.queue:
			if err := safely(d.log, func() error { d.dispatch(ctx, &e); return nil }); err != nil {
				d.outcomes <- d.refuse(&e, fault{err: err})
			}
		case <-ctx.Done():
			return
		}
	}
}

// dispatch settles one event or starts its workflow. When the context is done it finishes what has begun, and begins no
// start.
func (d *Dispatcher) dispatch(ctx context.Context, e *store.Dispatch) {
	if d.sendBack(e) {
		return
	}
	in := engine.NewEventDeliveryInput(e, d.dialects[e.Dialect])
	if d.express.takes(e) {
		d.dispatchExpress(context.WithoutCancel(ctx), leftover{event: e, in: in})
		return
	}
	d.outcomes <- d.start(ctx, e, in)
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
	if age := time.Since(e.EventKey.Time()); len(e.Deliveries) == 0 || age.Abs() > maxPutOff || d.express.takes(e) {
		return 0
	}
	endpoints := make([]webhook.EndpointID, len(e.Deliveries))
	for i, to := range e.Deliveries {
		endpoints[i] = to.EndpointID
	}
	return d.retryAfter(endpoints)
}

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
