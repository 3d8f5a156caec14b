package activities

import (
	"slices"
	"time"

	"waybill/webhook"
)

// maxStayAway bounds how late an attempt notices that its endpoint has become quick again.
const maxStayAway = 30 * time.Second

// bookings spread the attempts that find no place over the time in which places will be free, as an endpoint's pace
// lets expect. An attempt that only asks again and again costs Temporal more than one that is made.
type bookings struct {
	pace   time.Duration // what a request takes, smoothed
	booked time.Time     // until when the places are spoken for
}

// took notes how long a request took.
func (k *bookings) took(d time.Duration) { k.pace = (3*k.pace + d) / 4 }

// full books the next place that is to be free in the isolated lane and returns the error that says when.
func (b *bulkhead) full(c *compartment) *fullError {
	if c.free[LaneIsolated] > 0 {
		return &fullError{}
	}
	now := b.now()
	if c.booked.Before(now) {
		c.booked = now
	}
	request := max(c.pace, c.oldest(now))
	c.booked = c.booked.Add(request / time.Duration(b.limits[LaneIsolated].places))
	if latest := now.Add(maxStayAway); c.booked.After(latest) {
		c.booked = latest
	}
	return &fullError{c.booked.Sub(now)}
}

// StayAway returns for how long an event to these endpoints may as well wait, because all of them are slow and have as
// many attempts under way as they may; 0: one of them has room.
func StayAway(a *Activities, endpoints []webhook.EndpointID) time.Duration {
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
	shortest := maxStayAway
	for _, id := range endpoints {
		shortest = min(shortest, b.full(b.endpoints[id]).stayAway)
	}
	return shortest
}

// oldest returns the age of the request that has been under way for longest.
func (c *compartment) oldest(now time.Time) time.Duration {
	var age time.Duration
	for p := range c.under {
		if !p.sent.IsZero() {
			age = max(age, now.Sub(p.sent))
		}
	}
	return age
}
