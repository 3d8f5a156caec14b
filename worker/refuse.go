package worker

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// How an event is treated that cannot be dispatched because something is wrong with the event itself.
const (
	// maxTries is how many starts may fail before an event is set aside, which takes about nine minutes.
	maxTries = 10
	// The delay after the first try is firstDelay. It doubles with each further try, up to maxDelay.
	firstDelay = time.Second
	maxDelay   = 10 * time.Minute
	// maxDialectDelay is lower than maxDelay, because a process that has the dialect may start at any moment.
	maxDialectDelay = time.Minute
	// maxFaultBytes bounds the stored text of an error.
	maxFaultBytes = 500
)

// fault says why an event cannot be dispatched.
type fault struct {
	err error
	// most bounds the delay until the next try; 0: maxDelay.
	most time.Duration
	// passing means that the cause may go away by itself, so the event is never set aside.
	passing bool
}

// refuse returns the outcome of an event that cannot be dispatched because something is wrong with the event itself. The
// event is delayed, longer each time, and finally set aside. No other event waits for it.
func (d *Dispatcher) refuse(e *store.Dispatch, f fault) outcome {
	tries := e.Tries + 1
	o := outcome{
		key: e.EventKey, after: putOffDelay(tries, f.most), fault: webhook.CleanLine(f.err.Error(), maxFaultBytes),
		setAside: !f.passing && tries >= maxTries,
	}
	d.refused.Inc()
	log := d.log.With("tenant", e.TenantID, "event_id", e.EventID, "dispatch", e.EventKey, "tries", tries, "error", f.err)
	if o.setAside {
		log.Error("an event cannot be dispatched and is set aside: see GET /v1/dispatches")
	} else {
		log.Warn("an event cannot be dispatched; trying again", "after", o.after)
	}
	return o
}

// putOffDelay returns the delay after so many tries.
func putOffDelay(tries int, most time.Duration) time.Duration {
	if most == 0 {
		most = maxDelay
	}
	return min(firstDelay<<min(tries-1, 16), most)
}

// safely turns a panic of do into an error, so that one event cannot end the process. It logs the stack.
func safely(log *slog.Logger, do func() error) (err error) {
	defer func() {
		if reason := recover(); reason != nil {
			log.Error("panic", "reason", reason, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", reason)
		}
	}()
	return do()
}
