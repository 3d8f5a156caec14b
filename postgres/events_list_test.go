package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// events returns the ids that a filter selects, read in pages of two.
func (b *bundle) events(tenant string, f store.EventFilter) []string {
	b.t.Helper()
	var ids []string
	f.Page = store.Page{Limit: 2}
	for {
		page, err := b.Events(b.t.Context(), tenant, f)
		require.NoError(b.t, err)
		for _, e := range page.Items {
			ids = append(ids, e.ID)
		}
		switch {
		case len(page.Items) == 2:
			f.Page.After = page.Items[1].Key.String()
		case page.Next != "":
			f.Page.After = page.Next
		default:
			return ids
		}
	}
}

func TestEvents_Filters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	b.publish(publication("other", "e1"))
	for i, change := range []func(*webhook.Event){
		func(e *webhook.Event) { e.Attributes = map[string]string{"region": "nz", "shop": "1"} },
		func(e *webhook.Event) { e.Attributes = map[string]string{"region": "nz", "odd": "\x00"} },
		func(e *webhook.Event) {
			e.Attributes, e.Metadata = map[string]string{"region": "se"}, map[string]string{"region": "nz", `"quoted"`: "é"}
		},
		func(e *webhook.Event) { e.Type, e.Test = "user.created", true },
	} {
		b.publish(publication("acme", fmt.Sprint("e", i+1), change))
	}
	yes, no := true, false
	for name, tc := range map[string]struct {
		filter store.EventFilter
		want   []string
	}{
		"all":                  {store.EventFilter{}, []string{"e4", "e3", "e2", "e1"}},
		"type":                 {store.EventFilter{Type: "order.confirmed"}, []string{"e3", "e2", "e1"}},
		"no such type":         {store.EventFilter{Type: "order.lost"}, nil},
		"attribute":            {store.EventFilter{Attributes: map[string]string{"region": "nz"}}, []string{"e1"}}, // what has a NUL cannot be searched
		"attributes":           {store.EventFilter{Attributes: map[string]string{"region": "nz", "shop": "2"}}, nil},
		"metadata":             {store.EventFilter{Metadata: map[string]string{"region": "nz", `"quoted"`: "é"}}, []string{"e3"}},
		"metadata, attribute":  {store.EventFilter{Metadata: map[string]string{"region": "nz"}, Attributes: map[string]string{"region": "se"}}, []string{"e3"}},
		"tests":                {store.EventFilter{Test: &yes}, []string{"e4"}},
		"tests of a type":      {store.EventFilter{Test: &yes, Type: "order.confirmed"}, nil},
		"all but tests":        {store.EventFilter{Test: &no}, []string{"e3", "e2", "e1"}},
		"a type without tests": {store.EventFilter{Test: &no, Type: "user.created"}, nil},
	} {
		require.Equal(t, tc.want, b.events("acme", tc.filter), name)
	}
	page, err := b.Events(t.Context(), "acme", store.EventFilter{Page: store.Page{Limit: 2}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"region": "nz", `"quoted"`: "é"}, page.Items[1].Metadata)
	require.Empty(t, page.Items[1].Data, "a list does not read bodies")
	require.Equal(t, []string{"e1"}, b.events("other", store.EventFilter{}))
	_, err = b.Events(t.Context(), "acme", store.EventFilter{Page: store.Page{After: "x", Limit: 1}})
	requireCode(t, webhook.CodeInvalid, err)
}

// Every event is in exactly one of two spans that meet: that of its publication, whenever it was stored.
func TestEvents_SinceAndUntil(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	noon := time.Date(2020, 5, 31, 12, 0, 0, 0, time.UTC)
	for minute := range 4 {
		b.publish(publication("acme", fmt.Sprint("e", minute), func(e *webhook.Event) {
			e.Key = webhook.NewID[webhook.EventKey](uuidAt(noon.Add(time.Duration(minute) * time.Minute)))
		}))
	}
	between := func(since, until time.Time) []string {
		return b.events("acme", store.EventFilter{Since: since, Until: until})
	}
	require.Equal(t, []string{"e3", "e2"}, between(noon.Add(2*time.Minute), time.Time{}))
	require.Equal(t, []string{"e1", "e0"}, between(time.Time{}, noon.Add(2*time.Minute)))
	require.Equal(t, []string{"e1"}, between(noon.Add(time.Minute), noon.Add(time.Minute+time.Millisecond)))
	require.Empty(t, between(noon.Add(time.Hour), time.Time{}))
	require.Len(t, between(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)), 4)
}

// Events of the same moment are told apart by their keys, and one that is stored between two pages neither moves nor repeats what
// follows.
func TestEvents_PagesNeitherLoseNorRepeat(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	at := now().Add(-time.Hour)
	for n := range 9 {
		b.publish(publication("acme", fmt.Sprint("e", n), func(e *webhook.Event) {
			e.Key = webhook.NewID[webhook.EventKey](uuidAt(at))
			e.Attributes = map[string]string{"region": "nz"}
		}))
	}
	for _, f := range []store.EventFilter{{}, {Attributes: map[string]string{"region": "nz"}}, {Type: "order.confirmed", Until: at.Add(time.Minute)}} {
		seen := map[string]int{}
		f.Page.Limit = 4
		for {
			page, err := b.Events(t.Context(), "acme", f)
			require.NoError(t, err)
			for _, e := range page.Items {
				seen[e.ID]++
				require.Equal(t, 1, seen[e.ID], e.ID)
			}
			if len(page.Items) < 4 {
				break
			}
			f.Page.After = page.Items[3].Key.String()
			b.publish(publication("acme", ""))
		}
		for n := range 9 {
			require.Equal(t, 1, seen[fmt.Sprint("e", n)], "event %d was lost", n)
		}
	}
}

// A page of events is read from the index that its filter asks for; attributes are looked for in so many events in a call.
func TestEvents_ListsReadAPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.exec(`
		INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, attributes, body, delivery_id_at, data_from, data_to)
		SELECT id, 'acme', id::text, CASE WHEN n = 11000 THEN 'order.lost' ELSE 'order.confirmed' END, at, at,
			CASE WHEN n = 11000 THEN '{"region":"nz"}'::json END, '{}', -1, 0, 2 FROM (
			SELECT n, now() - n * interval '1 ms' AS at,
				(left(uuid_floor(now() - n * interval '1 ms')::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid AS id
			FROM generate_series(1, 11000) AS n) AS made`)
	yes := true
	region := map[string]string{"region": "nz"}
	for name, test := range map[string]struct {
		filter store.EventFilter
		index  []string
		most   int
	}{
		"all":         {store.EventFilter{}, []string{"tenant_id", "id"}, mostPages},
		"a type":      {store.EventFilter{Type: "order.confirmed"}, []string{"tenant_id", "event_type", "id"}, mostPages},
		"a rare type": {store.EventFilter{Type: "order.lost", Attributes: region}, []string{"tenant_id", "event_type", "id"}, mostPages},
		"tests":       {store.EventFilter{Test: &yes, Type: "order.confirmed"}, []string{"tenant_id", "id"}, mostPages},
		"attributes":  {store.EventFilter{Attributes: region}, []string{"tenant_id", "id"}, 3 * postgres.Searched},
		"metadata":    {store.EventFilter{Type: "order.confirmed", Metadata: region}, []string{"tenant_id", "event_type", "id"}, 3 * postgres.Searched},
	} {
		f := test.filter
		f.Page = store.Page{Limit: 100}
		query, args := postgres.EventsQuery(f)
		plan := postgres.ExplainGeneric(t, b.Store, query)
		scans := b.scans(plan)
		require.NotEmpty(t, scans, "%s: %s", name, plan)
		require.NotContains(t, plan, "Sort  (", "%s: %s", name, plan)
		for _, s := range scans {
			require.Equal(t, test.index, s.columns, "%s: %s", name, plan)
			require.Equal(t, test.index[:len(test.index)-1], s.bound, "%s: %s", name, plan)
		}
		require.Less(t, postgres.Buffers(t, b.Store, query, args), test.most, "%s: %s", name, query)
	}
	require.Len(t, b.events("acme", store.EventFilter{Attributes: region}), 1)
	require.Len(t, b.events("acme", store.EventFilter{Attributes: region, Type: "order.lost"}), 1)
}
