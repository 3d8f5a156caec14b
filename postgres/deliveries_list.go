package postgres

import (
	"context"
	"slices"

	"github.com/lib/pq"

	"waybill/store"
	"waybill/webhook"
)

// listedColumns are those that a list of deliveries shows, once they have been selected as deliveryColumns.
const listedColumns = storedColumns + `, queued`

// Deliveries implements store.Deliveries.
func (s *Store) Deliveries(ctx context.Context, tenant string, f store.DeliveryFilter) (*store.Part[webhook.Delivery], error) {
	after, err := pageAfter[webhook.DeliveryID](f.Page)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var key webhook.EventKey
	if f.EventID != "" {
		key, err = findEventKey(ctx, s.db, tenant, f.EventID)
		if webhook.ErrorCode(err) == webhook.CodeNotFound {
			return &store.Part[webhook.Delivery]{}, nil
		}
		if err != nil {
			return nil, failed("find an event", err)
		}
	}
	var among []webhook.EndpointID
	if f.Within != nil {
		if among, err = s.EndpointsWithin(ctx, tenant, f.Within); err != nil || len(among) == 0 {
			return &store.Part[webhook.Delivery]{}, err
		}
	}
	query, args := listQuery(tenant, key, f, among, after)
	type row struct {
		deliveryRow
		found
	}
	var rows []row
	if err := s.db.SelectContext(ctx, &rows, query, args...); err != nil {
		return nil, failed("list deliveries", err)
	}
	return partOf(rows, func(r *row) string { return r.ID.String() }, func(r *row) (*webhook.Delivery, error) { return r.delivery(), nil })
}

// listQuery returns the query of a list and its arguments. The filter decides on the indexes, and the conditions are written
// so that no other index can serve. among are the endpoints that it is confined to; nil: all.
func listQuery(tenant string, key webhook.EventKey, f store.DeliveryFilter, among []webhook.EndpointID, after webhook.DeliveryID) (string, []any) {
	l := deliveryList{tenant: tenant, key: key, left: f, among: among}
	from := l.sources()
	if !after.IsZero() {
		l.and("id < %s", after)
	}
	if !f.Since.IsZero() {
		l.and("id >= uuid_floor(%s::timestamptz)", clampTime(f.Since.Add(-idSlack)))
	}
	if !f.Until.IsZero() {
		l.and("id < uuid_floor(%s::timestamptz)", clampTime(f.Until.Add(idSlack)))
	}
	within := l.take()
	for i, source := range from {
		from[i] = "SELECT " + source + " AND " + within
	}
	return searchQuery(listedColumns, from, l.filter(), l.arg(f.Page.Limit)), l.args
}

// deliveryList makes the query of a list.
type deliveryList struct {
	where
	tenant string
	key    webhook.EventKey
	// left is what the sources chosen so far do not serve.
	left store.DeliveryFilter
	// among are the endpoints that the list is confined to; nil: all.
	among []webhook.EndpointID
}

// mergedMost is how many endpoints a list reads each with its index, instead of looking for their deliveries among the tenant's.
const mergedMost = 50

// sources chooses the indexes to read, the one with the fewest entries of those that serve a part of the filter.
func (l *deliveryList) sources() []string {
	f := &l.left
	switch {
	case f.EventID != "":
		f.EventID = ""
		return []string{l.ofEvent()}
	case f.Test != nil && *f.Test: // deliveries_tests
		f.Test = nil
		return []string{l.source("tenant_id = %s AND test", l.tenant)}
	case !f.EndpointID.IsZero() && len(f.Statuses) > 0 && !slices.ContainsFunc(f.Statuses, notOfEndpoint):
		return l.ofEndpointByStatus()
	case f.StatusCode != nil && (*f.StatusCode < 200 || *f.StatusCode > 299): // deliveries_by_failed_code: no other attempt fails
		code := *f.StatusCode
		f.StatusCode = nil
		return []string{l.source("tenant_id = %s AND failed_code = %s", l.tenant, code)}
	case f.ErrorClass != "": // deliveries_by_error
		class := string(f.ErrorClass)
		f.ErrorClass = ""
		return []string{l.source("tenant_id = %s AND last_error_class = %s AND last_error_class <> ''", l.tenant, class)}
	case len(f.Statuses) > 0 && !slices.Contains(f.Statuses, webhook.StatusDelivered):
		return l.byStatus()
	case !f.EndpointID.IsZero(): // deliveries_by_endpoint
		from := l.ofEndpoint("true")
		f.EndpointID = webhook.EndpointID{}
		return []string{from}
	case l.among != nil && len(l.among) <= mergedMost: // deliveries_by_endpoint, merged
		return l.ofEndpoints()
	case f.EventType != "": // deliveries_by_type
		eventType := f.EventType
		f.EventType = ""
		return []string{l.source("tenant_id = %s AND event_type = %s", l.tenant, eventType)}
	default: // deliveries_by_tenant
		return []string{l.source("tenant_id = %s", l.tenant)}
	}
}

// source returns a source whose condition an index serves.
func (l *deliveryList) source(condition string, values ...any) string {
	l.and(condition, values...)
	return deliveryColumns + " FROM deliveries WHERE " + l.take()
}

// ofEvent is the source of one event: deliveries_by_event, which is not in the order of ids.
func (l *deliveryList) ofEvent() string {
	l.and("stored.key = %s AND tenant_id || '' = %s", l.key, l.tenant)
	return listedColumns + " FROM (SELECT " + deliveryColumns + " FROM " + storedDeliveries + " WHERE " + l.take() + ") AS of_event WHERE true"
}

// ofEndpoint is the source of an endpoint, narrowed by the condition of a partial index. That the endpoint is the tenant's is
// found out once, and not for each of its deliveries.
func (l *deliveryList) ofEndpoint(condition string) string {
	id := l.left.EndpointID
	return l.source("endpoint_id = %s AND "+condition+" AND EXISTS (SELECT FROM endpoints e WHERE e.id = %s AND e.tenant_id || '' = %s)",
		id, id, l.tenant)
}

// ofEndpoints is a source for each endpoint that the list is confined to.
func (l *deliveryList) ofEndpoints() []string {
	var from []string
	for _, id := range l.among {
		from = append(from, l.source("endpoint_id = %s", id))
	}
	l.among = nil
	return from
}

// notOfEndpoint reports whether no index tells an endpoint's deliveries of a status.
func notOfEndpoint(s webhook.Status) bool {
	return s == webhook.StatusPending || s == webhook.StatusDelivered
}

// ofEndpointByStatus reads deliveries_held, deliveries_unsent_by_endpoint and deliveries_waiting. What is retrying waits for its next attempt,
// and so does what was opened again before its first one, which is pending.
func (l *deliveryList) ofEndpointByStatus() []string {
	f := &l.left
	var from []string
	if slices.Contains(f.Statuses, webhook.StatusHeld) {
		from = append(from, l.ofEndpoint("held_at IS NOT NULL"))
	}
	exhausted, canceled := slices.Contains(f.Statuses, webhook.StatusExhausted), slices.Contains(f.Statuses, webhook.StatusCanceled)
	if exhausted || canceled {
		from = append(from, l.ofEndpoint("indexed_status IN ('exhausted', 'canceled')"))
	}
	retrying := slices.Contains(f.Statuses, webhook.StatusRetrying)
	if retrying {
		from = append(from, l.ofEndpoint("next_attempt_at IS NOT NULL"))
	}
	f.EndpointID = webhook.EndpointID{}
	return from
}

// byStatus reads deliveries_by_indexed_status, once for each status, and for what is pending also the deliveries that the reconciler
// did not sweep yet. The rows tell too: a process of an earlier version leaves the index as it was.
func (l *deliveryList) byStatus() []string {
	var from []string
	for _, s := range l.left.Statuses {
		from = append(from, l.source("tenant_id = %s AND indexed_status = %s", l.tenant, string(s)))
		if s == webhook.StatusPending {
			from = append(from, l.source("tenant_id = %s AND id > (SELECT position FROM reconciler_sweeps WHERE behind = %s::interval)"+
				" AND indexed_status IS NULL", l.tenant, lastSweep))
		}
	}
	return from
}

// filter returns the conditions that the sources leave to be checked on each row.
func (l *deliveryList) filter() string {
	f := &l.left
	if !f.EndpointID.IsZero() {
		l.and("endpoint_id = %s", f.EndpointID)
	}
	if l.among != nil {
		l.and("endpoint_id = ANY (%s::uuid[])", idsOf(l.among))
	}
	if len(f.Statuses) > 0 {
		l.and("status = ANY (%s::text[])", pq.Array(f.Statuses))
	}
	if f.EventType != "" {
		l.and("event_type = %s", f.EventType)
	}
	if f.StatusCode != nil {
		l.and("last_status_code = %s", *f.StatusCode)
	}
	if f.ErrorClass != "" {
		l.and("last_error_class = %s", string(f.ErrorClass))
	}
	if f.Test != nil {
		l.and("test = %s", *f.Test)
	}
	if !f.Since.IsZero() {
		l.and("created_at >= %s", clampTime(f.Since))
	}
	if !f.Until.IsZero() {
		l.and("created_at < %s", clampTime(f.Until))
	}
	return l.take()
}
