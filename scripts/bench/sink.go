package main

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// eventID is the UUID of an event's id.
type eventID [16]byte

// parseEventID reads the form evt_ and 32 hex digits.
func parseEventID(text string) (eventID, error) {
	var id eventID
	digits, ok := strings.CutPrefix(text, "evt_")
	if !ok || len(digits) != 2*len(id) {
		return id, fmt.Errorf("%q is not the id of an event", text)
	}
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil {
		return id, fmt.Errorf("%q is not the id of an event: %w", text, err)
	}
	return id, nil
}

// UnmarshalText reads the form evt_ and 32 hex digits.
func (id *eventID) UnmarshalText(text []byte) (err error) {
	*id, err = parseEventID(string(text))
	return err
}

// String returns evt_ and 32 hex digits.
func (id eventID) String() string { return "evt_" + hex.EncodeToString(id[:]) }

// behavior says how a receiver answers the n-th request (from 1) of one event: the status, and how long it takes.
type behavior func(n int) (status int, after time.Duration)

// accepts answers 200 at once.
func accepts(int) (int, time.Duration) { return http.StatusOK, 0 }

// fails refuses each event some times and then takes it.
func fails(times int) behavior {
	return func(n int) (int, time.Duration) {
		if n <= times {
			return http.StatusInternalServerError, 0
		}
		return http.StatusOK, 0
	}
}

// answers gives the same status to everything.
func answers(status int) behavior {
	return func(int) (int, time.Duration) { return status, 0 }
}

// hangs answers 200, late.
func hangs(after time.Duration) behavior {
	return func(int) (int, time.Duration) { return http.StatusOK, after }
}

// arrivals are the requests of one event at one sink.
type arrivals struct {
	requests int
	// accepted is how many requests were answered 2xx; more than one is a duplicate. at is when the first of them came.
	accepted int
	at       time.Time
}

// sink is where the deliveries to one endpoint arrive.
type sink struct {
	url      string
	behavior behavior
	released chan struct{}
	release  sync.Once

	mu       sync.Mutex
	events   map[eventID]arrivals
	accepted int
	requests int
}

func newSink(b behavior) *sink {
	return &sink{behavior: b, released: make(chan struct{}), events: map[eventID]arrivals{}}
}

// arrive notes a request that was complete at the moment, and returns the status of its answer once it is due.
func (s *sink) arrive(id eventID, at time.Time) int {
	status, after := s.note(id, at)
	if after > 0 {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-s.released:
		}
	}
	return status
}

func (s *sink) note(id eventID, at time.Time) (status int, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	a := s.events[id]
	a.requests++
	status, after = s.behavior(a.requests)
	if status/100 == 2 {
		if a.accepted++; a.accepted == 1 {
			a.at = at
			s.accepted++
		}
	}
	s.events[id] = a
	return status, after
}

// releaseHung has a sink that hangs answer at once, now and from now on.
func (s *sink) releaseHung() { s.release.Do(func() { close(s.released) }) }

// find returns what became of an event.
func (s *sink) find(id eventID) arrivals {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[id]
}

// count returns how many events arrived here, and how many of them were accepted.
func (s *sink) count() (seen, accepted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events), s.accepted
}

// requested returns how many requests came in here.
func (s *sink) requested() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}
