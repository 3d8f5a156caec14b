package activities

import (
	"slices"
	"time"

	"waybill/webhook"
)

// maxRetryAfter bounds how late an attempt notices that its endpoint has become quick again.
const maxRetryAfter = 30 * time.Second

// bookings spread the attempts that find no slot over the time in which slots will be free, as an endpoint's pace
// lets expect. An attempt that only asks again and again costs Temporal more than one that is made.
type bookings struct {
	pace   time.Duration // what a request takes, smoothed
	booked time.Time     // until when the slots are spoken for
}

// took notes how long a request took.
func (k *bookings) took(d time.Duration) { k.pace = (3*k.pace + d) / 4 }

// full books the next slot that is to be free in the isolated lane and returns the error that says when, to an attempt
// that found none in the lane.
func (b *bulkhead) full(c *compartment, lane Lane) *fullError {
	if c.free[LaneIsolated] > 0 {
		return &fullError{lane: lane}
	}
	now := b.now()
	if c.booked.Before(now) {
		c.booked = now
	}
	request := max(c.pace, c.oldest(now))
	c.booked = c.booked.Add(request / time.Duration(b.limits[LaneIsolated].slots))
	if latest := now.Add(maxRetryAfter); c.booked.After(latest) {
		c.booked = latest
	}
	return &fullError{lane, c.booked.Sub(now)}
}

// RetryAfter returns for how long an event to these endpoints may as well wait, because all of them are slow and have as
// many attempts under way as they may; 0: one of them has room.
func RetryAfter(a *Activities, endpoints []webhook.EndpointID) time.Duration {
	b := a.bulkhead
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if slices.ContainsFunc(endpoints, func(id webhook.EndpointID) bool {
		c := b.endpoints[id]
		return c == nil || !c.isSlow(now) || c.free[LaneIsolated] > 0
	}) {
		return 0
	}
	shortest := maxRetryAfter
	for _, id := range endpoints {
		shortest = min(shortest, b.full(b.endpoints[id], LaneIsolated).retryAfter)
	}
	return shortest
}
