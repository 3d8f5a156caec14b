package activities

import (
	"time"

	"waybill/webhook"
)

const (
	// slowAnswer is how late an answer must be to take its endpoint out of the fast lane. It applies to answers that are
	// still awaited too.
	slowAnswer = 500 * time.Millisecond
	// slowMemory is how long an endpoint stays slow when nothing is sent to it.
	slowMemory = 10 * time.Minute
)

// slot is an attempt's right to be in flight. leave gives it back.
type slot struct {
	b    *bulkhead
	id   webhook.EndpointID
	lane Lane
	// ready is closed when a waiting attempt gets its slot.
	ready chan struct{}
	sent  time.Time // zero until the request begins
	// turn is that of the attempt; nil: it takes none. place is where it is at work; nil: nowhere that others wait for.
	turn  *turn
	place place
}

// compartment is one endpoint's part of the bulkhead.
type compartment struct {
	taken map[*slot]struct{}
	// free is how many slots each lane has left.
	free map[Lane]int
	// waiting are the attempts that wait for a slot, first come first served.
	waiting map[Lane][]*slot
	slow    bool
	since   time.Time // of the last change of slow
	// allowed is how many attempts may be under way before more events are started, and asked when Room was called last.
	allowed int
	asked   time.Time
	bookings
}

// sending records that the request begins now.
func (s *slot) sending() {
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	s.sent = s.b.now()
}

// answered updates slow: one slow answer makes the endpoint slow, one quick answer makes it healthy, whatever its status
// code. An endpoint that fails at once delays nobody.
func (s *slot) answered(r *Response) {
	slow := r.Duration > slowAnswer || r.ErrorClass == webhook.ErrorTimeout
	s.b.mu.Lock()
	defer s.b.mu.Unlock()
	c := s.b.endpoints[s.id]
	s.sent = time.Time{}
	c.slow, c.since = slow, s.b.now()
	c.allowed = min(c.allowed+1, max(firstAllowed, s.b.limits[LaneFast].slots))
	if r.ErrorClass == webhook.ErrorTimeout {
		c.allowed = firstAllowed
	}
	c.took(r.Duration)
}

// leave gives the slot back, to a waiting attempt if there is one.
func (s *slot) leave() {
	s.rest()
	b := s.b
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.endpoints[s.id]
	delete(c.taken, s)
	if queue := c.waiting[s.lane]; len(queue) > 0 {
		next := queue[0]
		c.waiting[s.lane] = queue[1:]
		c.taken[next] = struct{}{}
		close(next.ready)
	} else {
		c.free[s.lane]++
	}
	now := b.now()
	if c.idle(now) {
		delete(b.endpoints, s.id)
	}
	b.sweep(now)
}

// isSlow reports whether the endpoint must stay out of the fast lane. One request that has waited too long is enough.
// Otherwise a receiver that hangs would fill the lane before the first timeout.
func (c *compartment) isSlow(now time.Time) bool {
	if c.slow && now.Sub(c.since) < slowMemory {
		return true
	}
	for s := range c.taken {
		if s.lane == LaneFast && !s.sent.IsZero() && now.Sub(s.sent) > slowAnswer {
			return true
		}
	}
	return false
}

// idle reports whether there is nothing to remember.
func (c *compartment) idle(now time.Time) bool {
	remembered := c.slow && now.Sub(c.since) < slowMemory || now.Sub(c.asked) < roomMemory
	return len(c.taken) == 0 && !remembered
}

// oldest returns the age of the oldest request in flight.
func (c *compartment) oldest(now time.Time) time.Duration {
	var age time.Duration
	for s := range c.taken {
		if !s.sent.IsZero() {
			age = max(age, now.Sub(s.sent))
		}
	}
	return age
}
