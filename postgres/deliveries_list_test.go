package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

func TestDeliveries_Filters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	one, two := b.endpoint("acme"), b.endpoint("acme")
	b.endpoint("other")
	other := b.publish(publication("other", "o-1"))
	first := b.publish(publication("acme", "o-1")).Deliveries
	second := b.publish(publication("acme", "")).Deliveries
	test := b.publish(publication("acme", "", func(e *webhook.Event) { e.Test = true })).Deliveries

	b.record(record("acme", first[0].ID, 1, webhook.StatusDelivered))
	b.record(record("acme", first[1].ID, 1, webhook.StatusExhausted))
	timeout := record("acme", second[0].ID, 1, webhook.StatusRetrying)
	timeout.Attempt.StatusCode, timeout.Attempt.ErrorClass = 0, webhook.ErrorTimeout
	b.record(timeout)
	_, err := b.CancelDelivery(t.Context(), "acme", second[1].ID, "x", now())
	require.NoError(t, err)
	b.record(record("acme", test[0].ID, 1, webhook.StatusDelivered))

	ids := func(deliveries ...webhook.ReceiptDelivery) []webhook.DeliveryID {
		var out []webhook.DeliveryID
		for _, d := range deliveries {
			out = append(out, d.ID)
		}
		return out
	}
	yes, no, ok, fault, none := true, false, 200, 500, 0
	for name, tc := range map[string]struct {
		filter store.DeliveryFilter
		want   []webhook.DeliveryID
	}{
		"event":                    {store.DeliveryFilter{EventID: "o-1"}, ids(first[1], first[0])},
		"event and endpoint":       {store.DeliveryFilter{EventID: "o-1", EndpointID: two.ID}, ids(first[1])},
		"event and status":         {store.DeliveryFilter{EventID: "o-1", Statuses: []webhook.Status{"delivered", "held"}}, ids(first[0])},
		"no such event":            {store.DeliveryFilter{EventID: "o-2"}, nil},
		"several statuses":         {store.DeliveryFilter{Statuses: []webhook.Status{"exhausted", "retrying", "canceled"}}, ids(second[1], second[0], first[1])},
		"with delivered":           {store.DeliveryFilter{Statuses: []webhook.Status{"exhausted", "delivered"}}, ids(test[0], first[1], first[0])},
		"statuses of an endpoint":  {store.DeliveryFilter{EndpointID: two.ID, Statuses: []webhook.Status{"exhausted", "canceled"}}, ids(second[1], first[1])},
		"a status of an endpoint":  {store.DeliveryFilter{EndpointID: two.ID, Statuses: []webhook.Status{"canceled"}}, ids(second[1])},
		"retrying of an endpoint":  {store.DeliveryFilter{EndpointID: one.ID, Statuses: []webhook.Status{"retrying", "held"}}, ids(second[0])},
		"the usual code":           {store.DeliveryFilter{StatusCode: &ok}, ids(test[0], first[0])},
		"another code":             {store.DeliveryFilter{StatusCode: &fault}, ids(first[1])},
		"another code of endpoint": {store.DeliveryFilter{StatusCode: &fault, EndpointID: one.ID}, nil},
		"no answer":                {store.DeliveryFilter{StatusCode: &none}, ids(second[0])},
		"error class":              {store.DeliveryFilter{ErrorClass: webhook.ErrorHTTPStatus}, ids(first[1])},
		"error class and code":     {store.DeliveryFilter{ErrorClass: webhook.ErrorTimeout, StatusCode: &none}, ids(second[0])},
		"error class and another":  {store.DeliveryFilter{ErrorClass: webhook.ErrorTimeout, StatusCode: &fault}, nil},
		"tests":                    {store.DeliveryFilter{Test: &yes}, ids(test[1], test[0])},
		"tests of a status":        {store.DeliveryFilter{Test: &yes, Statuses: []webhook.Status{"pending"}}, ids(test[1])},
		"all but tests":            {store.DeliveryFilter{Test: &no, Statuses: []webhook.Status{"delivered"}}, ids(first[0])},
	} {
		require.Equal(t, tc.want, b.listed("acme", tc.filter), name)
	}
	require.Equal(t, ids(other.Deliveries...), b.listed("other", store.DeliveryFilter{EventID: "o-1"}))
	require.Empty(t, b.listed("other", store.DeliveryFilter{EndpointID: two.ID, Statuses: []webhook.Status{"exhausted"}}))

	page, err := b.Deliveries(t.Context(), "acme", store.DeliveryFilter{StatusCode: &fault, Page: store.Page{Limit: 1}})
	require.NoError(t, err)
	require.Equal(t, &webhook.LastAttempt{
		Number: 1, StartedAt: page.Items[0].LastAttempt.StartedAt, DurationMS: 12, StatusCode: 500, ErrorClass: webhook.ErrorHTTPStatus, Error: "the receiver answered 500",
	}, page.Items[0].LastAttempt)
}

// Deliveries of the same moment are told apart by their ids, and what is stored between two pages neither moves nor repeats
// what follows.
func TestDeliveries_PagesNeitherLoseNorRepeat(t *testing.T) {
	t.Parallel()
	at := now()
	b := setup(t, atMoment(&at))
	b.tenant("acme")
	for range 3 {
		b.endpoint("acme")
	}
	want := map[webhook.DeliveryID]bool{}
	for range 7 {
		p := publication("acme", "")
		p.CreatedAt = at
		for _, d := range b.publish(p).Deliveries {
			want[d.ID] = true
			b.record(record("acme", d.ID, 1, []webhook.Status{webhook.StatusRetrying, webhook.StatusExhausted}[len(want)%2]))
		}
	}
	for _, f := range []store.DeliveryFilter{
		{}, {Since: at, Until: at.Add(time.Second)}, {Statuses: []webhook.Status{webhook.StatusRetrying, webhook.StatusExhausted}},
		{ErrorClass: webhook.ErrorHTTPStatus, EventType: "order.confirmed"},
	} {
		seen := map[webhook.DeliveryID]bool{}
		f.Page.Limit = 4
		for {
			page, err := b.Deliveries(t.Context(), "acme", f)
			require.NoError(t, err)
			for _, d := range page.Items {
				require.False(t, seen[d.ID], "%s is there twice", d.ID)
				seen[d.ID] = true
			}
			if len(page.Items) < 4 {
				break
			}
			f.Page.After = page.Items[3].ID.String()
			before := at
			at = at.Add(time.Second) // a newer one
			b.publish(publication("acme", ""))
			at = before
		}
		for id := range want {
			require.True(t, seen[id], "%s was lost", id)
		}
	}
}

// A filter that no index serves looks at so many deliveries in a call, and the next call goes on behind them.
func TestDeliveries_SearchIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.fill(e.ID, 2*postgres.Searched+100)
	// The last of the first search, the first of the second, and the last of all.
	b.exec(`
		UPDATE deliveries SET event_type = 'order.lost' WHERE id IN (
			SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id DESC) AS n, count(*) OVER () AS all FROM deliveries) AS d
			WHERE n IN ($1::bigint, $1::bigint + 1, d.all))`, postgres.Searched)
	f := store.DeliveryFilter{EndpointID: e.ID, EventType: "order.lost", Page: store.Page{Limit: 10}}
	var found []int
	for {
		page, err := b.Deliveries(t.Context(), "acme", f)
		require.NoError(t, err)
		found = append(found, len(page.Items))
		if f.Page.After = page.Next; page.Next == "" {
			break
		}
	}
	require.Equal(t, []int{1, 1, 1}, found)
	require.Len(t, b.listed("acme", store.DeliveryFilter{EndpointID: e.ID, EventType: "order.lost"}), 3)
	query, args := postgres.ListQuery(f)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), 3*postgres.Searched)
}
