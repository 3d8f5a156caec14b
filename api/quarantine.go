package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"waybill/store"
	"waybill/webhook"
)

// position identifies a row in quarantine.
type position int64

// UnmarshalText reads a position from a path or a cursor.
func (p *position) UnmarshalText(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != string(text) {
		return errors.New("is not a position")
	}
	*p = position(n)
	return nil
}

// quarantinedView is a row in quarantine, as shown. Data and attributes are the texts that the producer wrote, in the answer
// for one row only.
type quarantinedView struct {
	Position      int64                `json:"position"`
	Tenant        string               `json:"tenant"`
	EventID       *string              `json:"event_id"`
	EventType     string               `json:"event_type"`
	Code          webhook.Code         `json:"code"`
	Reason        string               `json:"reason"`
	Errors        []webhook.FieldError `json:"errors"`
	Bytes         int64                `json:"bytes"`
	Cut           bool                 `json:"cut"`
	CreatedAt     time.Time            `json:"created_at"`
	QuarantinedAt time.Time            `json:"quarantined_at"`
	Data          string               `json:"data,omitempty"`
	Attributes    string               `json:"attributes,omitempty"`
}

func viewQuarantined(r *store.QuarantinedRow) quarantinedView {
	v := quarantinedView{
		Position: r.Position, Tenant: r.TenantID, EventID: r.EventID, EventType: r.EventType, Code: r.Code, Reason: r.Reason, Errors: r.Errors,
		Bytes: r.Bytes, Cut: r.Cut, CreatedAt: r.CreatedAt.UTC(), QuarantinedAt: r.QuarantinedAt.UTC(),
		Data: string(r.Data), Attributes: string(r.Attributes),
	}
	if v.Errors == nil {
		v.Errors = []webhook.FieldError{}
	}
	return v
}

// listQuarantine is GET /v1/quarantine, latest publication first.
func (s *Server) listQuarantine(w http.ResponseWriter, r *http.Request, _ *call) error {
	q := newQuery(r, "limit", "cursor")
	page := q.page(new(position))
	if err := q.err(); err != nil {
		return err
	}
	found, err := s.store.QuarantinedRows(r.Context(), more(page))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, paged(found, page,
		func(row *store.QuarantinedRow) string { return strconv.FormatInt(row.Position, 10) }, viewQuarantined))
}

// getQuarantined is GET /v1/quarantine/{position}.
func (s *Server) getQuarantined(w http.ResponseWriter, r *http.Request, _ *call) error {
	at, err := pathID[position](r, "position")
	if err != nil {
		return err
	}
	row, err := s.store.QuarantinedRow(r.Context(), int64(at))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, viewQuarantined(row))
}

// retryQuarantined is POST /v1/quarantine/{position}/retry: back into the outbox.
func (s *Server) retryQuarantined(w http.ResponseWriter, r *http.Request, c *call) error {
	at, err := pathID[position](r, "position")
	if err != nil {
		return err
	}
	if err := s.store.RetryQuarantined(r.Context(), int64(at)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// deleteQuarantined is DELETE /v1/quarantine/{position}.
func (s *Server) deleteQuarantined(w http.ResponseWriter, r *http.Request, c *call) error {
	at, err := pathID[position](r, "position")
	if err != nil {
		return err
	}
	if err := s.store.DeleteQuarantined(r.Context(), int64(at)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
