package activities

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"waybill/webhook"
)

// Limits of a bulkhead.
const (
	DefaultFastLimit     = 64
	DefaultIsolatedLimit = 32
	// fastQueue is how many attempts wait for a place in the fast lane of an endpoint; more would wait in vain. In the
	// isolated lane as many may wait as be under way, so that an endpoint takes few of a worker's slots.
	fastQueue = 1024
	// slowAnswer is what takes an endpoint out of the fast lane, whether the answer came that late or is still awaited.
	slowAnswer = 500 * time.Millisecond
	// slowMemory is how long an endpoint stays slow that nothing was sent to since.
	slowMemory    = 10 * time.Minute
	sweepInterval = time.Minute
)

// errFull says that an endpoint has as many attempts under way as its lane takes. It comes as a *fullError.
var errFull = errors.New("the endpoint has too many attempts under way")

// fullError is errFull with how long the attempt should stay away until it may expect a place in the isolated lane; 0:
// there is one now.
type fullError struct{ stayAway time.Duration }

func (*fullError) Error() string { return errFull.Error() }
func (*fullError) Unwrap() error { return errFull }

// bulkhead keeps each endpoint of this process from taking more than its share: it counts the attempts under way per
// lane, and remembers which endpoints are slow. An endpoint that is healthy and idle takes no memory.
type bulkhead struct {
	limits map[Lane]laneLimit
	now    func() time.Time

	mu        sync.Mutex
	endpoints map[webhook.EndpointID]*compartment
	swept     time.Time
}

// laneLimit is how many attempts an endpoint may have under way in a lane, how long one more waits for a place, and how
// many may wait at the same time.
type laneLimit struct {
	places int
	wait   time.Duration
	queue  int
}

// compartment is one endpoint's part of the bulkhead.
type compartment struct {
	under map[*place]struct{}
	// free is how many places each lane has left.
	free map[Lane]int
	// waiting are attempts without a place, in their order.
	waiting map[Lane][]*place
	slow    bool
	since   time.Time // of the last change of slow
	bookings
}

// place is an attempt's right to be under way. It is given back by leave.
type place struct {
	b    *bulkhead
	id   webhook.EndpointID
	lane Lane
	// ready is closed when a waiting attempt is handed its place.
	ready chan struct{}
	sent  time.Time // zero until the request begins
}

func newBulkhead(fast, isolated laneLimit, now func() time.Time) *bulkhead {
	return &bulkhead{
		limits: map[Lane]laneLimit{LaneFast: fast, LaneIsolated: isolated}, now: now,
		endpoints: make(map[webhook.EndpointID]*compartment),
	}
}

// enter takes a place, or returns errFull: after a wait; at once where the endpoint is slow and the lane the fast one, or
// where many wait already.
func (b *bulkhead) enter(ctx context.Context, id webhook.EndpointID, lane Lane) (*place, error) {
	p := &place{b: b, id: id, lane: lane}
	entered, err := b.tryEnter(p)
	if entered || err != nil {
		return p, err
	}
	timer := time.NewTimer(b.limits[lane].wait)
	defer timer.Stop()
	select {
	case <-p.ready:
		return p, nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	full, gone := b.giveUp(p)
	switch {
	case !gone:
		return p, nil // it was handed over at the last moment
	case err != nil:
		return nil, err
	default:
		return nil, full
	}
}

// tryEnter takes a place, or queues for one.
func (b *bulkhead) tryEnter(p *place) (entered bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[p.id]
	if c == nil {
		c = b.add(p.id)
	}
	switch {
	case p.lane == LaneFast && c.isSlow(b.now()):
		return false, b.full(c)
	case c.free[p.lane] > 0:
		c.free[p.lane]--
		c.under[p] = struct{}{}
		return true, nil
	case len(c.waiting[p.lane]) >= b.limits[p.lane].queue:
		return false, b.full(c)
	default:
		p.ready = make(chan struct{})
		c.waiting[p.lane] = append(c.waiting[p.lane], p)
		return false, nil
	}
}

// giveUp ends a wait; false when a place was handed over already.
func (b *bulkhead) giveUp(p *place) (*fullError, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[p.id]
	if c == nil {
		return nil, false
	}
	i := slices.Index(c.waiting[p.lane], p)
	if i < 0 {
		return nil, false
	}
	c.waiting[p.lane] = slices.Delete(c.waiting[p.lane], i, i+1)
	return b.full(c), true
}

func (b *bulkhead) add(id webhook.EndpointID) *compartment {
	c := &compartment{under: map[*place]struct{}{}, free: map[Lane]int{}, waiting: map[Lane][]*place{}}
	for lane, limit := range b.limits {
		c.free[lane] = limit.places
	}
	b.endpoints[id] = c
	return c
}

// isSlow reports whether the endpoint has to stay out of the fast lane. One request that is awaited for too long is
// enough, or a receiver that hangs would fill the lane before the first timeout tells.
func (c *compartment) isSlow(now time.Time) bool {
	if c.slow && now.Sub(c.since) < slowMemory {
		return true
	}
	for p := range c.under {
		if p.lane == LaneFast && !p.sent.IsZero() && now.Sub(p.sent) > slowAnswer {
			return true
		}
	}
	return false
}

// sending notes that the request begins now.
func (p *place) sending() {
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	p.sent = p.b.now()
}

// answered notes how the endpoint did: one slow answer makes it slow, one quick answer healthy, whatever it says. An
// endpoint that fails at once keeps nobody waiting.
func (p *place) answered(r *Response) {
	slow := r.Duration > slowAnswer || r.ErrorClass == webhook.ErrorTimeout
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	c := p.b.endpoints[p.id]
	p.sent = time.Time{}
	c.slow, c.since = slow, p.b.now()
	c.took(r.Duration)
}

// leave gives the place back.
func (p *place) leave() {
	b := p.b
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[p.id]
	delete(c.under, p)
	if queue := c.waiting[p.lane]; len(queue) > 0 {
		next := queue[0]
		c.waiting[p.lane] = queue[1:]
		c.under[next] = struct{}{}
		close(next.ready)
	} else {
		c.free[p.lane]++
	}
	now := b.now()
	if c.idle(now) {
		delete(b.endpoints, p.id)
	}
	if now.Sub(b.swept) > sweepInterval {
		b.sweep(now)
	}
}

// idle reports whether nothing is to be remembered.
func (c *compartment) idle(now time.Time) bool {
	remembered := c.slow && now.Sub(c.since) < slowMemory
	return len(c.under) == 0 && !remembered
}

// sweep forgets endpoints that were slow and then got nothing more.
func (b *bulkhead) sweep(now time.Time) {
	b.swept = now
	for id, c := range b.endpoints {
		if c.idle(now) {
			delete(b.endpoints, id)
		}
	}
}
