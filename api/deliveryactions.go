package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// commandTimeout bounds the wait for a workflow to obey. It must cover an attempt in the fast lane, because the workflow
// task waits for it.
const commandTimeout = 5 * time.Second

// retryDelivery is POST /v1/tenants/{tenant}/deliveries/{delivery}/retry: a manual attempt now. Of a delivery that is not settled it
// comes in addition to the retry policy. A settled one is opened again, with the whole policy.
func (s *Server) retryDelivery(w http.ResponseWriter, r *http.Request, c *call) error {
	d, err := s.findDelivery(r, c)
	if err != nil {
		return err
	}
	reason, err := s.readReason(w, r, "retried through the API")
	if err != nil {
		return err
	}
	if d, err = s.retry(r, c, d, reason); err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, c.showDelivery(d))
}

// retry tells whoever owns the delivery, and returns it as it is then. It may change hands between two calls, so that the other owner is
// asked in turn: a workflow that does not know the delivery any more has settled it or handed it over.
func (s *Server) retry(r *http.Request, c *call, d *webhook.Delivery, reason string) (*webhook.Delivery, error) {
	if !ownedByWorkflow(d) {
		again, err := s.reopen(r, c, d)
		if !errors.Is(err, store.ErrOwnedByWorkflow) { // it was released or opened in between
			return again, err
		}
	}
	told := s.retryNow(r.Context(), c, d, reason)
	if code := webhook.ErrorCode(told); code != webhook.CodeConflict && code != webhook.CodeNotFound {
		return d, cmp.Or(told, s.noteRetry(r, c, d, reason, told))
	}
	now, err := s.store.Delivery(r.Context(), c.tenant.ID, d.ID)
	if err != nil {
		return nil, err
	}
	if !ownedByWorkflow(now) {
		again, err := s.reopen(r, c, d)
		if !errors.Is(err, store.ErrOwnedByWorkflow) {
			return again, err
		}
	}
	if webhook.ErrorCode(told) == webhook.CodeNotFound {
		return nil, webhook.Errorf(webhook.CodeConflict, "the delivery's workflow is not running at this moment: it is about to start, which may take some minutes while its endpoint "+
			"does not answer, has just ended, or was lost. Look at the delivery again in a second; a lost workflow is restarted once its next attempt is late").WithCause(told)
	}
	return nil, told
}

// ownedByWorkflow reports whether the event's workflow makes the delivery's attempts. A held delivery belongs to the queue, unless an
// earlier version held it, which the store tells.
func ownedByWorkflow(d *webhook.Delivery) bool {
	return !d.Queued && !d.Status.Settled() && d.Status != webhook.StatusHeld
}

// reopen opens a delivery that no workflow owns. One that was not delivered when the person asked, but is by now, is not sent again.
func (s *Server) reopen(r *http.Request, c *call, asked *webhook.Delivery) (*webhook.Delivery, error) {
	again, err := s.store.ReopenDelivery(r.Context(), c.tenant.ID, asked.ID, asked.Status, s.now())
	if err != nil {
		return nil, err
	}
	s.wakeQueue(r, c, asked.EndpointID)
	return again, nil
}

// noteRetry writes who asked a workflow for an attempt. One that did not answer in time may still obey.
func (s *Server) noteRetry(r *http.Request, c *call, d *webhook.Delivery, reason string, told error) error {
	if told != nil && webhook.ErrorCode(told) != webhook.CodeUnavailable {
		return nil
	}
	return within(context.WithoutCancel(r.Context()), func(ctx context.Context) error {
		return s.store.NoteRetry(ctx, c.tenant.ID, d.ID, 0, reason)
	})
}

func (s *Server) retryNow(ctx context.Context, c *call, d *webhook.Delivery, reason string) error {
	waiting, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	err := s.engine.RetryNow(waiting, c.tenant.ID, d.EventID, d.EndpointID, reason)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return webhook.Errorf(webhook.CodeUnavailable, "the delivery's workflow has not obeyed within %d s, most likely because an attempt is under way and has to end first. "+
			"Look at the delivery when that has ended, and ask again if no further attempt has come", int(commandTimeout.Seconds())).WithCause(err)
	}
	return err
}

// cancelDelivery is POST /v1/tenants/{tenant}/deliveries/{delivery}/cancel. The database decides. If the workflow cannot be
// told now, its next step finds the delivery canceled. A delivery of the queue has no workflow to tell.
func (s *Server) cancelDelivery(w http.ResponseWriter, r *http.Request, c *call) error {
	before, err := s.findDelivery(r, c)
	if err != nil {
		return err
	}
	reason, err := s.readReason(w, r, "canceled through the API")
	if err != nil {
		return err
	}
	d, err := s.store.CancelDelivery(r.Context(), c.tenant.ID, before.ID, reason, s.now())
	if err != nil {
		return err
	}
	if !before.Queued {
		s.tellCanceled(r, c, d, reason)
	}
	return writeJSON(w, http.StatusOK, c.showDelivery(d))
}

func (s *Server) tellCanceled(r *http.Request, c *call, d *webhook.Delivery, reason string) {
	err := within(context.WithoutCancel(r.Context()), func(ctx context.Context) error {
		return s.engine.CancelDelivery(ctx, c.tenant.ID, d.EventID, d.EndpointID, reason)
	})
	if err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound { // one that has ended, or is to start, finds the delivery canceled
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "the workflow was not told of a canceled delivery",
			slog.String("request_id", infoOf(r).id), slog.String("tenant", c.tenant.ID),
			slog.String("delivery_id", d.ID.String()), slog.String("error", err.Error()))
	}
}
