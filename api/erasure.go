package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// eraseEvent is DELETE /v1/tenants/{tenant}/events/{event}. The database decides; a workflow that cannot be told now finds its deliveries
// canceled with its next step.
func (s *Server) eraseEvent(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathText(r, "event")
	if err != nil {
		return err
	}
	erased, err := s.store.EraseEvent(r.Context(), c.tenant.ID, id, s.now())
	if err != nil {
		return err
	}
	if erased.Canceled > 0 {
		s.tell(r, c.tenant.ID, "the workflow of an erased event was not told", func(ctx context.Context) error {
			return s.engine.TellErased(ctx, c.tenant.ID, id)
		})
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// erasureView is the erasure of a tenant as shown.
type erasureView struct {
	Tenant string `json:"tenant"`
	// Status is running or completed.
	Status     string     `json:"status"`
	Rows       int64      `json:"rows"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
}

func showErasure(e *store.Erasure) erasureView {
	view := erasureView{Tenant: e.TenantID, Status: "running", Rows: e.Rows, StartedAt: e.StartedAt, FinishedAt: e.FinishedAt}
	if e.FinishedAt != nil {
		view.Status = "completed"
	}
	return view
}

// eraseTenant is DELETE /v1/tenants/{tenant}?confirm={tenant}. It answers once nobody can use the tenant any more; a workflow deletes
// the rest. While Temporal is down the upkeep starts it later.
func (s *Server) eraseTenant(w http.ResponseWriter, r *http.Request, c *call) error {
	q := newQuery(r, "confirm")
	if err := q.err(); err != nil {
		return err
	}
	if q.values.Get("confirm") != c.tenant.ID {
		return invalid("request", webhook.FieldError{Field: "confirm", Detail: "is the id of the tenant: everything of it is deleted, and nothing brings it back"})
	}
	e, err := s.store.BeginErasure(r.Context(), c.tenant.ID, s.now())
	if err != nil {
		return err
	}
	s.tenants.Invalidate(c.tenant.ID)
	s.tell(r, c.tenant.ID, "the erasure of a tenant was not started; the upkeep does it", func(ctx context.Context) error {
		return s.engine.StartErasure(ctx, c.tenant.ID)
	})
	w.Header().Set("Location", "/v1/erasures/"+c.tenant.ID)
	return writeJSON(w, http.StatusAccepted, showErasure(e))
}

// getErasure is GET /v1/erasures/{erasure}: by the id of the tenant, which is found by nothing else any more.
func (s *Server) getErasure(w http.ResponseWriter, r *http.Request, _ *call) error {
	id, err := pathText(r, "erasure")
	if err != nil {
		return err
	}
	e, err := s.store.TenantErasure(r.Context(), id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, showErasure(e))
}

// tell tells the engine what the database has already; a failure is only logged.
func (s *Server) tell(r *http.Request, tenant, failure string, do func(context.Context) error) {
	err := within(context.WithoutCancel(r.Context()), do)
	if err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound {
		s.log.LogAttrs(r.Context(), slog.LevelWarn, failure, slog.String("request_id", infoOf(r).id), slog.String("tenant", tenant),
			slog.String("error", err.Error()))
	}
}
