package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// listed returns the ids that a filter selects, read in pages of two.
func (b *bundle) listed(tenant string, f store.DeliveryFilter) []webhook.DeliveryID {
	b.t.Helper()
	var ids []webhook.DeliveryID
	f.Page = store.Page{Limit: 2}
	for {
		page, err := b.Deliveries(b.t.Context(), tenant, f)
		require.NoError(b.t, err)
		for _, d := range page.Items {
			ids = append(ids, d.ID)
		}
		switch {
		case len(page.Items) == 2:
			f.Page.After = page.Items[1].ID.String()
		case page.Next != "":
			f.Page.After = page.Next
		default:
			return ids
		}
	}
}

func TestDeliveries_PagesAndFilters(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	one, two := b.endpoint("acme"), b.endpoint("acme")
	b.endpoint("other")
	b.publish(publication("other", ""))
	var newest []webhook.DeliveryID
	of := map[webhook.EndpointID][]webhook.DeliveryID{}
	for i := range 4 {
		r := b.publish(publication("acme", "", func(e *webhook.Event) {
			if i == 2 {
				e.Type = "user.created"
			}
		}))
		for _, d := range r.Deliveries {
			newest = append([]webhook.DeliveryID{d.ID}, newest...)
			of[d.EndpointID] = append([]webhook.DeliveryID{d.ID}, of[d.EndpointID]...)
		}
	}
	require.Equal(t, newest, b.listed("acme", store.DeliveryFilter{}))
	require.Equal(t, of[one.ID], b.listed("acme", store.DeliveryFilter{EndpointID: one.ID}))
	require.Empty(t, b.listed("other", store.DeliveryFilter{EndpointID: one.ID}))
	require.Len(t, b.listed("other", store.DeliveryFilter{}), 1)
	require.Equal(t, newest[2:4], b.listed("acme", store.DeliveryFilter{EventType: "user.created"}))
	require.Equal(t, of[two.ID][1:2], b.listed("acme", store.DeliveryFilter{EventType: "user.created", EndpointID: two.ID}))

	b.record(record("acme", newest[0], 1, webhook.StatusDelivered))
	b.record(record("acme", newest[1], 1, webhook.StatusRetrying))
	b.record(record("acme", newest[2], 1, webhook.StatusExhausted))
	_, err := b.CancelDelivery(t.Context(), "acme", newest[3], "x", now())
	require.NoError(t, err)
	_, _, err = b.DisableEndpoint(t.Context(), "acme", one.ID, webhook.Change{Reason: "x", At: now()})
	require.NoError(t, err)
	_, err = b.HoldDelivery(t.Context(), "acme", newest[5], now())
	require.NoError(t, err)
	for status, want := range map[webhook.Status][]webhook.DeliveryID{
		webhook.StatusDelivered: newest[0:1], webhook.StatusRetrying: newest[1:2], webhook.StatusExhausted: newest[2:3],
		webhook.StatusCanceled: newest[3:4], webhook.StatusHeld: newest[5:6],
		webhook.StatusPending: {newest[4], newest[6], newest[7]},
	} {
		require.Equal(t, want, b.listed("acme", store.DeliveryFilter{Statuses: []webhook.Status{status}}), status)
	}
	_, err = b.Deliveries(t.Context(), "acme", store.DeliveryFilter{Page: store.Page{After: "x", Limit: 1}})
	requireCode(t, webhook.CodeInvalid, err)
}

// atMoment makes the ids of deliveries carry a moment of the test's choosing.
func atMoment(at *time.Time) func(*postgres.Options) {
	return func(o *postgres.Options) {
		o.NewUUID = func() [16]byte { return uuidAt(*at) }
	}
}

func uuidAt(at time.Time) [16]byte {
	id := uuid.Must(uuid.NewV7())
	ms := at.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

func TestDeliveries_SinceAndUntil(t *testing.T) {
	t.Parallel()
	at := now()
	b := setup(t, atMoment(&at))
	b.tenant("acme")
	b.endpoint("acme")
	noon := time.Date(2020, 5, 31, 23, 59, 0, 0, time.UTC)
	var ids []webhook.DeliveryID
	for minute := range 4 {
		p := publication("acme", "")
		at = noon.Add(time.Duration(minute) * time.Minute)
		p.CreatedAt = at
		ids = append([]webhook.DeliveryID{b.publish(p).Deliveries[0].ID}, ids...)
	}
	list := func(since, until time.Time) []webhook.DeliveryID {
		return b.listed("acme", store.DeliveryFilter{Since: since, Until: until})
	}
	require.Equal(t, ids, list(noon, time.Time{}))
	require.Equal(t, ids[:3], list(noon.Add(time.Minute), time.Time{}), "since is included")
	require.Equal(t, ids[2:], list(time.Time{}, noon.Add(2*time.Minute)), "until is not")
	require.Equal(t, ids[1:2], list(noon.Add(2*time.Minute), noon.Add(2*time.Minute+time.Microsecond)))
	require.Empty(t, list(noon.Add(time.Hour), time.Time{}))
	require.Equal(t, ids, list(time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(9999, 12, 31, 23, 0, 0, 0, time.UTC)))

	var plan []string
	require.NoError(t, b.db.Select(&plan, `EXPLAIN SELECT id FROM deliveries WHERE tenant_id = 'acme'
		AND id >= uuid_floor('2020-05-01') AND id < uuid_floor('2020-06-01') ORDER BY id DESC LIMIT 2`))
	for _, line := range plan {
		require.NotContains(t, line, time.Now().UTC().Format("deliveries_2006_01"), "the partitions of other months are not touched")
	}
}

func TestCancelDelivery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	b.endpoint("acme")
	id := b.delivery().ID
	b.record(record("acme", id, 1, webhook.StatusRetrying))
	_, err := b.CancelDelivery(t.Context(), "other", id, "x", now())
	requireCode(t, webhook.CodeNotFound, err)
	at := now()
	d, err := b.CancelDelivery(t.Context(), "acme", id, "enough", at)
	require.NoError(t, err)
	require.Equal(t, webhook.StatusCanceled, d.Status)
	require.Equal(t, "enough", d.Reason)
	require.Equal(t, at, d.UpdatedAt)
	require.Nil(t, d.NextAttemptAt)
	_, err = b.CancelDelivery(t.Context(), "acme", id, "again", at)
	requireCode(t, webhook.CodeConflict, err)
	require.ErrorContains(t, err, "the delivery is canceled")
	same, err := b.Delivery(t.Context(), "acme", id)
	require.NoError(t, err)
	require.Equal(t, d, same)
	_, err = b.Delivery(t.Context(), "other", id)
	requireCode(t, webhook.CodeNotFound, err)
}

func TestEvent_IsOfItsTenant(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.tenant("other")
	generated, chosen := b.publish(publication("acme", "")).EventID, b.publish(publication("acme", "mine")).EventID
	for _, id := range []string{generated, chosen} {
		_, err := b.Event(t.Context(), "acme", id)
		require.NoError(t, err)
		_, err = b.Event(t.Context(), "other", id)
		requireCode(t, webhook.CodeNotFound, err)
		_, err = b.History(t.Context(), "other", id)
		requireCode(t, webhook.CodeNotFound, err)
	}
	for _, id := range []string{"nothing", "evt_" + generated[4:30] + "ffffff", "EVT_" + generated[4:], ""} {
		_, err := b.Event(t.Context(), "acme", id)
		requireCode(t, webhook.CodeNotFound, err)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	for range 3 {
		b.endpoint("acme")
	}
	r := b.publish(publication("acme", "mine"))
	failed, last := record("acme", r.Deliveries[0].ID, 1, webhook.StatusRetrying), record("acme", r.Deliveries[0].ID, 2, webhook.StatusDelivered)
	b.record(failed)
	b.record(last)
	waiting := record("acme", r.Deliveries[2].ID, 1, webhook.StatusRetrying)
	b.record(waiting)
	h, err := b.History(t.Context(), "acme", "mine")
	require.NoError(t, err)
	require.Equal(t, &webhook.History{EventID: "mine", Deliveries: []webhook.DeliveryHistory{
		{
			ID: r.Deliveries[0].ID, EndpointID: r.Deliveries[0].EndpointID, Status: webhook.StatusDelivered,
			Attempts: []webhook.AttemptSummary{failed.Attempt.AttemptSummary, last.Attempt.AttemptSummary},
		},
		{ID: r.Deliveries[1].ID, EndpointID: r.Deliveries[1].EndpointID, Status: webhook.StatusPending},
		{
			ID: r.Deliveries[2].ID, EndpointID: r.Deliveries[2].EndpointID, Status: webhook.StatusRetrying, NextAttemptAt: waiting.NextAttemptAt,
			Attempts: []webhook.AttemptSummary{waiting.Attempt.AttemptSummary},
		},
	}}, h)
	_, err = b.History(t.Context(), "acme", "nothing")
	requireCode(t, webhook.CodeNotFound, err)
}
