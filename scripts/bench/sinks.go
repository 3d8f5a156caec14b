package main

import (
	"context"
	"sync"
	"time"

	"waybill/scripts/receiver"
)

// sinks are the endpoints of a rig, all of them at one lean receiver.
type sinks struct {
	lean *receiver.Lean

	mu  sync.Mutex
	all []*sink
}

func newSinks() *sinks { return &sinks{lean: receiver.NewLean()} }

// add returns a new sink.
func (s *sinks) add(ctx context.Context, b behavior) (*sink, error) {
	one := newSink(b)
	var err error
	one.url, err = s.lean.Listen(ctx, func(webhookID string, at time.Time) (int, error) {
		id, err := parseEventID(webhookID)
		if err != nil {
			return 0, err
		}
		return one.arrive(id, at), nil
	})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, one)
	return one, nil
}

// releaseHung has every sink that hangs answer at once.
func (s *sinks) releaseHung() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.all {
		one.releaseHung()
	}
}

// close ends every connection, and returns the first request that made no sense.
func (s *sinks) close() error {
	s.releaseHung()
	return s.lean.Close()
}
