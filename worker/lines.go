package worker

import (
	"slices"
	"time"

	"waybill/store"
	"waybill/turns"
	"waybill/webhook"
)

// Shares of the attempts of express mode. They mostly wait for the database and the receiver, and many share a transaction.
const (
	// attemptsPlace is how many attempts all tenants together make at once, one alone half of them: with more of them the fast lane would
	// run out of slots. Without shares, a tenant whose receivers hang would take all until its requests are known to be slow.
	attemptsPlace = 384
	// eventShare is how many attempts of one event are made at once.
	eventShare = 64
	// endpointShare is how many events to one endpoint are attempted at once. It is above activities.DefaultFastLimit, so that the next
	// are ready when a slot of the endpoint is free.
	endpointShare = 96
	// linedPlace is how many events of all tenants together wait for endpoints that are full, of one alone half of them.
	linedPlace = 1024
)

// lines hold the events that wait, by tenant, and those that wait for an endpoint that is full, which those to other endpoints pass.
type lines struct {
	*waiting
	// full returns the endpoint that an event has to wait for; nil: it may begin.
	full func(*lines, *waiter) *webhook.EndpointID
	// place is how many attempts all tenants together make at once.
	place int
	// busy counts the events to each endpoint that have begun.
	busy map[webhook.EndpointID]int
	// lined are in the order in which they began to wait for an endpoint.
	lined map[webhook.EndpointID][]*waiter
	// attempts and inLine are what tenants hold of place and linedPlace.
	attempts, inLine held
	// someLined is told when an event begins to wait for an endpoint.
	someLined chan struct{}
}

// held is what tenants hold of a place.
type held struct {
	of  map[string]int
	all int
}

func newHeld() held { return held{of: map[string]int{}} }

func (h *held) add(tenant string, n int) {
	h.all += n
	if h.of[tenant] += n; h.of[tenant] == 0 {
		delete(h.of, tenant)
	}
}

func newLines(place int, full func(*lines, *waiter) *webhook.EndpointID) *lines {
	return &lines{
		waiting: newWaiting(), full: full, place: place, someLined: make(chan struct{}, 1),
		busy: map[webhook.EndpointID]int{}, lined: map[webhook.EndpointID][]*waiter{},
		attempts: newHeld(), inLine: newHeld(),
	}
}

// next waits for an event that may be attempted and takes it; leave ends its turn. ok is false once the process stops.
func (l *lines) next() (e *store.Dispatch, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		first, ok := l.take(l.mayBegin)
		if !ok {
			l.some.Wait()
			continue
		}
		if first.begun {
			l.inLine.add(first.event.TenantID, -1)
			l.some.Signal() // what waits behind it may have a turn now, too
		} else if full := l.full(l, &first); full != nil {
			l.line(*full, &first)
			continue
		} else {
			l.begin(&first.event)
		}
		l.attempts.add(first.event.TenantID, attemptsAtOnce(&first.event))
		return &first.event, true
	}
	return nil, false
}

// mayBegin reports whether a tenant has room for the attempts of its first event. What has waited for an endpoint needs it too: it may have
// many times as many as the event that made room for it there.
func (l *lines) mayBegin(tenant string, first waiter) bool {
	return turns.Fits(l.attempts.of[tenant], l.attempts.all, l.place) &&
		(first.begun || turns.Fits(l.inLine.of[tenant], l.inLine.all, linedPlace))
}

// shareTaken returns the first of the endpoints that has its share of the attempts of express mode; nil: none has.
func (l *lines) shareTaken(w *waiter) *webhook.EndpointID {
	for i := range w.event.Deliveries {
		if id := &w.event.Deliveries[i].EndpointID; l.busy[*id] >= endpointShare {
			return id
		}
	}
	return nil
}

// begin takes the event's place at each of its endpoints.
func (l *lines) begin(e *store.Dispatch) {
	for i := range e.Deliveries {
		l.busy[e.Deliveries[i].EndpointID]++
	}
}

func attemptsAtOnce(e *store.Dispatch) int { return min(len(e.Deliveries), eventShare) }

func (l *lines) line(id webhook.EndpointID, w *waiter) {
	w.since = time.Now()
	l.lined[id] = append(l.lined[id], w)
	l.inLine.add(w.event.TenantID, 1)
	select {
	case l.someLined <- struct{}{}:
	default:
	}
}

// takeFirst takes the first event out of the line of an endpoint.
func (l *lines) takeFirst(id webhook.EndpointID) *waiter {
	first := l.lined[id][0]
	if l.lined[id] = l.lined[id][1:]; len(l.lined[id]) == 0 {
		delete(l.lined, id)
	}
	return first
}

// leave ends the turn of an event. Those that waited for its endpoints may be next.
func (l *lines) leave(e *store.Dispatch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(e)
	for i := range e.Deliveries {
		l.advance(e.Deliveries[i].EndpointID)
	}
}

func (l *lines) end(e *store.Dispatch) {
	l.attempts.add(e.TenantID, -attemptsAtOnce(e))
	for i := range e.Deliveries {
		id := e.Deliveries[i].EndpointID
		if l.busy[id]--; l.busy[id] <= 0 {
			delete(l.busy, id)
		}
	}
	l.some.Signal()
}

// advance lets those begin that wait for an endpoint, as far as it has room.
func (l *lines) advance(id webhook.EndpointID) {
	for len(l.lined[id]) > 0 {
		full := l.full(l, l.lined[id][0])
		if full != nil && *full == id {
			return
		}
		first := l.takeFirst(id)
		if full != nil {
			l.move(first, *full)
			continue
		}
		l.begin(&first.event)
		l.lines.Return(first.event.TenantID, waiter{event: first.event, begun: true})
		l.some.Signal()
	}
}

// move lets an event wait for another endpoint, where it keeps the turn that it has waited for.
func (l *lines) move(w *waiter, to webhook.EndpointID) {
	line := l.lined[to]
	i, _ := slices.BinarySearchFunc(line, w, func(a, b *waiter) int { return a.since.Compare(b.since) })
	l.lined[to] = slices.Insert(line, i, w)
}

// close ends the dispatching, and returns what waits.
func (l *lines) close() []store.Dispatch {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := l.closeLocked()
	for id, line := range l.lined {
		for _, w := range line {
			left = append(left, w.event)
		}
		delete(l.lined, id)
	}
	return left
}
