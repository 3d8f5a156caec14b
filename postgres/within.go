package postgres

import (
	"context"
	"maps"
	"slices"

	"github.com/lib/pq"

	"waybill/webhook"
)

// endpointsWithin adds the conditions of webhook.Confinement.CoversFilter for a row with the column filter. A filter with a NUL, which
// earlier versions stored, cannot be read by Postgres and is covered by nothing.
func (w *where) endpointsWithin(within webhook.Confinement) {
	for _, name := range slices.Sorted(maps.Keys(within)) {
		w.and(`CASE WHEN strpos(filter::text, '\u0000') = 0 THEN
			filter::jsonb -> %s::text <@ %s::jsonb AND filter::jsonb -> %s::text <> '[]'::jsonb END`, name, string(mustJSON(within[name])), name)
	}
}

// eventsWithin adds the conditions of webhook.Confinement.CoversEvent for a row with the column attributes.
func (w *where) eventsWithin(within webhook.Confinement) {
	for _, name := range slices.Sorted(maps.Keys(within)) {
		w.and(`CASE WHEN strpos(attributes::text, '\u0000') = 0 THEN attributes ->> %s::text = ANY (%s::text[]) END`, name, pq.StringArray(within[name]))
	}
}

// EndpointsWithin implements store.Endpoints. The list is never nil: nil stands for no confinement.
func (s *Store) EndpointsWithin(ctx context.Context, tenant string, within webhook.Confinement) ([]webhook.EndpointID, error) {
	var w where
	w.and("tenant_id = %s AND deleted_at IS NULL", tenant)
	w.endpointsWithin(within)
	ids := []webhook.EndpointID{}
	err := s.list(ctx, &ids, "SELECT id FROM endpoints WHERE "+w.take()+" ORDER BY id", w.args...)
	return ids, failed("list the endpoints of a session", err)
}

// optionalIDs returns ids as an argument; nil: null.
func optionalIDs(ids []webhook.EndpointID) any {
	if ids == nil {
		return nil
	}
	return idsOf(ids)
}
