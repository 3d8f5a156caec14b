package worker

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"waybill/engine"
	"waybill/store"
	"waybill/webhook"
	"waybill/workflows"
)

// Limits of the dispatcher.
const (
	// DefaultStarts is how many starts are in flight at most. A start that misses its eager slot costs three times as
	// much, so few are better than many. More than one, because attempts that run at the same time share transactions.
	DefaultStarts = 32
	// startTimeout is below every lease, so that an event is not started by two processes at once.
	startTimeout = 5 * time.Second
	// queueSize is how many events wait in memory for their start: all of them are started well within a lease.
	queueSize = 512
	// maxPutOff bounds how long an event waits in dispatches for endpoints that are slow. After that it waits in a workflow.
	maxPutOff = 5 * time.Minute
	// unknownDialect is how long an event stays in dispatches whose dialect this process does not know.
	unknownDialect = 10 * time.Second
)

// Dispatcher starts the workflows of accepted events, right after the commit that accepted them, and deletes their dispatches.
// It keeps no promise of its own: what it does not get to stays in dispatches, where the relay finds it.
type Dispatcher struct {
	dispatches Dispatches
	starter    Starter
	dialects   map[string]*webhook.Dialect
	express    *Express
	// slots has one for each start that may be in flight.
	slots     chan struct{}
	stayAway  func([]webhook.EndpointID) time.Duration
	failpoint func(name string)
	log       *slog.Logger

	queue chan store.Dispatch
	// leftovers are events that express mode did not settle.
	leftovers chan *workflows.EventDeliveryInput
	// outcomes takes what became of dispatches, to be written down.
	outcomes chan outcome
	// down is set while starts fail. New events then stay in dispatches, and the relay tries.
	down atomic.Bool
}

// DispatcherOptions are the parts and the settings of a Dispatcher.
type DispatcherOptions struct {
	Dispatches Dispatches
	Starter    Starter
	Dialects   map[string]*webhook.Dialect
	// Express, when set, delivers in express mode for the tenants that it takes.
	Express *Express
	// Starts is how many starts are in flight at most; 0: DefaultStarts.
	Starts int
	// StayAway returns how long an event to these endpoints is to wait, because all of them are slow and busy; nil: no event
	// waits.
	StayAway func([]webhook.EndpointID) time.Duration
	// Failpoint is called at "after-claim" of the relay, and at "after-start" and "express-after-post" before the dispatch is
	// deleted, for tests that kill the process there.
	Failpoint func(name string)
	Logger    *slog.Logger
}

func (o *DispatcherOptions) setDefaults() {
	o.Starts = cmp.Or(o.Starts, DefaultStarts)
	if o.StayAway == nil {
		o.StayAway = func([]webhook.EndpointID) time.Duration { return 0 }
	}
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
}

// NewDispatcher returns a Dispatcher that does nothing before Run.
func NewDispatcher(o DispatcherOptions) *Dispatcher {
	o.setDefaults()
	return &Dispatcher{
		dispatches: o.Dispatches, starter: o.Starter, dialects: o.Dialects, express: o.Express, stayAway: o.StayAway, failpoint: o.Failpoint, log: o.Logger,
		slots: make(chan struct{}, o.Starts),
		queue: make(chan store.Dispatch, queueSize), outcomes: make(chan outcome, queueSize),
		leftovers: make(chan *workflows.EventDeliveryInput, queueSize),
	}
}

// Full reports whether new events are better left to the relay: starts fail, or events come faster than they start.
func (d *Dispatcher) Full() bool {
	return d.down.Load() && !d.express.takesAll() || len(d.queue) > queueSize/2
}

// Offer takes events that were accepted a moment ago. It never blocks: what it does not take, it leaves to the relay.
func (d *Dispatcher) Offer(events []store.Dispatch) {
	for _, e := range events {
		if !d.offer(e) {
			select {
			case d.outcomes <- outcome{key: e.EventKey}:
			default: // the lease runs out by itself
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

// Run starts what is offered until the context is done, finishes the starts under way and writes down what became of them.
func (d *Dispatcher) Run(ctx context.Context) {
	var working, starting, writing sync.WaitGroup
	events := cap(d.slots)
	if d.express != nil {
		events += expressAttempts
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
	close(d.leftovers)
	starting.Wait()
	d.leaveQueued()
	close(stop)
	writing.Wait()
}

// leaveQueued releases what this process will not start any more, so that nobody waits for its lease to run out.
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

func (d *Dispatcher) work(ctx context.Context) {
	// Select takes either of two ready cases: with a full queue some goroutine would go on for several starts.
	for ctx.Err() == nil {
		select {
		case e := <-d.queue:
			d.dispatch(ctx, &e)
		case <-ctx.Done():
			return
		}
	}
}

// dispatch settles one event or starts its workflow. It finishes what is under way even when the context is done, and does not
// begin a start after that.
func (d *Dispatcher) dispatch(ctx context.Context, e *store.Dispatch) {
	dialect, ok := d.dialects[e.Dialect]
	if !ok {
		d.log.Error("an event waits for a dialect that is not loaded", "tenant", e.TenantID, "event", e.EventID, "dialect", e.Dialect)
		d.outcomes <- outcome{key: e.EventKey, after: unknownDialect}
		return
	}
	if after := d.putOff(e); after > 0 {
		d.outcomes <- outcome{key: e.EventKey, after: after}
		return
	}
	in := engine.NewEventDeliveryInput(e, dialect)
	if d.express.takes(e) {
		d.dispatchExpress(context.WithoutCancel(ctx), in)
		return
	}
	d.outcomes <- outcome{key: in.EventKey, done: d.start(ctx, in)}
}

// putOff returns how long an event is to stay in dispatches, because all its endpoints are slow and busy. A workflow that only
// waits costs Temporal as much as one that delivers: beside an endpoint that hangs, it would keep the events of others waiting.
func (d *Dispatcher) putOff(e *store.Dispatch) time.Duration {
	if age := time.Since(e.EventKey.Time()); len(e.Deliveries) == 0 || age.Abs() > maxPutOff {
		return 0
	}
	endpoints := make([]webhook.EndpointID, len(e.Deliveries))
	for i, to := range e.Deliveries {
		endpoints[i] = to.EndpointID
	}
	return d.stayAway(endpoints)
}

// start starts the workflow of one event, once a slot is free, and reports whether it did.
func (d *Dispatcher) start(ctx context.Context, in *workflows.EventDeliveryInput) bool {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-d.slots }()
	if ctx.Err() != nil {
		return false // select takes either of two ready cases
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	err := d.starter.Start(ctx, in)
	if err == nil {
		d.failpoint("after-start")
		if d.down.Swap(false) {
			d.log.Info("workflows start again")
		}
		return true
	}
	if !d.down.Swap(true) {
		d.log.Warn("workflows do not start; accepted events wait to be dispatched", "error", err)
	}
	return false
}
