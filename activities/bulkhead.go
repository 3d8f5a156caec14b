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
	// fastQueue is how many attempts may wait for a slot in the fast lane of an endpoint. Further ones would hardly get a
	// slot in time. In the isolated lane as many may wait as may be in flight, so that one endpoint takes few of a worker's
	// slots.
	fastQueue     = 1024
	sweepInterval = time.Minute
)

// errFull says that an endpoint has no free slot in a lane. It is always wrapped in a *fullError.
var errFull = errors.New("the endpoint has too many attempts in flight")

// fullError is errFull with the lane that was asked for, and how long until the attempt can expect a slot in the isolated
// lane; 0: one is free now.
type fullError struct {
	lane       Lane
	retryAfter time.Duration
}

func (*fullError) Error() string { return errFull.Error() }
func (*fullError) Unwrap() error { return errFull }

// bulkhead keeps each endpoint of this process from taking more than its share: it counts the attempts in flight per lane,
// and remembers which endpoints are slow. An endpoint that is healthy and idle takes no memory, or a minute later none.
type bulkhead struct {
	limits map[Lane]laneLimit
	now    func() time.Time

	mu        sync.Mutex
	endpoints map[webhook.EndpointID]*compartment
	swept     time.Time
}

// laneLimit is how many slots an endpoint has in a lane, how long one more attempt waits for a slot, and how many may wait
// at the same time.
type laneLimit struct {
	slots int
	wait  time.Duration
	queue int
}

func newBulkhead(fast, isolated laneLimit, now func() time.Time) *bulkhead {
	return &bulkhead{
		limits: map[Lane]laneLimit{LaneFast: fast, LaneIsolated: isolated}, now: now,
		endpoints: make(map[webhook.EndpointID]*compartment),
	}
}

// enter takes a slot, or waits for one and then returns errFull. It returns errFull at once when the lane is the fast one
// and the endpoint is slow, or when the queue is full.
func (b *bulkhead) enter(ctx context.Context, id webhook.EndpointID, lane Lane) (*slot, error) {
	s := &slot{b: b, id: id, lane: lane}
	entered, err := b.tryEnter(s)
	if entered || err != nil {
		return s, err
	}
	timer := time.NewTimer(b.limits[lane].wait)
	defer timer.Stop()
	select {
	case <-s.ready:
		return s, nil
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	full, gone := b.giveUp(s)
	switch {
	case !gone:
		return s, nil // a slot was handed over just before the end of the wait
	case err != nil:
		return nil, err
	default:
		return nil, full
	}
}

// tryEnter takes a slot, or queues for one.
func (b *bulkhead) tryEnter(s *slot) (entered bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.compartment(s.id)
	switch {
	case s.lane == LaneFast && c.isSlow(b.now()):
		return false, b.full(c, s.lane)
	case c.free[s.lane] > 0:
		c.free[s.lane]--
		c.taken[s] = struct{}{}
		return true, nil
	case len(c.waiting[s.lane]) >= b.limits[s.lane].queue:
		return false, b.full(c, s.lane)
	default:
		s.ready = make(chan struct{})
		c.waiting[s.lane] = append(c.waiting[s.lane], s)
		return false, nil
	}
}

// giveUp ends a wait. It returns false when a slot was handed over already.
func (b *bulkhead) giveUp(s *slot) (*fullError, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[s.id]
	if c == nil {
		return nil, false
	}
	i := slices.Index(c.waiting[s.lane], s)
	if i < 0 {
		return nil, false
	}
	c.waiting[s.lane] = slices.Delete(c.waiting[s.lane], i, i+1)
	return b.full(c, s.lane), true
}

// compartment returns an endpoint's part, a new one where there is none.
func (b *bulkhead) compartment(id webhook.EndpointID) *compartment {
	if c := b.endpoints[id]; c != nil {
		return c
	}
	c := &compartment{taken: map[*slot]struct{}{}, free: map[Lane]int{}, waiting: map[Lane][]*slot{}, allowed: firstAllowed}
	for lane, limit := range b.limits {
		c.free[lane] = limit.slots
	}
	b.endpoints[id] = c
	return c
}

// sweep forgets slow endpoints to which nothing was sent for slowMemory, and those whose Room nobody asks for any more. It
// does so once in a sweepInterval.
func (b *bulkhead) sweep(now time.Time) {
	if now.Sub(b.swept) <= sweepInterval {
		return
	}
	b.swept = now
	for id, c := range b.endpoints {
		if c.idle(now) {
			delete(b.endpoints, id)
		}
	}
}
