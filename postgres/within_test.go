package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// auctions makes endpoints with different filters, and an event of each auction with a delivery to each endpoint.
func (b *bundle) auctions() (endpoints map[string]webhook.EndpointID, of map[string][]webhook.DeliveryID) {
	b.t.Helper()
	b.tenant("acme")
	endpoints, of = map[string]webhook.EndpointID{}, map[string][]webhook.DeliveryID{}
	for name, filter := range map[string]map[string][]string{
		"all": nil, "a": {"auction_id": {"a"}}, "a and b": {"auction_id": {"a", "b"}}, "c": {"auction_id": {"c"}},
		"a in eu": {"auction_id": {"a"}, "region": {"eu"}}, "eu": {"region": {"eu"}}, "odd": {"auction_id": {`a"]`, "%s", "'"}},
	} {
		endpoints[name] = b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes, e.Filter = []string{"*"}, filter }).ID
	}
	for _, auction := range []string{"a", "b", "c", ""} {
		r := b.publish(publication("acme", "e"+auction, func(e *webhook.Event) {
			if auction != "" {
				e.Attributes = map[string]string{"auction_id": auction, "region": "eu"}
			}
		}))
		for _, d := range r.Deliveries {
			for name, id := range endpoints {
				if id == d.EndpointID {
					of[name] = append(of[name], d.ID)
				}
			}
		}
	}
	return endpoints, of
}

var confinements = map[string]struct {
	within            webhook.Confinement
	endpoints, events []string
}{
	"one":       {webhook.Confinement{"auction_id": {"a"}}, []string{"a", "a in eu"}, []string{"ea"}},
	"two":       {webhook.Confinement{"auction_id": {"b", "a"}}, []string{"a", "a and b", "a in eu"}, []string{"ea", "eb"}},
	"two names": {webhook.Confinement{"auction_id": {"a"}, "region": {"eu"}}, []string{"a in eu"}, []string{"ea"}},
	"nobody's":  {webhook.Confinement{"auction_id": {"z"}}, nil, nil},
	"odd":       {webhook.Confinement{"auction_id": {"%s", "'", `a"]`, "x"}}, []string{"odd"}, nil},
	"name":      {webhook.Confinement{"'; --": {"a"}}, nil, nil},
}

// Every list of a session has what it may see, page by page, and nothing else; the store agrees with webhook.Confinement.
func TestWithin_Lists(t *testing.T) {
	t.Parallel()
	b := setup(t)
	endpoints, of := b.auctions()
	for name, tc := range confinements {
		t.Run(name, func(t *testing.T) {
			var ids, recovered []webhook.EndpointID
			var deliveries []webhook.DeliveryID
			for _, name := range tc.endpoints {
				ids, deliveries = append(ids, endpoints[name]), append(deliveries, of[name]...)
			}
			visible, err := b.EndpointsWithin(t.Context(), "acme", tc.within)
			require.NoError(t, err)
			require.ElementsMatch(t, ids, visible)
			listed, err := b.Endpoints(t.Context(), "acme", store.EndpointFilter{Within: tc.within, Page: store.Page{Limit: 10}})
			require.NoError(t, err)
			require.Len(t, listed.Items, len(ids))
			for _, e := range listed.Items {
				require.True(t, tc.within.CoversFilter(e.Filter))
				recovered = append(recovered, e.ID)
			}
			require.ElementsMatch(t, ids, recovered)
			require.ElementsMatch(t, deliveries, b.pages(t, store.DeliveryFilter{Within: tc.within}))
			all, err := b.Deliveries(t.Context(), "acme", store.DeliveryFilter{Within: tc.within, EndpointID: endpoints["all"], Page: store.Page{Limit: 10}})
			require.NoError(t, err)
			require.Empty(t, all.Items, "naming an endpoint does not show it")
			pending := b.pages(t, store.DeliveryFilter{Within: tc.within, Statuses: []webhook.Status{webhook.StatusPending}})
			require.ElementsMatch(t, deliveries, pending, "by another index")

			found, err := b.Events(t.Context(), "acme", store.EventFilter{Within: tc.within, Page: store.Page{Limit: 10}})
			require.NoError(t, err)
			var events []string
			for _, e := range found.Items {
				require.True(t, tc.within.CoversEvent(e.Attributes))
				events = append(events, e.ID)
			}
			require.ElementsMatch(t, tc.events, events)
		})
	}
}

// pages reads a list of deliveries with pages of two.
func (b *bundle) pages(t *testing.T, f store.DeliveryFilter) (ids []webhook.DeliveryID) {
	t.Helper()
	f.Page.Limit = 2
	for {
		part, err := b.Deliveries(t.Context(), "acme", f)
		require.NoError(t, err)
		for i, d := range part.Items {
			require.True(t, len(ids) == 0 || d.ID.String() < ids[len(ids)-1].String(), "newest first, item %d", i)
			ids = append(ids, d.ID)
		}
		if len(part.Items) < f.Page.Limit {
			return ids
		}
		f.Page.After = ids[len(ids)-1].String()
	}
}

// A session that sees more endpoints than a list merges reads the tenant's deliveries instead.
func TestWithin_ManyEndpoints(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	for i := range 51 {
		b.endpoint("acme", func(e *webhook.Endpoint) {
			e.EventTypes, e.Filter = []string{"*"}, map[string][]string{"auction_id": {fmt.Sprint(i % 2), "x"}}
		})
	}
	b.endpoint("acme", func(e *webhook.Endpoint) { e.EventTypes, e.Filter = []string{"*"}, nil })
	b.publish(publication("acme", "e", func(e *webhook.Event) { e.Attributes = map[string]string{"auction_id": "x"} }))
	require.Len(t, b.pages(t, store.DeliveryFilter{Within: webhook.Confinement{"auction_id": {"0", "1", "x"}}}), 51)
	require.Len(t, b.pages(t, store.DeliveryFilter{Within: webhook.Confinement{"auction_id": {"1", "x"}}}), 25)
}

// Statistics and recoveries are those of the endpoints that a session sees. A deleted one nobody sees.
func TestWithin_StatsAndRecoveries(t *testing.T) {
	t.Parallel()
	b := setup(t)
	endpoints, of := b.auctions()
	b.record(record("acme", of["a"][0], 1, webhook.StatusDelivered))
	b.record(record("acme", of["all"][0], 1, webhook.StatusDelivered))
	one := store.StatsOf{TenantID: "acme", Within: webhook.Confinement{"auction_id": {"a"}}}
	attempts := func(of store.StatsOf) (n int64) {
		cells, err := b.Stats(t.Context(), of, now().Truncate(time.Hour).Add(-time.Hour), time.Hour)
		require.NoError(t, err)
		for _, cell := range cells {
			n += cell.Attempts
		}
		return n
	}
	none := store.StatsOf{TenantID: "acme", Within: webhook.Confinement{"auction_id": {"z"}}}
	require.EqualValues(t, 2, attempts(store.StatsOf{TenantID: "acme"}))
	require.EqualValues(t, 1, attempts(one))
	require.Zero(t, attempts(none))
	for _, tc := range []struct {
		of   store.StatsOf
		want int
	}{{one, len(of["a"]) + len(of["a in eu"]) - 1}, {none, 0}} {
		open, err := b.CountUnsettled(t.Context(), tc.of)
		require.NoError(t, err)
		require.Equal(t, store.Unsettled{Pending: tc.want}, open)
	}
	for _, name := range []string{"a", "all"} {
		r := recovery(endpoints[name])
		require.NoError(t, b.CreateRecovery(t.Context(), r, nil))
	}
	found, err := b.Recoveries(t.Context(), "acme", store.RecoveryFilter{Within: one.Within, Page: store.Page{Limit: 10}})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, endpoints["a"], found[0].EndpointID)

	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", endpoints["a"], now()))
	require.ElementsMatch(t, of["a in eu"], b.pages(t, store.DeliveryFilter{Within: one.Within}))
}
