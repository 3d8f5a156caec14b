package worker

import (
	"context"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// wakeQueues starts the queues that are lost: their deliveries are overdue, and no workflow runs. A queue that runs is only slow, and is
// woken in case that it has missed a wake.
func (r *Reconciler) wakeQueues(ctx context.Context) error {
	return eachEndpoint(ctx, r, func(from webhook.EndpointID) ([]store.EndpointRef, error) {
		return r.opts.Log.OverdueQueues(ctx, r.opts.After, from, endpointPage)
	}, func(e store.EndpointRef) store.EndpointRef { return e }, r.wakeQueue)
}

func (r *Reconciler) wakeQueue(ctx context.Context, e store.EndpointRef) error {
	running, err := r.opts.Restarter.IsQueueRunning(ctx, e.TenantID, e.ID)
	if err != nil {
		return err
	}
	if err := r.opts.Restarter.WakeQueue(ctx, e.TenantID, e.ID); err != nil || running {
		return err
	}
	r.metrics.repaired.Inc()
	r.opts.Logger.Warn("nobody works on what waits for an endpoint; started its queue", "tenant", e.TenantID, "endpoint_id", e.ID)
	return nil
}

// disableFailing disables the endpoints that keep failing.
func (r *Reconciler) disableFailing(ctx context.Context) error {
	return eachEndpoint(ctx, r, func(from webhook.EndpointID) ([]store.FailingEndpoint, error) {
		return r.opts.Log.FailingEndpoints(ctx, r.opts.After, from, endpointPage)
	}, func(e store.FailingEndpoint) store.EndpointRef { return e.EndpointRef }, func(ctx context.Context, e store.FailingEndpoint) error {
		_, err := r.opts.Restarter.DisableFailing(ctx, e.TenantID, e.ID, &e.Rule, time.Now())
		if err == nil {
			r.metrics.repaired.Inc()
			r.opts.Logger.Warn("an endpoint that keeps failing was not disabled; disabled it", "tenant", e.TenantID, "endpoint_id", e.ID)
		}
		return err
	})
}

// eachEndpoint treats all endpoints of a list, page by page. One that fails keeps none of the others from it, unless the database or
// the engine is down.
func eachEndpoint[T any](
	ctx context.Context, r *Reconciler, list func(from webhook.EndpointID) ([]T, error), ref func(T) store.EndpointRef,
	treat func(context.Context, T) error,
) error {
	var down outage
	var from webhook.EndpointID
	for failed := 0; ; {
		page, err := list(from)
		if err != nil {
			return err
		}
		for _, item := range page {
			e := ref(item)
			from = e.ID
			err := r.limited(ctx, func(ctx context.Context) error { return treat(ctx, item) })
			if ctx.Err() != nil || down.ends(err) {
				return err
			}
			if err == nil {
				continue
			}
			r.metrics.failed.Inc()
			if failed++; failed <= failureLines {
				r.opts.Logger.Warn("an endpoint cannot be repaired; the next rounds try again", "tenant", e.TenantID, "endpoint_id", e.ID, "error", err)
			}
		}
		if len(page) < endpointPage {
			return nil
		}
	}
}

// limited bounds the repair of one item.
func (r *Reconciler) limited(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	return safely(r.opts.Logger, func() error { return do(ctx) })
}
