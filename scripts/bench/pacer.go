package main

import (
	"context"
	"sync/atomic"
	"time"
)

// paceLook is how often a publisher looks whether it may go on.
const paceLook = 5 * time.Millisecond

// pacer keeps a load steady: publishers wait while too much is under way, and with a rate until their turn comes.
type pacer struct {
	sinks    []*sink
	inFlight int
	// perSecond is the most that is published; 0: as much as arrives.
	perSecond float64
	began     time.Time

	begun atomic.Int64
}

// wait returns once a publisher may publish an event.
func (p *pacer) wait(ctx context.Context) error {
	for !p.may() {
		if err := pause(ctx, paceLook); err != nil {
			return err
		}
	}
	p.begun.Add(1)
	return nil
}

// count returns a call that publishes what was waited for.
func (p *pacer) count(call publish) publish {
	return func(ctx context.Context) ([]eventID, int, error) {
		ids, refused, err := call(ctx)
		p.begun.Add(-int64(refused)) // nothing of it arrives
		return ids, refused, err
	}
}

func (p *pacer) may() bool {
	begun := float64(p.begun.Load())
	if p.perSecond > 0 && begun > p.perSecond*time.Since(p.began).Seconds() {
		return false
	}
	return int(begun)-p.arrived() < p.inFlight
}

// arrived is how many events have arrived at all sinks.
func (p *pacer) arrived() int {
	_, least := p.sinks[0].count()
	for _, s := range p.sinks[1:] {
		_, n := s.count()
		least = min(least, n)
	}
	return least
}
