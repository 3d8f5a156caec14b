package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"waybill/webhook"
)

// getDelivery is GET /v1/tenants/{tenant}/deliveries/{delivery}.
func (s *Server) getDelivery(w http.ResponseWriter, r *http.Request, c *call) error {
	d, err := s.findDelivery(r, c)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, c.showDelivery(d))
}

func (s *Server) findDelivery(r *http.Request, c *call) (*webhook.Delivery, error) {
	id, err := pathID[webhook.DeliveryID](r, "delivery")
	if err != nil {
		return nil, err
	}
	return s.store.Delivery(r.Context(), c.tenant.ID, id)
}

// commandTimeout bounds the wait for a workflow to obey. It must cover an attempt in the fast lane, because the workflow
// task waits for it.
const commandTimeout = 5 * time.Second

// retryDelivery is POST /v1/tenants/{tenant}/deliveries/{delivery}/retry: a manual attempt now, in addition to the retry
// policy.
func (s *Server) retryDelivery(w http.ResponseWriter, r *http.Request, c *call) error {
	d, err := s.findDelivery(r, c)
	if err != nil {
		return err
	}
	reason, err := s.readReason(w, r, "retried through the API")
	if err != nil {
		return err
	}
	switch {
	case d.Status.Settled():
		return webhook.Errorf(webhook.CodeConflict, "%s", d.Status.SettledText())
	case d.Status == webhook.StatusHeld:
		return webhook.Errorf(webhook.CodeConflict, "the delivery is held, because the endpoint is disabled; enable it, and the delivery goes on")
	}
	ctx, cancel := context.WithTimeout(r.Context(), commandTimeout)
	defer cancel()
	err = s.engine.RetryNow(ctx, c.tenant.ID, d.EventID, d.EndpointID, reason)
	if webhook.ErrorCode(err) == webhook.CodeNotFound {
		return webhook.Errorf(webhook.CodeConflict, "the delivery's workflow is not running at this moment: it is about to start, has just ended, or was lost. Look at the delivery "+
			"again in a second; a lost workflow is restarted once its next attempt is late").WithCause(err)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, c.showDelivery(d))
}

// cancelDelivery is POST /v1/tenants/{tenant}/deliveries/{delivery}/cancel. The database decides. If the workflow cannot be
// told now, its next step finds the delivery canceled.
func (s *Server) cancelDelivery(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathID[webhook.DeliveryID](r, "delivery")
	if err != nil {
		return err
	}
	reason, err := s.readReason(w, r, "canceled through the API")
	if err != nil {
		return err
	}
	d, err := s.store.CancelDelivery(r.Context(), c.tenant.ID, id, reason, s.now())
	if err != nil {
		return err
	}
	err = within(context.WithoutCancel(r.Context()), func(ctx context.Context) error {
		return s.engine.CancelDelivery(ctx, c.tenant.ID, d.EventID, d.EndpointID, reason)
	})
	if err != nil {
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "the workflow was not told of a canceled delivery",
			slog.String("request_id", infoOf(r).id), slog.String("tenant", c.tenant.ID),
			slog.String("delivery", id.String()), slog.String("error", err.Error()))
	}
	return writeJSON(w, http.StatusOK, c.showDelivery(d))
}
