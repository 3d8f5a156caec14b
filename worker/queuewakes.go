package worker

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"waybill/store"
	"waybill/webhook"
)

// Intervals of queueWakes.
const (
	wakeInterval = time.Second
	wakePage     = 500
	// wokenPause is how long an endpoint is skipped after its queue was woken; failurePause is the same after a wake that failed.
	wokenPause   = 5 * time.Second
	failurePause = 30 * time.Second
)

// queueWakes wakes the queues of endpoints that were enabled, disabled or deleted by a process that could not do so: it died, or
// Temporal was down.
type queueWakes struct {
	opts   UpkeepOptions
	woken  prometheus.Counter
	failed prometheus.Counter

	// after is the last endpoint of the round before; the next round begins after it.
	after webhook.EndpointID
	// pauses says until when endpoints are skipped.
	pauses map[webhook.EndpointID]time.Time
}

func newQueueWakes(o UpkeepOptions) *queueWakes {
	return &queueWakes{
		opts: o, pauses: map[webhook.EndpointID]time.Time{},
		woken: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_queue_wakes_total", Help: "Endpoints' queues that the upkeep woke, because whoever changed the endpoint did not.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "waybill_queue_wakes_failed_total", Help: "Endpoints' queues that could not be woken. The log names the endpoint.",
		}),
	}
}

// round wakes the queues that are to be told. An endpoint is listed until its queue knows, so round lists all and skips those that
// it has just woken.
func (w *queueWakes) round(ctx context.Context) error {
	var down outage
	for ctx.Err() == nil {
		due, err := w.opts.Store.QueuesToWake(ctx, w.after, wakePage)
		if err != nil {
			return err
		}
		for _, e := range due {
			w.after = e.ID // an endpoint that fails must not block the start of every round
			if time.Now().Before(w.pauses[e.ID]) {
				continue
			}
			if err := w.wake(ctx, e); down.ends(err) {
				return err
			}
		}
		if len(due) < wakePage {
			w.after = webhook.EndpointID{}
			w.forgetPauses()
			return nil
		}
	}
	return nil
}

func (w *queueWakes) wake(ctx context.Context, e store.EndpointRef) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	err := w.opts.Teller.WakeQueue(ctx, e.TenantID, e.ID)
	switch webhook.ErrorCode(err) {
	case "":
		w.woken.Inc()
		w.pauses[e.ID] = time.Now().Add(wokenPause)
	case webhook.CodeUnavailable: // the next round tries again
	default:
		w.pauses[e.ID] = time.Now().Add(failurePause)
		w.failed.Inc()
		w.opts.Logger.Warn("the queue of an endpoint cannot be woken; trying again", "tenant", e.TenantID, "endpoint_id", e.ID, "error", err)
	}
	return err
}

// forgetPauses removes the pauses that are over, so that the map does not grow.
func (w *queueWakes) forgetPauses() {
	for id, until := range w.pauses {
		if time.Now().After(until) {
			delete(w.pauses, id)
		}
	}
}
