package worker

import (
	"slices"

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
	// linedPlace is how many events of all tenants together wait for endpoints that have their share, of one alone half of them.
	linedPlace = 1024
)

// lines hold the events of express mode that wait, by tenant, and those that wait for an endpoint that has its share, which those to other
// endpoints pass.
type lines struct {
	*waiting
	busy  map[webhook.EndpointID]int
	lined map[webhook.EndpointID][]*store.Dispatch
	// ready are those that have waited for an endpoint and are attempted next.
	ready []*store.Dispatch
	// attempts and inLine are what tenants hold of attemptsPlace and linedPlace.
	attempts, inLine held
}

// held is what tenants hold of a place.
type held struct {
	of  map[string]int
	all int
}

func (h *held) add(tenant string, n int) {
	h.all += n
	if h.of[tenant] += n; h.of[tenant] == 0 {
		delete(h.of, tenant)
	}
}

func newLines() *lines {
	return &lines{
		waiting: newWaiting(), busy: map[webhook.EndpointID]int{}, lined: map[webhook.EndpointID][]*store.Dispatch{},
		attempts: held{of: map[string]int{}}, inLine: held{of: map[string]int{}},
	}
}

// next waits for an event that may be attempted and takes it; leave ends its turn. ok is false once the process stops.
func (l *lines) next() (e *store.Dispatch, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		if len(l.ready) > 0 {
			e, l.ready = l.ready[0], l.ready[1:]
			return e, true
		}
		first, ok := l.lines.Next(l.mayBegin)
		if !ok {
			l.some.Wait()
			continue
		}
		if full := l.full(&first); full != nil {
			l.line(*full, &first)
			continue
		}
		l.begin(&first)
		return &first, true
	}
	return nil, false
}

func (l *lines) mayBegin(tenant string) bool {
	return turns.Fits(l.attempts.of[tenant], l.attempts.all, attemptsPlace) && turns.Fits(l.inLine.of[tenant], l.inLine.all, linedPlace)
}

// full returns the first of the endpoints that has its share; nil: none has.
func (l *lines) full(e *store.Dispatch) *webhook.EndpointID {
	for i := range e.Deliveries {
		if id := &e.Deliveries[i].EndpointID; l.busy[*id] >= endpointShare {
			return id
		}
	}
	return nil
}

func (l *lines) begin(e *store.Dispatch) {
	l.attempts.add(e.TenantID, attemptsAtOnce(e))
	for i := range e.Deliveries {
		l.busy[e.Deliveries[i].EndpointID]++
	}
}

func attemptsAtOnce(e *store.Dispatch) int { return min(len(e.Deliveries), eventShare) }

func (l *lines) line(id webhook.EndpointID, e *store.Dispatch) {
	l.lined[id] = append(l.lined[id], e)
	l.inLine.add(e.TenantID, 1)
}

// leave ends the turn of an event. Those that waited for its endpoints may be next.
func (l *lines) leave(e *store.Dispatch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts.add(e.TenantID, -attemptsAtOnce(e))
	for i := range e.Deliveries {
		id := e.Deliveries[i].EndpointID
		if l.busy[id]--; l.busy[id] <= 0 {
			delete(l.busy, id)
		}
	}
	for i := range e.Deliveries {
		l.advance(e.Deliveries[i].EndpointID)
	}
	l.some.Signal()
}

// advance lets those begin that wait for an endpoint, as far as it has room.
func (l *lines) advance(id webhook.EndpointID) {
	for l.busy[id] < endpointShare && len(l.lined[id]) > 0 {
		first := l.lined[id][0]
		if l.lined[id] = l.lined[id][1:]; len(l.lined[id]) == 0 {
			delete(l.lined, id)
		}
		if other := l.full(first); other != nil { // it has waited already, so it is the first there
			l.lined[*other] = slices.Insert(l.lined[*other], 0, first)
			continue
		}
		l.inLine.add(first.TenantID, -1)
		l.begin(first)
		l.ready = append(l.ready, first)
	}
}

// close ends the dispatching, and returns what waits.
func (l *lines) close() []store.Dispatch {
	left := l.waiting.close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, line := range l.lined {
		l.ready = append(l.ready, line...)
		delete(l.lined, id)
	}
	for _, e := range l.ready {
		left = append(left, *e)
	}
	l.ready = nil
	return left
}
