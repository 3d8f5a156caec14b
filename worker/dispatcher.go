package worker

import (
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
	// much, so many are worse than few; but attempts that run at the same time share transactions.
	DefaultStarts = 32
	// startTimeout is below every lease, so that an event is not started by two processes at once.
	startTimeout = 5 * time.Second
	// queueSize is what is started well within a lease.
	queueSize = 512
	// maxPutOff bounds how long an event waits in dispatches for endpoints that are slow. After that it waits in a workflow.
	maxPutOff = 5 * time.Minute
	// unknownDialect is how long an event is left alone whose dialect this process does not know.
	unknownDialect = 10 * time.Second
)

// Dispatcher starts the workflows of accepted events, right after the commit that accepted them, and marks them
// dispatched. It keeps no promise of its own: what it does not get to is in dispatches, where the relay finds it.
type Dispatcher struct {
	dispatches Dispatches
	starter    Starter
	dialects   map[string]*webhook.Dialect
	express    *Express
	// starting has a place for each start that may be in flight.
	starting  chan struct{}
	stayAway  func([]webhook.EndpointID) time.Duration
	failpoint func(name string)
	log       *slog.Logger

	queue chan store.Dispatch
	// leftovers are events that express mode did not settle.
	leftovers chan *workflows.EventDeliveryInput
	// done takes what became of events, to be written down.
	done chan outcome
	// down is set while starts fail: then new events stay in dispatches and the relay tries.
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
	// StayAway returns for how long an event to these endpoints may as well wait, because all of them are slow and busy; nil:
	// none does.
	StayAway func([]webhook.EndpointID) time.Duration
	// Failpoint is called at "after-claim" of the relay, "after-start" (before the mark) and "express-after-post" (before
	// the mark), for tests that kill the process there.
	Failpoint func(name string)
	Logger    *slog.Logger
}

// NewDispatcher returns a Dispatcher that has not begun.
func NewDispatcher(o DispatcherOptions) *Dispatcher {
	if o.Starts == 0 {
		o.Starts = DefaultStarts
	}
	if o.StayAway == nil {
		o.StayAway = func([]webhook.EndpointID) time.Duration { return 0 }
	}
	if o.Failpoint == nil {
		o.Failpoint = func(string) {}
	}
	return &Dispatcher{
		dispatches: o.Dispatches, starter: o.Starter, dialects: o.Dialects, express: o.Express, stayAway: o.StayAway, failpoint: o.Failpoint, log: o.Logger,
		starting: make(chan struct{}, o.Starts),
		queue:    make(chan store.Dispatch, queueSize), done: make(chan outcome, queueSize),
		leftovers: make(chan *workflows.EventDeliveryInput, queueSize),
	}
}

// Full reports that new events are better left to the relay: starts fail, or events come faster than they start.
func (d *Dispatcher) Full() bool {
	return d.down.Load() && !d.express.takesAll() || len(d.queue) > queueSize/2
}

// Offer takes events that were accepted a moment ago. It never blocks: what it does not take, it leaves to the relay.
func (d *Dispatcher) Offer(events []store.Dispatch) {
	for _, e := range events {
		if !d.offer(e) {
			select {
			case d.done <- outcome{key: e.EventKey}:
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

// Run starts what is offered until the context is done, finishes the starts under way and marks them.
func (d *Dispatcher) Run(ctx context.Context) {
	var working, starting, marking sync.WaitGroup
	events := cap(d.starting)
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
	marking.Go(func() { d.mark(stop) })
	working.Wait()
	close(d.leftovers)
	starting.Wait()
	d.leaveQueued()
	close(stop)
	marking.Wait()
}

// leaveQueued gives back what nobody will start here any more, rather than let its lease run out.
func (d *Dispatcher) leaveQueued() {
	for {
		select {
		case e := <-d.queue:
			d.done <- outcome{key: e.EventKey}
		default:
			return
		}
	}
}

func (d *Dispatcher) work(ctx context.Context) {
	// Of two ready cases select takes either: with a full queue some worker would go on for several starts.
	for ctx.Err() == nil {
		select {
		case e := <-d.queue:
			d.dispatch(ctx, &e)
		case <-ctx.Done():
			return
		}
	}
}

// dispatch settles one event or starts its workflow. What is under way is finished even when the context is done; what
// only waits for its start is not begun.
func (d *Dispatcher) dispatch(ctx context.Context, e *store.Dispatch) {
	dialect, ok := d.dialects[e.Dialect]
	if !ok {
		d.log.Error("an event waits for a dialect that is not loaded", "tenant", e.TenantID, "event", e.EventID, "dialect", e.Dialect)
		d.done <- outcome{key: e.EventKey, after: unknownDialect}
		return
	}
	if after := d.putOff(e); after > 0 {
		d.done <- outcome{key: e.EventKey, after: after}
		return
	}
	in := engine.NewEventDeliveryInput(e, dialect)
	if d.express.takes(e) {
		d.dispatchExpress(context.WithoutCancel(ctx), in)
		return
	}
	d.done <- outcome{key: in.EventKey, ok: d.start(ctx, in)}
}

// putOff returns for how long an event is to stay in dispatches, because there is nobody to deliver it to at the moment. A
// workflow that only waits costs Temporal as much as one that delivers: beside an endpoint that hangs, it would keep the
// others' events waiting.
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

// start starts the workflow of one event, once there is room among those in flight.
func (d *Dispatcher) start(ctx context.Context, in *workflows.EventDeliveryInput) bool {
	select {
	case d.starting <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	defer func() { <-d.starting }()
	if ctx.Err() != nil {
		return false // of two ready cases select takes either
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
