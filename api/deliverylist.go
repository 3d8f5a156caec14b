package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"waybill/store"
	"waybill/webhook"
)

// listDeliveries is GET /v1/tenants/{tenant}/deliveries, newest first.
func (s *Server) listDeliveries(w http.ResponseWriter, r *http.Request, c *call) error {
	f, err := readFilter(r, "event")
	if err != nil {
		return err
	}
	found, err := s.findDeliveries(r, c, f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, found)
}

// listEventDeliveries is GET /v1/tenants/{tenant}/events/{event}/deliveries, newest first.
func (s *Server) listEventDeliveries(w http.ResponseWriter, r *http.Request, c *call) error {
	f, err := readFilter(r)
	if err != nil {
		return err
	}
	if f.EventID, err = pathText(r, "event"); err != nil {
		return err
	}
	found, err := s.findDeliveries(r, c, f)
	if err != nil {
		return err
	}
	if len(found.Data) == 0 {
		// No delivery, or no such event.
		if _, err := s.store.Event(r.Context(), c.tenant.ID, f.EventID); err != nil {
			return err
		}
	}
	return writeJSON(w, http.StatusOK, found)
}

func (s *Server) findDeliveries(r *http.Request, c *call, f store.DeliveryFilter) (list[*webhook.Delivery], error) {
	page := f.Page
	f.Page, f.Within = more(page), c.confinement()
	found, err := s.store.Deliveries(r.Context(), c.tenant.ID, f)
	if err != nil {
		return list[*webhook.Delivery]{}, err
	}
	return pagedPart(found, page, func(d *webhook.Delivery) string { return d.ID.String() }, c.showDelivery), nil
}

// showDelivery adds what the tenant's dialect says about a delivery.
func (c *call) showDelivery(d *webhook.Delivery) *webhook.Delivery {
	shown := *d
	if hold := c.dialect.HoldFor.Std(); d.HeldAt != nil && hold > 0 {
		until := d.HeldAt.Add(hold)
		shown.HeldUntil = &until
	}
	return &shown
}

// readFilter reads the parameters of a list of deliveries, and those named besides.
func readFilter(r *http.Request, besides ...string) (store.DeliveryFilter, error) {
	q := newQuery(r, append(besides, "endpoint", "status", "event_type", "status_code", "error_class", "test", "since", "until", "limit", "cursor")...)
	f := store.DeliveryFilter{
		EventID:    q.values.Get("event"),
		Statuses:   q.statuses("status"),
		EventType:  q.eventType("event_type"),
		StatusCode: q.statusCode("status_code"),
		ErrorClass: webhook.ErrorClass(q.values.Get("error_class")),
		Test:       q.flag("test"),
		Since:      q.time("since"),
		Until:      q.time("until"),
		Page:       q.page(new(webhook.DeliveryID)),
	}
	q.id("endpoint", &f.EndpointID)
	if f.ErrorClass != "" && !slices.Contains(webhook.ErrorClasses, f.ErrorClass) {
		q.add("error_class", "is one of "+listed(webhook.ErrorClasses))
	}
	q.before(f.Since, f.Until)
	return f, q.err()
}

// eventType reads an exact event type. A pattern would find nothing, which looks like a log that has nothing.
func (q *query) eventType(name string) string {
	text := q.values.Get(name)
	if text != "" && !webhook.IsEventType(text) {
		q.add(name, `is a dot-separated name such as "order.confirmed", not a pattern`)
	}
	return text
}

// statuses reads statuses separated by commas, each once. All of them are the same as none.
func (q *query) statuses(name string) []webhook.Status {
	text := q.values.Get(name)
	if text == "" {
		return nil
	}
	var out []webhook.Status
	for word := range strings.SplitSeq(text, ",") {
		status := webhook.Status(word)
		if !slices.Contains(webhook.Statuses, status) {
			q.add(name, "is one or several, separated by commas, of "+listed(webhook.Statuses))
			return nil
		}
		if !slices.Contains(out, status) {
			out = append(out, status)
		}
	}
	if len(out) == len(webhook.Statuses) {
		return nil
	}
	return out
}

// noAnswer stands for the status code of an attempt that got no answer.
const noAnswer = "none"

func (q *query) statusCode(name string) *int {
	text := q.values.Get(name)
	code, err := strconv.Atoi(text)
	switch {
	case text == "":
		return nil
	case text == noAnswer:
		return new(0)
	case err != nil || code < 100 || code > 999:
		q.add(name, "is from 100 to 999, or "+noAnswer+" for an attempt that got no answer")
		return nil
	}
	return &code
}

func listed[T ~string](words []T) string {
	names := make([]string, len(words))
	for i, word := range words {
		names[i] = string(word)
	}
	return strings.Join(names, ", ")
}
