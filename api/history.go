package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"waybill/webhook"
)

// The sources of a history.
const (
	sourceLive   = "live"   // the running workflow
	sourceClosed = "closed" // the log, of a workflow that has ended
	sourceLog    = "log"    // the log, because no workflow is known or none answers
)

// historyView is a history with its source.
type historyView struct {
	webhook.History
	Source string `json:"source"`
}

// getHistory is GET /v1/tenants/{tenant}/events/{event}/history.
func (s *Server) getHistory(w http.ResponseWriter, r *http.Request, c *call) error {
	id, err := pathText(r, "event")
	if err != nil {
		return err
	}
	h, source, err := s.findHistory(r, c.tenant.ID, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, showHistory(h, source))
}

// findHistory queries the workflow. When the workflow has ended or does not answer, it reads the log.
func (s *Server) findHistory(r *http.Request, tenant, event string) (*webhook.History, string, error) {
	var h *webhook.History
	err := within(r.Context(), func(ctx context.Context) (err error) {
		h, err = s.engine.History(ctx, tenant, event)
		return err
	})
	if err == nil {
		return h, sourceLive, nil
	}
	source := sourceLog
	switch {
	case errors.Is(err, webhook.ErrClosed):
		source = sourceClosed
	case webhook.ErrorCode(err) != webhook.CodeNotFound:
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "the workflow did not answer with its history; using the log",
			slog.String("request_id", infoOf(r).id), slog.String("tenant", tenant),
			slog.String("event", event), slog.String("error", err.Error()))
	}
	h, err = s.store.History(r.Context(), tenant, event)
	return h, source, err
}

// showHistory replaces nil lists by empty ones.
func showHistory(h *webhook.History, source string) historyView {
	out := historyView{webhook.History{EventID: h.EventID, Deliveries: []webhook.DeliveryHistory{}}, source}
	for _, d := range h.Deliveries {
		if d.Attempts == nil {
			d.Attempts = []webhook.AttemptSummary{}
		}
		out.Deliveries = append(out.Deliveries, d)
	}
	return out
}
