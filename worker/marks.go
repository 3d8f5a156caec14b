package worker

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	markBatch = 256
	// markWait gathers marks, for which nobody waits: a mark that is lost with the process costs a start that changes
	// nothing.
	markWait = 50 * time.Millisecond
)

// outcome is what became of an event: its workflow started, or it is the relay's from some time on.
type outcome struct {
	key   webhook.EventKey
	ok    bool
	after time.Duration
}

// mark writes down what became of events, many at a time.
func (d *Dispatcher) mark(stop <-chan struct{}) {
	for {
		select {
		case first := <-d.done:
			d.markBatch(d.gather([]outcome{first}, time.After(markWait), stop))
		case <-stop:
			for batch := d.gather(nil, nil, stop); len(batch) > 0; batch = d.gather(nil, nil, stop) {
				d.markBatch(batch)
			}
			return
		}
	}
}

// gather adds to a batch what comes until the time is over; once stopped, what is there already.
func (d *Dispatcher) gather(batch []outcome, over <-chan time.Time, stop <-chan struct{}) []outcome {
	for len(batch) < markBatch {
		select {
		case next := <-d.done:
			batch = append(batch, next)
			continue
		default:
		}
		select {
		case next := <-d.done:
			batch = append(batch, next)
		case <-over:
			return batch
		case <-stop:
			return batch
		}
	}
	return batch
}

func (d *Dispatcher) markBatch(batch []outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var dispatched []webhook.EventKey
	var released []store.Release
	for _, o := range batch {
		if o.ok {
			dispatched = append(dispatched, o.key)
		} else {
			released = append(released, store.Release{EventKey: o.key, After: o.after})
		}
	}
	// When either fails, the lease runs out and the relay starts the event once more, which changes nothing.
	if len(dispatched) > 0 {
		if err := d.dispatches.DeleteDispatches(ctx, dispatched); err != nil {
			d.log.Warn("started events could not be marked", "events", len(dispatched), "error", err)
		}
	}
	if len(released) > 0 {
		if err := d.dispatches.ReleaseDispatches(ctx, released); err != nil {
			d.log.Warn("events that did not start could not be released", "events", len(released), "error", err)
		}
	}
}
