package worker

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

const (
	outcomeBatch = 256
	// outcomeWait is how long outcomes are gathered before they are written. Nothing waits for them: if the process dies
	// first, the relay starts the events again, which changes nothing.
	outcomeWait = 50 * time.Millisecond
)

// outcome is the result of a dispatch. done: the event needs no further start. Otherwise the relay may claim it after some
// time.
type outcome struct {
	key   webhook.EventKey
	done  bool
	after time.Duration
	// fault says what is wrong with the event itself; "" when the event is not the cause.
	fault string
	// setAside takes the event out of automatic dispatching until a person retries it.
	setAside bool
}

// writeOutcomes writes outcomes to the database, many at a time, until stop is closed and all are written.
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

// gather adds outcomes to a batch until outcomeWait is over. Once stop is closed it adds only what is queued already.
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

// writeBatch deletes the dispatches that are done and releases the others. When either fails, the lease expires and the
// relay starts the event again, which changes nothing.
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
