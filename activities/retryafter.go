package activities

import (
	"slices"
	"time"

	"waybill/webhook"
)

// maxRetryAfter bounds the delay, and so how late an attempt notices that its endpoint is quick again.
const maxRetryAfter = 30 * time.Second

// bookings spread the attempts that found no slot over the time in which slots should become free, judged by how long the
// endpoint's requests take. An attempt that polls for a slot would cost Temporal more than one that is made.
type bookings struct {
	pace   time.Duration // how long a request takes, smoothed
	booked time.Time     // until when all slots are booked
}

// took records how long a request took.
func (k *bookings) took(d time.Duration) { k.pace = (3*k.pace + d) / 4 }

// full books the next slot of the isolated lane for an attempt that found none, and returns the error that says when it
// should be free.
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

// RetryAfter returns how long an event to these endpoints should wait, because all of them are slow and have no free slot;
// 0: one of them has a free slot.
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
