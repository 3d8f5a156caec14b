package activities

import (
	"context"
	"sync/atomic"

	"waybill/webhook"
)

// Attempts of wide events work a few at the same time in this process: so many for each of its processors before their requests, and so
// many after. Those whose request is under way do not count. More of them would hardly be faster, and the attempts of other events would
// wait for the processor. Records take longer, and share transactions. What was answered does not wait for what has not begun, because a
// process that dies would have it made again.
const (
	wideBeginsEach = 2
	wideEndsEach   = 8
)

// place bounds how many attempts work at the same time, by its capacity.
type place chan struct{}

// turn is how far an attempt is that takes turns with others.
type turn struct {
	// state is one of turnAwaited, turnBegun and turnGivenUp.
	state atomic.Int32
	// begun is closed when its turn has come, and givenUp when it never will.
	begun, givenUp chan struct{}
	// answered says that it waits for its turn to be recorded, or has had it.
	answered atomic.Bool
}

const (
	turnAwaited = iota
	turnBegun
	turnGivenUp
)

// turnOf returns the turn of an attempt; nil: it takes none.
func turnOf(in *AttemptInput) *turn {
	if in.Wide && in.Lane == LaneFast {
		return &turn{begun: make(chan struct{}), givenUp: make(chan struct{})}
	}
	return nil
}

// giveUp ends an attempt whose turn has not come. By the time it comes, another process may have made the attempt.
func (t *turn) giveUp() {
	if t != nil && t.state.CompareAndSwap(turnAwaited, turnGivenUp) {
		close(t.givenUp)
	}
}

func (t *turn) isGivenUp() bool { return t != nil && t.state.Load() == turnGivenUp }

func (t *turn) isAnswered() bool { return t != nil && t.answered.Load() }

// await waits until the turn of an attempt has come, or the attempt has ended. An error: the caller has ended, or has too little time left
// to wait for the request as well.
func (t *turn) await(ctx, inTime context.Context, at *inFlightAttempt) error {
	if t == nil {
		return nil
	}
	select {
	case <-t.begun:
	case <-at.done:
	case <-inTime.Done():
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case t.state.Load() != turnBegun:
			return webhook.Errorf(webhook.CodeUnavailable, "the attempt's turn has not come in time")
		}
	}
	return nil
}

// begin waits for the turn of an attempt to begin. Any error: it was given up.
func (s *slot) begin(t *turn, at place) error {
	if t == nil {
		return nil
	}
	select {
	case at <- struct{}{}:
		s.place = at // leave gives it back
	case <-t.givenUp:
	}
	if !t.state.CompareAndSwap(turnAwaited, turnBegun) {
		return webhook.Errorf(webhook.CodeUnavailable, "nobody waits for the attempt any more")
	}
	s.turn = t
	close(t.begun)
	return nil
}

// end waits for the turn of an attempt that was answered.
func (s *slot) end(at place) {
	if s.turn != nil {
		s.turn.answered.Store(true)
		s.work(at)
	}
}

// work waits for a place to work at; rest gives it back, as does leave.
func (s *slot) work(at place) {
	at <- struct{}{}
	s.place = at
}

func (s *slot) rest() {
	if s.place != nil {
		<-s.place
		s.place = nil
	}
}
