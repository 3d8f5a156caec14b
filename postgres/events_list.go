package postgres

import (
	"context"
	"maps"
	"slices"

	"waybill/store"
	"waybill/webhook"
)

// Events implements store.Events.
func (s *Store) Events(ctx context.Context, tenant string, f store.EventFilter) (*store.Part[store.StoredEvent], error) {
	after, err := pageAfter[webhook.EventKey](f.Page)
	if err != nil {
		return nil, err
	}
	query, args := eventsQuery(tenant, f, after)
	type row struct {
		eventRow
		found
	}
	var rows []row
	if err := s.list(ctx, &rows, query, args...); err != nil {
		return nil, failed("list events", err)
	}
	return partOf(rows, func(r *row) string { return r.Key.String() }, func(r *row) (*store.StoredEvent, error) { return r.event() })
}

// eventsQuery returns the query of a list and its arguments. An event's key carries the moment of its publication.
func eventsQuery(tenant string, f store.EventFilter, after webhook.EventKey) (string, []any) {
	var w where
	w.and("tenant_id = %s", tenant)
	switch {
	case f.Test != nil && *f.Test: // events_tests
		w.text = append(w.text, "test")
		f.Test = nil
	case f.Type != "": // events_by_type
		w.and("event_type = %s", f.Type)
		f.Type = ""
	default: // events_by_tenant
	}
	if !after.IsZero() {
		w.and("id < %s", after)
	}
	if !f.Since.IsZero() {
		w.and("id >= uuid_floor(%s::timestamptz)", clampTime(f.Since))
	}
	if !f.Until.IsZero() {
		w.and("id < uuid_floor(%s::timestamptz)", clampTime(f.Until))
	}
	source := "SELECT " + eventColumns + " FROM events WHERE " + w.take()
	if f.Type != "" {
		w.and("event_type = %s", f.Type)
	}
	if f.Test != nil {
		w.and("test = %s", *f.Test)
	}
	w.andMembers("attributes", f.Attributes)
	w.andMembers("metadata", f.Metadata)
	w.eventsWithin(f.Within)
	return searchQuery(eventColumns, []string{source}, w.take(), w.arg(f.Page.Limit)), w.args
}

// andMembers adds a condition for each member that a JSON object must have. Attributes with a NUL, which earlier versions
// stored, cannot be read by Postgres and match nothing.
func (w *where) andMembers(column string, values map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		w.and("CASE WHEN strpos("+column+`::text, '\u0000') = 0 THEN `+column+" ->> %s::text = %s END", name, values[name])
	}
}
