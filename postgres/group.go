package postgres

import (
	"context"
	"sync"
	"time"

	"waybill/tracing"
	"waybill/turns"
	"waybill/webhook"
)

// result is what one request of a group gets.
type result[Out any] struct {
	out Out
	err error
	// again puts the request before all others of its tenant, because it must run after another one of this run.
	again bool
}

// group gathers concurrent requests into shared runs. Requests that arrive while the maximum of runs is in progress form
// the next run. A lone request runs at once and is not delayed; many requests share the cost of one transaction. Tenants take turns.
type group[In, Out any] struct {
	// run serves the requests together: one result for each, or an error when it could serve none.
	run     func(ctx context.Context, in []In) ([]result[Out], error)
	size    int // most requests of a run
	limit   int // most runs at the same time
	timeout time.Duration
	// tenantOf says whose turn a request takes; nil: all requests are in one line.
	tenantOf func(In) string
	// weigh, where set, keeps the weight of a run at maxWeight, unless a single request exceeds it.
	weigh     func(In) int
	maxWeight int
	// linger, where set, is how long a run waits for further requests when another run began a moment ago. It is for
	// requests whose latency does not matter. Once enoughRequests are waiting, the run begins.
	linger time.Duration
	enough chan struct{}
	// name is the span's of each run of traced requests; "": there is none.
	name   string
	tracer *tracing.Tracer

	mu      sync.Mutex
	waiting turns.Lines[*request[In, Out]]
	// next goes before all that wait, because it was too heavy for the last run; nil: none was.
	next    *request[In, Out]
	running int
	latest  time.Time // when the latest run began
	closed  bool
	workers sync.WaitGroup
}

type request[In, Out any] struct {
	ctx  context.Context
	in   In
	done chan result[Out] // buffered, so that nothing waits for a caller that has left
}

func newGroup[In, Out any](o Options, limit int, run func(context.Context, []In) ([]result[Out], error)) *group[In, Out] {
	return &group[In, Out]{run: run, tracer: o.Tracer, size: o.MaxGroup, limit: limit, timeout: o.Timeout, enough: make(chan struct{}, 1)}
}

// do returns the result of in. A caller whose context ends, or who has waited as long as a call may take, gets
// CodeUnavailable. A run that has begun continues, so the request may still take effect.
func (g *group[In, Out]) do(ctx context.Context, in In) (Out, error) {
	ctx, cancel := context.WithTimeout(ctx, g.timeout+cancelTime)
	defer cancel()
	r := &request[In, Out]{ctx: ctx, in: in, done: make(chan result[Out], 1)}
	if !g.enter(r) {
		var none Out
		return none, webhook.Errorf(webhook.CodeUnavailable, "the process is stopping")
	}
	select {
	case got := <-r.done:
		return got.out, got.err
	case <-ctx.Done():
		var none Out
		return none, failed("wait for the database", ctx.Err())
	}
}

func (g *group[In, Out]) enter(r *request[In, Out]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.waiting.Add(g.tenant(r), r)
	if g.lenLocked() == enoughRequests {
		select {
		case g.enough <- struct{}{}:
		default:
		}
	}
	if g.running < g.limit {
		g.running++
		g.workers.Go(g.work)
	}
	return true
}

// work makes runs until no request is waiting.
func (g *group[In, Out]) work() {
	for {
		g.awaitCompany()
		requests := g.take()
		if requests == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
		results := g.serve(ctx, requests)
		cancel()
		var again []*request[In, Out]
		for i, r := range requests {
			if results[i].again {
				again = append(again, r)
			} else {
				r.done <- results[i]
			}
		}
		g.putBack(again)
	}
}

// enoughRequests is how many requests end the lingering: more would hardly reduce the cost of each.
const enoughRequests = 32

// awaitCompany lingers, unless the last run is so long ago that further requests are unlikely.
func (g *group[In, Out]) awaitCompany() {
	if g.linger == 0 || !g.lingers() {
		return
	}
	timer := time.NewTimer(g.linger)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-g.enough:
	}
}

func (g *group[In, Out]) lingers() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lenLocked() == 0 {
		return false
	}
	busy := time.Since(g.latest) < 2*g.linger
	g.latest = time.Now()
	return busy && g.lenLocked() < enoughRequests
}

// take returns the next requests to run together. When there are none it signs this worker off and returns nil.
func (g *group[In, Out]) take() []*request[In, Out] {
	g.mu.Lock()
	defer g.mu.Unlock()
	var requests []*request[In, Out]
	weight := 0
	for len(requests) < g.size {
		r, ok := g.nextLocked()
		if !ok {
			break
		}
		if g.weigh != nil {
			if weight += g.weigh(r.in); weight > g.maxWeight && len(requests) > 0 {
				g.next = r
				break
			}
		}
		if r.ctx.Err() == nil { // the caller has stopped waiting otherwise
			requests = append(requests, r)
		}
	}
	if requests == nil {
		g.running--
	}
	return requests
}

// nextLocked takes the request that runs next.
func (g *group[In, Out]) nextLocked() (*request[In, Out], bool) {
	if g.next == nil {
		return g.waiting.Next(nil)
	}
	r := g.next
	g.next = nil
	return r, true
}

// lenLocked is how many requests wait.
func (g *group[In, Out]) lenLocked() int {
	if g.next != nil {
		return 1 + g.waiting.Len()
	}
	return g.waiting.Len()
}

// tenant returns whose turn a request takes.
func (g *group[In, Out]) tenant(r *request[In, Out]) string {
	if g.tenantOf == nil {
		return ""
	}
	return g.tenantOf(r.in)
}

// putBack has requests wait again. They take turns too: a tenant that has many must not keep others from run after run.
func (g *group[In, Out]) putBack(requests []*request[In, Out]) {
	if len(requests) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range requests {
		g.waiting.Return(g.tenant(r), r)
	}
}

// serve runs the requests together. When that fails for another reason than the database, one request may be the cause, so
// each runs alone and gets its own result.
func (g *group[In, Out]) serve(ctx context.Context, requests []*request[In, Out]) []result[Out] {
	ctx, span := g.trace(ctx, requests)
	results, err := g.runTogether(ctx, requests)
	span.End(err)
	if err == nil {
		return results
	}
	results = make([]result[Out], len(requests))
	for i, r := range requests {
		if len(requests) == 1 || webhook.ErrorCode(err) == webhook.CodeUnavailable {
			results[i].err = err
			continue
		}
		alone, err := g.runTogether(ctx, []*request[In, Out]{r})
		if err != nil {
			results[i].err = err
			continue
		}
		results[i] = alone[0]
	}
	return results
}

// trace starts the span of a run.
func (g *group[In, Out]) trace(ctx context.Context, requests []*request[In, Out]) (context.Context, tracing.Span) {
	if g.tracer == nil || g.name == "" {
		return ctx, tracing.Span{}
	}
	of := make([]context.Context, len(requests))
	for i, r := range requests {
		of[i] = r.ctx
	}
	return g.tracer.Shared(ctx, g.name, of)
}

// runTogether recovers panics, because they would end the process: the callers are in other goroutines.
func (g *group[In, Out]) runTogether(ctx context.Context, requests []*request[In, Out]) (results []result[Out], err error) {
	in := make([]In, len(requests))
	for i, r := range requests {
		in[i] = r.in
	}
	err = safely(func() (err error) {
		results, err = g.run(ctx, in)
		return err
	})
	return results, err
}

// close refuses new requests and returns when those that were accepted have their results.
func (g *group[In, Out]) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.workers.Wait()
}
