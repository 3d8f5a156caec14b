package postgres

import (
	"context"
	"sync"
	"time"

	"waybill/webhook"
)

// result is what one request of a group gets.
type result[Out any] struct {
	out Out
	err error
	// again puts the request at the head of the next run: it has to come after another one of this run.
	again bool
}

// group gathers concurrent requests into shared runs: what arrives while the runs are under way forms the next. A lone request
// runs at once, so it pays no delay, and a crowd pays a fraction of a transaction each.
type group[In, Out any] struct {
	// run serves the requests together: one result for each, or an error when it could serve none.
	run     func(ctx context.Context, in []In) ([]result[Out], error)
	size    int // requests a run at most
	limit   int // runs at once
	timeout time.Duration
	// weigh, where set, keeps the weight of a run at maxWeight, unless a single request exceeds it.
	weigh     func(In) int
	maxWeight int
	// linger, where set, is how long a run waits for company when another began a moment ago: for requests whose latency
	// nobody feels. Once enough requests wait, it waits no longer.
	linger time.Duration
	enough chan struct{}

	mu      sync.Mutex
	waiting []*request[In, Out]
	running int
	latest  time.Time // when a run began
	closed  bool
	workers sync.WaitGroup
}

type request[In, Out any] struct {
	ctx  context.Context
	in   In
	done chan result[Out] // has room for the result, so that nobody waits for a caller who left
}

func newGroup[In, Out any](o Options, limit int, run func(context.Context, []In) ([]result[Out], error)) *group[In, Out] {
	return &group[In, Out]{run: run, size: o.MaxGroup, limit: limit, timeout: o.Timeout, enough: make(chan struct{}, 1)}
}

// do returns what the run made of in. A caller whose context ends, or who has waited as long as a call may take, stops
// waiting and gets CodeUnavailable; a run that has begun goes on, so the request may still take effect.
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
	g.waiting = append(g.waiting, r)
	if len(g.waiting) == enoughRequests {
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

// work runs what waits until nothing does.
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

// enoughRequests are a crowd: more would make a run hardly cheaper for each.
const enoughRequests = 32

// awaitCompany lingers, unless the last run is so long ago that no company is to be expected.
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
	if len(g.waiting) == 0 {
		return false
	}
	busy := time.Since(g.latest) < 2*g.linger
	g.latest = time.Now()
	return busy && len(g.waiting) < enoughRequests
}

// take returns the next requests to run together, and nil, with this worker signed off, when there are none.
func (g *group[In, Out]) take() []*request[In, Out] {
	g.mu.Lock()
	defer g.mu.Unlock()
	var requests []*request[In, Out]
	weight := 0
	for len(g.waiting) > 0 && len(requests) < g.size {
		r := g.waiting[0]
		if g.weigh != nil {
			if weight += g.weigh(r.in); weight > g.maxWeight && len(requests) > 0 {
				break
			}
		}
		g.waiting[0], g.waiting = nil, g.waiting[1:]
		if r.ctx.Err() == nil { // nobody waits for the others
			requests = append(requests, r)
		}
	}
	if requests == nil {
		g.running--
	}
	return requests
}

func (g *group[In, Out]) putBack(requests []*request[In, Out]) {
	if len(requests) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(requests, g.waiting...)
}

// serve runs the requests together. When that fails and the database is not to blame, one of them may be, so each runs
// alone and answers for itself.
func (g *group[In, Out]) serve(ctx context.Context, requests []*request[In, Out]) []result[Out] {
	results, err := g.runTogether(ctx, requests)
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

// runTogether survives a panic: the callers are in other goroutines, where nothing would catch it.
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
