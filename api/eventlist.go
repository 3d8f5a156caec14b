package api

import (
	"net/http"

	"waybill/store"
	"waybill/webhook"
)

// Prefixes of the parameters that look for a member.
const (
	attributePrefix = "attribute."
	metadataPrefix  = "metadata."
)

// listEvents is GET /v1/tenants/{tenant}/events, newest first. Data is left out: 200 events may have 50 MiB of it.
func (s *Server) listEvents(w http.ResponseWriter, r *http.Request, c *call) error {
	q := newQuery(r, "type", "test", "since", "until", attributePrefix, metadataPrefix, "limit", "cursor")
	page := q.page(new(webhook.EventKey))
	f := store.EventFilter{
		Type:       q.eventType("type"),
		Attributes: q.members(attributePrefix),
		Metadata:   q.members(metadataPrefix),
		Test:       q.flag("test"),
		Since:      q.time("since"),
		Until:      q.time("until"),
		Within:     c.confinement(),
		Page:       more(page),
	}
	q.before(f.Since, f.Until)
	if err := q.err(); err != nil {
		return err
	}
	for name, value := range f.Attributes {
		f.Attributes[name] = c.dialect.AttributeAsStored(name, value)
	}
	found, err := s.store.Events(r.Context(), c.tenant.ID, f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, pagedPart(found, page, func(e *store.StoredEvent) string { return e.Key.String() }, showEvent))
}
