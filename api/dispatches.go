package api

import (
	"net/http"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// dispatchView is an event that is set aside, as shown. ID is the event's key, whatever id the caller chose for the event.
type dispatchView struct {
	ID        webhook.EventKey `json:"id"`
	Tenant    string           `json:"tenant"`
	EventID   string           `json:"event_id"`
	EventType string           `json:"event_type"`
	Tries     int              `json:"tries"`
	Error     string           `json:"error"`
	// SetAsideAt is null after a retry was requested.
	SetAsideAt *time.Time `json:"set_aside_at"`
}

func viewDispatch(d *store.SetAside) dispatchView {
	return dispatchView{d.EventKey, d.TenantID, d.EventID, d.EventType, d.Tries, d.Error, d.At}
}

// listDispatches is GET /v1/dispatches: the events that could not be dispatched and are not tried any more.
func (s *Server) listDispatches(w http.ResponseWriter, r *http.Request, _ *call) error {
	q := newQuery(r, "limit", "cursor")
	page := q.page(new(webhook.EventKey))
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.SetAsideDispatches(r.Context(), more(page))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, paged(found, page, func(d *store.SetAside) string { return d.EventKey.String() }, viewDispatch))
}

// retryDispatch is POST /v1/dispatches/{dispatch}/retry: the event is tried again, with all its tries.
func (s *Server) retryDispatch(w http.ResponseWriter, r *http.Request, c *call) error {
	key, err := pathID[webhook.EventKey](r, "dispatch")
	if err != nil {
		return err
	}
	d, err := s.store.RetryDispatch(r.Context(), key)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, viewDispatch(d))
}
