package postgres

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"waybill/webhook"
)

// result is what one call of a group gets.
type result[Out any] struct {
	out Out
	err error
	// again puts the call at the head of the next run: it has to come after another one of this run.
	again bool
}

// group gathers concurrent calls into shared runs: what arrives while the runs are under way forms the next. A lone call
// runs at once, so it pays no delay, and a crowd pays a fraction of a transaction each.
type group[In, Out any] struct {
	// run serves the calls together: one result for each, or an error when it could serve none.
	run     func(ctx context.Context, in []In) ([]result[Out], error)
	size    int // calls a run at most
	limit   int // runs at once
	timeout time.Duration
	// weigh, where set, keeps the weight of a run at maxWeight, unless a single call exceeds it.
	weigh     func(In) int
	maxWeight int
	// linger, where set, is how long a run waits for company when another began a moment ago: for calls whose latency
	// nobody feels. Once enough calls wait, it waits no longer.
	linger time.Duration
	enough chan struct{}

	mu      sync.Mutex
	waiting []*call[In, Out]
	running int
	latest  time.Time // when a run began
	closed  bool
	workers sync.WaitGroup
}

type call[In, Out any] struct {
	ctx  context.Context
	in   In
	done chan result[Out] // has room for the result, so that nobody waits for a caller who left
}

func newGroup[In, Out any](o Options, limit int, run func(context.Context, []In) ([]result[Out], error)) *group[In, Out] {
	return &group[In, Out]{run: run, size: o.MaxGroup, limit: limit, timeout: o.Timeout, enough: make(chan struct{}, 1)}
}

// do returns what the run made of in. A caller whose context ends stops waiting and gets CodeUnavailable; a run that has
// begun goes on, so the call may still take effect.
func (g *group[In, Out]) do(ctx context.Context, in In) (Out, error) {
	c := &call[In, Out]{ctx: ctx, in: in, done: make(chan result[Out], 1)}
	if !g.enter(c) {
		var none Out
		return none, webhook.Errorf(webhook.CodeUnavailable, "the process is stopping")
	}
	select {
	case r := <-c.done:
		return r.out, r.err
	case <-ctx.Done():
		var none Out
		return none, failed("wait for the database", ctx.Err())
	}
}

func (g *group[In, Out]) enter(c *call[In, Out]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.waiting = append(g.waiting, c)
	if len(g.waiting) == enoughCalls {
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
		calls := g.take()
		if calls == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
		results := g.serve(ctx, calls)
		cancel()
		var again []*call[In, Out]
		for i, c := range calls {
			if results[i].again {
				again = append(again, c)
			} else {
				c.done <- results[i]
			}
		}
		g.putBack(again)
	}
}

// enoughCalls are a crowd: more would make a run hardly cheaper for each.
const enoughCalls = 32

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
	return busy && len(g.waiting) < enoughCalls
}

// take returns the next calls to run together, and nil, with this worker signed off, when there are none.
func (g *group[In, Out]) take() []*call[In, Out] {
	g.mu.Lock()
	defer g.mu.Unlock()
	var calls []*call[In, Out]
	weight := 0
	for len(g.waiting) > 0 && len(calls) < g.size {
		c := g.waiting[0]
		if g.weigh != nil {
			if weight += g.weigh(c.in); weight > g.maxWeight && len(calls) > 0 {
				break
			}
		}
		g.waiting[0], g.waiting = nil, g.waiting[1:]
		if c.ctx.Err() == nil { // nobody waits for the others
			calls = append(calls, c)
		}
	}
	if calls == nil {
		g.running--
	}
	return calls
}

func (g *group[In, Out]) putBack(calls []*call[In, Out]) {
	if len(calls) == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(calls, g.waiting...)
}

// serve runs the calls together. When that fails and the database is not to blame, one of them may be, so each runs
// alone and answers for itself.
func (g *group[In, Out]) serve(ctx context.Context, calls []*call[In, Out]) []result[Out] {
	results, err := g.safely(ctx, calls)
	if err == nil {
		return results
	}
	results = make([]result[Out], len(calls))
	for i, c := range calls {
		if len(calls) == 1 || webhook.ErrorCode(err) == webhook.CodeUnavailable {
			results[i].err = err
			continue
		}
		alone, err := g.safely(ctx, []*call[In, Out]{c})
		if err != nil {
			results[i].err = err
			continue
		}
		results[i] = alone[0]
	}
	return results
}

// safely turns a panic into an error: the callers are in other goroutines, where nothing would catch it.
func (g *group[In, Out]) safely(ctx context.Context, calls []*call[In, Out]) (results []result[Out], err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
		}
	}()
	in := make([]In, len(calls))
	for i, c := range calls {
		in[i] = c.in
	}
	return g.run(ctx, in)
}

// close refuses new calls and returns when those that were accepted have their results.
func (g *group[In, Out]) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.workers.Wait()
}
