package worker

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	outcomeBatch = 256
	// outcomeWait gathers outcomes, for which nobody waits: one that is lost with the process costs a start that changes
	// nothing.
	outcomeWait = 50 * time.Millisecond
)

// outcome is what became of a dispatch. Done: the event needs no start any more. Else the relay may claim it after some time.
type outcome struct {
	key   webhook.EventKey
	done  bool
	after time.Duration
	// fault is the fault of the event's own; "" when it is not to blame.
	fault string
	// setAside means that the event waits for a person.
	setAside bool
}

// writeOutcomes writes down what became of dispatches, many at a time, until stop is closed and all are written.
func (d *Dispatcher) writeOutcomes(stop <-chan struct{}) {
	for {
		select {
		case first := <-d.outcomes:
			d.writeBatch(d.gather([]outcome{first}, time.After(outcomeWait), stop))
		case <-stop:
			for batch := d.gather(nil, nil, stop); len(batch) > 0; batch = d.gather(nil, nil, stop) {
				d.writeBatch(batch)
			}
			return
		}
	}
}

// gather adds to a batch what comes until the time is over, and what is there already once stop is closed.
func (d *Dispatcher) gather(batch []outcome, over <-chan time.Time, stop <-chan struct{}) []outcome {
	for len(batch) < outcomeBatch {
		select {
		case next := <-d.outcomes:
			batch = append(batch, next)
			continue
		default:
		}
		select {
		case next := <-d.outcomes:
			batch = append(batch, next)
		case <-over:
			return batch
		case <-stop:
			return batch
		}
	}
	return batch
}

// writeBatch deletes the dispatches that are done and releases the others. When either fails, the lease runs out and the relay
// starts the event once more, which changes nothing.
func (d *Dispatcher) writeBatch(batch []outcome) {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var done []webhook.EventKey
	var released []store.Release
	for _, o := range batch {
		if o.done {
			done = append(done, o.key)
		} else {
			released = append(released, store.Release{EventKey: o.key, After: o.after, Error: o.fault, SetAside: o.setAside})
		}
	}
	if len(done) > 0 {
		if err := d.dispatches.DeleteDispatches(ctx, done); err != nil {
			d.log.Warn("dispatches of started events could not be deleted", "events", len(done), "error", err)
		}
	}
	if len(released) > 0 {
		if err := d.dispatches.ReleaseDispatches(ctx, released); err != nil {
			d.log.Warn("dispatches of events that did not start could not be released", "events", len(released), "error", err)
		}
	}
}
