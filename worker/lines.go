package worker

import (
	"slices"
	"sync"

	"waybill/webhook"
	"waybill/workflows"
)

// Shares of the slots of express mode. Without them, a burst to a receiver that hangs would take all slots until its requests are
// known to be slow, and the events of others would wait.
const (
	// endpointShare is how many events to one endpoint are attempted at once. It is above activities.DefaultFastLimit, so that the next
	// are ready when a slot of the endpoint is free.
	endpointShare = 96
	// maxLined is how many events may wait in lines. Then nothing enters until some have left.
	maxLined = queueSize
)

// lines let events to an endpoint that has its share wait for each other, while those to other endpoints pass them.
type lines struct {
	mu      sync.Mutex
	busy    map[webhook.EndpointID]int
	waiting map[webhook.EndpointID][]leftover
	lined   int
	room    sync.Cond // for one more event in a line
	closed  bool
}

// turn says when an event is attempted.
type turn int

const (
	turnNow   turn = iota
	turnLater      // leave returns it
	turnNever      // the lines are closed
)

func newLines() *lines {
	l := &lines{busy: map[webhook.EndpointID]int{}, waiting: map[webhook.EndpointID][]leftover{}}
	l.room.L = &l.mu
	return l
}

// enter lets an event be attempted, or has it wait in the line of an endpoint that has its share. It blocks while the lines are full.
func (l *lines) enter(e leftover) turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for !l.closed {
		full := l.full(e.in)
		switch {
		case full == nil:
			l.begin(e.in)
			return turnNow
		case l.lined < maxLined:
			l.wait(*full, e)
			return turnLater
		}
		l.room.Wait()
	}
	return turnNever
}

// full returns the first of the endpoints that has its share; nil: none has.
func (l *lines) full(in *workflows.EventDeliveryInput) *webhook.EndpointID {
	for i := range in.Deliveries {
		if id := &in.Deliveries[i].EndpointID; l.busy[*id] >= endpointShare {
			return id
		}
	}
	return nil
}

func (l *lines) begin(in *workflows.EventDeliveryInput) {
	for i := range in.Deliveries {
		l.busy[in.Deliveries[i].EndpointID]++
	}
}

func (l *lines) wait(id webhook.EndpointID, e leftover) {
	l.waiting[id] = append(l.waiting[id], e)
	l.lined++
}

// leave ends the turn of an event and returns those whose turn it is then.
func (l *lines) leave(in *workflows.EventDeliveryInput) (next []leftover) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range in.Deliveries {
		id := in.Deliveries[i].EndpointID
		if l.busy[id]--; l.busy[id] <= 0 {
			delete(l.busy, id)
		}
	}
	for i := range in.Deliveries {
		id := in.Deliveries[i].EndpointID
		for l.busy[id] < endpointShare && len(l.waiting[id]) > 0 {
			first := l.waiting[id][0]
			if l.waiting[id] = l.waiting[id][1:]; len(l.waiting[id]) == 0 {
				delete(l.waiting, id)
			}
			l.lined--
			if other := l.full(first.in); other != nil { // it has waited already, so it is the first there
				l.waiting[*other] = slices.Insert(l.waiting[*other], 0, first)
				l.lined++
				continue
			}
			l.begin(first.in)
			next = append(next, first)
		}
	}
	l.room.Broadcast()
	return next
}

// close returns what waits. Nothing enters any more.
func (l *lines) close() (waiting []leftover) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for id, line := range l.waiting {
		waiting = append(waiting, line...)
		delete(l.waiting, id)
	}
	l.lined = 0
	l.room.Broadcast()
	return waiting
}
