package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"waybill/store"
	"waybill/webhook"
)

// The sources of a history.
const (
	sourceLive   = "live"   // the running workflow
	sourceClosed = "closed" // the log, of a workflow that has ended
	sourceLog    = "log"    // the log, because no workflow is known, none answers, or it does not know all
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
	if err := s.confineHistory(r.Context(), c, h); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, showHistory(h, source))
}

// findHistory queries the workflow. When the workflow has ended, does not answer, or does not know all, it reads the log.
func (s *Server) findHistory(r *http.Request, tenant, event string) (*webhook.History, string, error) {
	var h *webhook.History
	err := within(r.Context(), func(ctx context.Context) (err error) {
		h, err = s.engine.History(ctx, tenant, event)
		return err
	})
	if err == nil {
		progress, err := s.store.Progress(r.Context(), tenant, event)
		if err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound {
			return nil, "", err
		}
		if knowsAll(h, progress) {
			return h, sourceLive, nil
		}
	}
	source := sourceLog
	switch {
	case errors.Is(err, webhook.ErrClosed):
		source = sourceClosed
	case err != nil && webhook.ErrorCode(err) != webhook.CodeNotFound:
		s.log.LogAttrs(r.Context(), slog.LevelWarn, "the workflow did not answer with its history; using the log",
			slog.String("request_id", infoOf(r).id), slog.String("tenant", tenant),
			slog.String("event_id", event), slog.String("error", err.Error()))
	}
	h, err = s.store.History(r.Context(), tenant, event)
	if err == nil && source == sourceClosed && slices.ContainsFunc(h.Deliveries, isOpen) {
		source = sourceLog // the endpoint's queue goes on with it
	}
	return h, source, err
}

func isOpen(d webhook.DeliveryHistory) bool { return !d.Status.Settled() }

// knowsAll reports whether the workflow knows all that the log has. It does not know what happened to a delivery after it handed
// it to the endpoint's queue, or after a person opened it again. What it works on itself, the log has a moment before it does.
func knowsAll(h *webhook.History, progress []store.Progress) bool {
	if len(progress) > len(h.Deliveries) {
		return false // a recovery made deliveries that the event did not have
	}
	of := make(map[webhook.DeliveryID]*store.Progress, len(progress))
	for i := range progress {
		of[progress[i].ID] = &progress[i]
	}
	for i := range h.Deliveries {
		d := &h.Deliveries[i]
		p := of[d.ID]
		if p == nil {
			continue
		}
		made := 0
		if n := len(d.Attempts); n > 0 {
			made = d.Attempts[n-1].Number
		}
		left := d.Status.Settled() || d.Status == webhook.StatusHeld
		if p.Queued || left && (p.Status != d.Status || p.Attempts > made) {
			return false
		}
	}
	return true
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
