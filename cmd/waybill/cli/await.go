package cli

import (
	"context"
	"fmt"
	"time"
)

// How often something that runs is asked about: soon, because most of it ends soon, and then less and less often.
const (
	firstLook = 50 * time.Millisecond
	mostLook  = 2 * time.Second
)

// awaitPatience is how long a wait goes on while Waybill cannot be reached.
const awaitPatience = 5 * time.Minute

// await looks until something has ended, and tells how far it is. Waybill may be away for a while.
func (e Env) await(ctx context.Context, look func() (ended bool, says string, err error)) error {
	p := newProgress(e.Err)
	defer p.end()
	var lost time.Time
	for wait := firstLook; ; wait = min(wait*3/2, mostLook) {
		ended, says, err := look()
		switch {
		case ctx.Err() != nil:
			return errGoesOn
		case err != nil && (!passes(err) || !lost.IsZero() && time.Since(lost) > awaitPatience):
			return explain(err)
		case err != nil && lost.IsZero():
			lost = time.Now()
			p.end()
			fmt.Fprintf(e.Err, "Waybill cannot be reached, trying again: %s\n", explain(err))
		case err == nil && ended:
			return nil
		case err == nil:
			lost = time.Time{}
			p.show(says)
		}
		if sleep(ctx, max(wait, askedWait(err))) != nil {
			return errGoesOn
		}
	}
}

// errGoesOn ends a command that only waited.
var errGoesOn = fmt.Errorf("%w: what runs goes on without this command", errInterrupted)

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return errInterrupted
	case <-time.After(d):
		return nil
	}
}
