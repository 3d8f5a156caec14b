package postgres

import (
	"context"

	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

// Endpoints implements store.Endpoints.
func (s *Store) Endpoints(ctx context.Context, tenant string, f store.EndpointFilter) (*store.Part[webhook.Endpoint], error) {
	after, err := pageAfter[webhook.EndpointID](f.Page)
	if err != nil {
		return nil, err
	}
	query, args := endpointsQuery(tenant, f, after)
	type row struct {
		endpointRow
		found
	}
	var rows []row
	if err := s.list(ctx, &rows, query, args...); err != nil {
		return nil, failed("list endpoints", err)
	}
	out, err := partOf(rows, func(r *row) string { return r.ID.String() }, func(r *row) (*webhook.Endpoint, error) { return s.readEndpoint(&r.endpointRow) })
	if err != nil {
		return nil, err
	}
	shown := make([]*webhook.Endpoint, len(out.Items))
	for i := range out.Items {
		shown[i] = &out.Items[i]
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	return out, failed("list endpoints", addStreaks(ctx, s.db, shown...))
}

// fails tells whether the last attempt to an endpoint failed.
const fails = `EXISTS (SELECT FROM endpoint_streaks s WHERE s.endpoint_id = searched.id AND s.failures > 0)`

// endpointsQuery returns the query of a list and its arguments.
func endpointsQuery(tenant string, f store.EndpointFilter, after webhook.EndpointID) (string, []any) {
	var w where
	w.and("tenant_id = %s AND id > %s AND deleted_at IS NULL", tenant, after)
	source := "SELECT " + endpointColumns + " FROM endpoints WHERE " + w.take()
	if f.Disabled != nil {
		w.and("(disabled_at IS NOT NULL) = %s", *f.Disabled)
	}
	if f.Unverified != nil {
		w.and("unverified = %s", *f.Unverified)
	}
	if f.EventType != "" {
		w.and("event_types && %s::text[]", pq.StringArray(webhook.PatternsFor(f.EventType)))
	}
	w.endpointsWithin(f.Within)
	if f.Text != "" {
		w.contains(f.Text, "url", "description")
	}
	w.andMembers("metadata", f.Metadata)
	// Last, because they cost a look-up.
	if f.Trouble != nil {
		w.and("(unverified OR disabled_by IN (%s, %s, %s) OR disabled_at IS NULL AND "+fails+") = %s",
			webhook.ByFailures, webhook.ByReceiver, webhook.ByWaybill, *f.Trouble)
	}
	if f.Failing != nil {
		w.and(fails+" = %s", *f.Failing)
	}
	return upQuery(endpointColumns, source, w.take(), w.arg(f.Page.Limit)), w.args
}
