package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"waybill/webhook"
)

// Limits of a bulkhead.
const (
	DefaultFastLimit     = 16
	DefaultIsolatedLimit = 32
	// slowAnswer is what takes an endpoint out of the fast lane, whether the answer came that late or is still awaited.
	slowAnswer = time.Second
	// slowMemory is how long an endpoint stays slow that nothing was sent to since.
	slowMemory    = 10 * time.Minute
	sweepInterval = time.Minute
)

// errFull says that an endpoint has as many attempts under way as its lane takes.
var errFull = errors.New("the endpoint has too many attempts under way")

// bulkhead keeps each endpoint of this process from taking more than its share: it counts the attempts under way per
// lane, and remembers which endpoints are slow. An endpoint that is healthy and idle takes no memory.
type bulkhead struct {
	fast, isolated int
	wait           time.Duration
	now            func() time.Time

	mu        sync.Mutex
	endpoints map[webhook.EndpointID]*compartment
	swept     time.Time
}

// compartment is one endpoint's part of the bulkhead.
type compartment struct {
	fast     map[*place]struct{}
	isolated int
	// waiting are isolated attempts without a place, in their order. Closing a channel hands over a place.
	waiting []chan struct{}
	slow    bool
	since   time.Time // of the last change of slow
}

// place is an attempt's right to be under way. It is given back by leave.
type place struct {
	b    *bulkhead
	id   webhook.EndpointID
	lane Lane
	sent time.Time // zero until the request begins
}

func newBulkhead(fast, isolated int, wait time.Duration, now func() time.Time) *bulkhead {
	return &bulkhead{
		fast: fast, isolated: isolated, wait: wait, now: now, endpoints: make(map[webhook.EndpointID]*compartment),
	}
}

// enter takes a place, or returns errFull: in the fast lane at once, also for a slow endpoint; in the isolated lane
// after a wait.
func (b *bulkhead) enter(ctx context.Context, id webhook.EndpointID, lane Lane) (*place, error) {
	p := &place{b: b, id: id, lane: lane}
	if lane == LaneFast {
		return p, b.enterFast(p)
	}
	ready := b.enterIsolated(id)
	if ready == nil {
		return p, nil
	}
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	err := errFull
	select {
	case <-ready:
		return p, nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if b.giveUp(id, ready) {
		return nil, err
	}
	return p, nil // it was handed over at the last moment
}

func (b *bulkhead) enterFast(p *place) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[p.id]
	if c == nil {
		c = b.add(p.id)
	}
	if now := b.now(); len(c.fast) >= b.fast || c.isSlow(now) {
		return errFull
	}
	c.fast[p] = struct{}{}
	return nil
}

// enterIsolated takes a place, or returns the channel that is closed when one is free.
func (b *bulkhead) enterIsolated(id webhook.EndpointID) chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[id]
	if c == nil {
		c = b.add(id)
	}
	if c.isolated < b.isolated {
		c.isolated++
		return nil
	}
	ready := make(chan struct{})
	c.waiting = append(c.waiting, ready)
	return ready
}

// giveUp ends a wait; false when a place was handed over already.
func (b *bulkhead) giveUp(id webhook.EndpointID, ready chan struct{}) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[id]
	if c == nil {
		return false
	}
	for i, w := range c.waiting {
		if w == ready {
			c.waiting = append(c.waiting[:i], c.waiting[i+1:]...)
			return true
		}
	}
	return false
}

func (b *bulkhead) add(id webhook.EndpointID) *compartment {
	c := &compartment{fast: make(map[*place]struct{})}
	b.endpoints[id] = c
	return c
}

// isSlow reports whether the endpoint has to stay out of the fast lane. One request that is awaited for too long is
// enough, or a receiver that hangs would fill the lane before the first timeout tells.
func (c *compartment) isSlow(now time.Time) bool {
	if c.slow && now.Sub(c.since) < slowMemory {
		return true
	}
	for p := range c.fast {
		if !p.sent.IsZero() && now.Sub(p.sent) > slowAnswer {
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

// answered notes how the endpoint did: one quick answer makes it healthy, one slow or failed makes it slow.
func (p *place) answered(r *Response) {
	healthy := r.Duration <= slowAnswer && r.ErrorClass == "" && r.StatusCode < 500
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	c := p.b.endpoints[p.id]
	p.sent = time.Time{}
	c.slow, c.since = !healthy, p.b.now()
}

// leave gives the place back.
func (p *place) leave() {
	b := p.b
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[p.id]
	switch {
	case p.lane == LaneFast:
		delete(c.fast, p)
	case len(c.waiting) > 0:
		close(c.waiting[0])
		c.waiting = c.waiting[1:]
	default:
		c.isolated--
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
	return len(c.fast) == 0 && c.isolated == 0 && !remembered
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
