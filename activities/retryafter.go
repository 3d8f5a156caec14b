package activities

import (
	"slices"
	"time"

	"waybill/webhook"
)

// maxRetryAfter bounds the delay, and so how late an attempt notices that its endpoint is quick again.
const maxRetryAfter = 30 * time.Second

// firstAllowed is how many attempts of an endpoint may be under way before the first has been answered. One that hangs keeps no more
// workflows busy, however many of its events come at once. roomMemory is how long an endpoint keeps what it has gained while nobody asks.
const (
	firstAllowed = 8
	roomMemory   = 10 * time.Second
)

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
	return &fullError{lane, b.book(c)}
}

// book books the next request of an endpoint that has as many under way as it may have, and returns how long until its turn.
func (b *bulkhead) book(c *compartment) time.Duration {
	now := b.now()
	if c.booked.Before(now) {
		c.booked = now
	}
	request := max(c.pace, c.oldest(now))
	c.booked = c.booked.Add(request / time.Duration(min(b.limits[LaneIsolated].slots, c.allowed)))
	if latest := now.Add(maxRetryAfter); c.booked.After(latest) {
		c.booked = latest
	}
	return c.booked.Sub(now)
}

// Room returns how many more events to an endpoint may be started now. Each answer makes room for one more at the same time, up to the
// slots of the fast lane, and a timeout leaves as much as at first.
func Room(a *Activities, id webhook.EndpointID) int {
	b := a.bulkhead
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	b.sweep(now)
	c := b.compartment(id)
	c.asked = now
	return b.room(c, now)
}

// room counts the attempts of the isolated lane only while the endpoint is slow. Otherwise old requests that hang would hold back what goes
// to a receiver that answers again.
func (b *bulkhead) room(c *compartment, now time.Time) int {
	underWay := b.limits[LaneFast].slots - c.free[LaneFast] + len(c.waiting[LaneFast])
	if c.isSlow(now) {
		underWay += b.limits[LaneIsolated].slots - c.free[LaneIsolated]
	}
	return c.allowed - underWay
}

// RetryAfter returns how long an event to these endpoints should wait, because all of them are slow and have no free slot or no Room;
// 0: one of them has both.
func RetryAfter(a *Activities, endpoints []webhook.EndpointID) time.Duration {
	b := a.bulkhead
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if slices.ContainsFunc(endpoints, func(id webhook.EndpointID) bool {
		c := b.endpoints[id]
		return c == nil || !c.isSlow(now) || c.free[LaneIsolated] > 0 && b.room(c, now) > 0
	}) {
		return 0
	}
	shortest := maxRetryAfter
	for _, id := range endpoints {
		shortest = min(shortest, b.book(b.endpoints[id]))
	}
	return shortest
}
