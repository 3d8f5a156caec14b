package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/store"
	"waybill/webhook"
)

// An attempt is shown with the bytes that it sent, as long as the event is stored.
func TestAttempt_RequestBody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	p := publication("acme", "")
	p.Body = webhook.Body{Bytes: []byte(`{"delivery":"","data":1}`), DeliveryIDAt: 13, DataFrom: 22, DataTo: 23}
	plain, spliced := b.delivery(), b.publish(p).Deliveries[0]
	for id, want := range map[webhook.DeliveryID]string{
		plain.ID: `{"data":{"n":1}}`, spliced.ID: `{"delivery":"` + spliced.ID.UUID() + `","data":1}`,
	} {
		r := record("acme", id, 1, webhook.StatusDelivered)
		b.record(r)
		b.exec(`UPDATE attempts SET url = 'https://receiver.example/hook' WHERE id = $1`, r.Attempt.ID)
		a, err := b.Attempt(t.Context(), "acme", r.Attempt.ID)
		require.NoError(t, err)
		require.Equal(t, want, string(a.RequestBody))
		require.Equal(t, "https://receiver.example/hook", a.URL)
		all, err := b.Attempts(t.Context(), "acme", id, store.Page{Limit: 10})
		require.NoError(t, err)
		require.Equal(t, []webhook.Attempt{a.Attempt}, all)

		b.exec(`DELETE FROM events WHERE id = (SELECT event_key FROM deliveries WHERE id = $1)`, id)
		a, err = b.Attempt(t.Context(), "acme", r.Attempt.ID)
		require.NoError(t, err)
		require.Nil(t, a.RequestBody)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	b.endpoint("acme")
	r := b.publish(publication("acme", "e1"))
	b.publish(publication("acme", "e2"))
	b.record(record("acme", r.Deliveries[0].ID, 1, webhook.StatusExhausted))
	b.exec(`UPDATE deliveries SET queue_due_at = now() WHERE id = $1`, r.Deliveries[1].ID)
	got, err := b.Progress(t.Context(), "acme", "e1")
	require.NoError(t, err)
	require.ElementsMatch(t, []store.Progress{
		{ID: r.Deliveries[0].ID, Status: webhook.StatusExhausted, Attempts: 1},
		{ID: r.Deliveries[1].ID, Status: webhook.StatusPending, Queued: true},
	}, got)
	_, err = b.Progress(t.Context(), "other", "e1")
	requireCode(t, webhook.CodeNotFound, err)
}
