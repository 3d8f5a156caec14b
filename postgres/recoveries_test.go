package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

func TestRecovery_SendsWhatWasNotSent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e, other := b.endpoint("acme"), b.endpoint("acme")
	exhausted := b.unsent(e.ID, webhook.StatusExhausted)
	canceled := b.unsent(e.ID, webhook.StatusCanceled, ofType("order.canceled"))
	b.unsent(e.ID, webhook.StatusDelivered)
	b.unsent(e.ID, webhook.StatusRetrying)
	b.unsent(other.ID, webhook.StatusExhausted)
	test := b.unsent(e.ID, webhook.StatusExhausted)
	b.exec(`UPDATE deliveries SET test = true WHERE id = $1`, test)
	worn := b.unsent(e.ID, webhook.StatusExhausted)
	b.exec(`UPDATE deliveries SET attempts = $2 WHERE id = $1`, worn, webhook.MaxAttempts)

	r := recovery(e.ID)
	count, err := b.CountRecovery(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, &store.RecoveryCount{Matched: 2, ByType: map[string]int64{"order.confirmed": 1, "order.canceled": 1}}, count)
	b.start(r)
	require.Equal(t, int64(2), b.findRecovery(r.ID).Matched)
	require.Equal(t, 2, b.advance(e.ID, 100))
	require.Equal(t, []webhook.DeliveryID{exhausted, canceled}, b.queued(e.ID), "the oldest first")

	d := b.find(exhausted)
	require.Equal(t, webhook.StatusRetrying, d.Status)
	require.True(t, d.Queued)
	require.Equal(t, 1, d.Attempts, "attempts are numbered on")
	d = b.find(canceled)
	require.Equal(t, webhook.StatusPending, d.Status)
	require.Empty(t, d.Reason)
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries WHERE id = $1 AND uncounted = 1 AND NOT asked AND next_attempt_at IS NOT NULL`, exhausted))

	got := b.findRecovery(r.ID)
	require.Equal(t, webhook.RecoveryRunning, got.Status)
	require.Equal(t, []int64{2, 0, 0}, []int64{got.Sent, got.Delivered, got.Failed})
	b.attempted(exhausted, webhook.StatusDelivered)
	b.advance(e.ID, 100)
	got = b.findRecovery(r.ID)
	require.Equal(t, webhook.RecoveryRunning, got.Status, "one was not attempted")
	require.Equal(t, []int64{2, 1, 0}, []int64{got.Sent, got.Delivered, got.Failed})
	b.attempted(canceled, webhook.StatusRetrying)
	b.advance(e.ID, 100)
	got = b.findRecovery(r.ID)
	require.Equal(t, webhook.RecoveryCompleted, got.Status, "it does not wait for retries")
	require.NotNil(t, got.FinishedAt)
	require.Equal(t, []int64{2, 1, 1}, []int64{got.Sent, got.Delivered, got.Failed})
	b.attempted(canceled, webhook.StatusDelivered)
	require.Equal(t, got, b.findRecovery(r.ID), "the counts are final")
	require.Zero(t, b.advance(e.ID, 100))
}

func TestRecovery_ChoosesByTimeStatusAndType(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	for _, eventType := range []string{"order.confirmed", "order_x.confirmed", "orderly", "item.sold"} {
		b.unsent(e.ID, webhook.StatusExhausted, ofType(eventType))
		b.unsent(e.ID, webhook.StatusCanceled, ofType(eventType))
	}
	old := b.unsent(e.ID, webhook.StatusExhausted, ofType("item.old"))
	b.exec(`UPDATE deliveries SET created_at = created_at - interval '2 minutes' WHERE id = $1`, old)
	for name, tc := range map[string]struct {
		change func(*webhook.Recovery)
		want   map[string]int64
	}{
		"all":       {func(*webhook.Recovery) {}, map[string]int64{"order.confirmed": 2, "order_x.confirmed": 2, "orderly": 2, "item.sold": 2, "item.old": 1}},
		"status":    {func(r *webhook.Recovery) { r.Statuses = []webhook.Status{"canceled"}; r.EventTypes = []string{"*"} }, map[string]int64{"order.confirmed": 1, "order_x.confirmed": 1, "orderly": 1, "item.sold": 1}},
		"prefix":    {func(r *webhook.Recovery) { r.EventTypes = []string{"order.*"} }, map[string]int64{"order.confirmed": 2}},
		"no wild _": {func(r *webhook.Recovery) { r.EventTypes = []string{"order_x.*", "item_old", "orde_ly"} }, map[string]int64{"order_x.confirmed": 2}},
		"exact":     {func(r *webhook.Recovery) { r.EventTypes = []string{"orderly", "item.sold"} }, map[string]int64{"orderly": 2, "item.sold": 2}},
		"since":     {func(r *webhook.Recovery) { r.Since = r.CreatedAt.Add(-time.Minute); r.EventTypes = []string{"item.*"} }, map[string]int64{"item.sold": 2}},
		"until":     {func(r *webhook.Recovery) { r.Until = r.CreatedAt.Add(-time.Minute) }, map[string]int64{"item.old": 1}},
		"none":      {func(r *webhook.Recovery) { r.EventTypes = []string{"other"} }, map[string]int64{}},
	} {
		r := recovery(e.ID, tc.change)
		count, err := b.CountRecovery(t.Context(), r)
		require.NoError(t, err, name)
		require.Equal(t, tc.want, count.ByType, name)
		var sum int64
		for _, n := range tc.want {
			sum += n
		}
		require.Equal(t, sum, count.Matched, name)

		b.start(r)
		require.Equal(t, int(sum), b.advance(e.ID, 3), "%s: sends what it counted", name)
		if sum == 0 {
			require.Equal(t, webhook.RecoveryCompleted, b.findRecovery(r.ID).Status)
			continue
		}
		canceled, err := b.CancelRecovery(t.Context(), "acme", r.ID, now())
		require.NoError(t, err)
		require.Zero(t, canceled.Sent)
		require.Empty(t, b.queued(e.ID), "and takes it back for the next case")
	}
}

func TestRecovery_MakesDeliveriesOfMissedEvents(t *testing.T) {
	t.Parallel()
	auction := &webhook.Dialect{Name: "standard", Attributes: map[string]webhook.AttributeRule{"auction_id": {Format: webhook.FormatUUID}}}
	b := setup(t, func(o *postgres.Options) { o.Dialects = map[string]*webhook.Dialect{"standard": auction} })
	b.tenant("acme")
	const lower, upper = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "3FA85F64-5717-4562-B3FC-2C963F66AFA6"
	with := func(value string) func(*webhook.Event) {
		return func(e *webhook.Event) { e.Attributes = map[string]string{"auction_id": value} }
	}
	var missed []*webhook.Publication
	for range 5 {
		missed = append(missed, publication("acme", "", with(lower)))
		b.publish(missed[len(missed)-1])
		b.publish(publication("acme", "", with(lower), ofType("item.sold")))
		b.publish(publication("acme", "", with("other")))
		b.publish(publication("acme", ""))
	}
	test := publication("acme", "", with(lower))
	b.publish(test)
	b.exec(`UPDATE events SET test = true WHERE id = $1`, test.Event.Key)
	b.tenant("other")
	b.publish(publication("other", "", with(lower)))

	e := b.endpoint("acme", func(e *webhook.Endpoint) {
		e.EventTypes, e.Filter = []string{"order.*"}, map[string][]string{"auction_id": {upper}}
	})
	got := b.publish(publication("acme", "", with(lower)))
	require.Empty(t, got.Deliveries, "the publication of this test knows no dialect")
	require.Zero(t, must(b.CountRecovery(t.Context(), recovery(e.ID))).Matched)

	r := b.start(recovery(e.ID, missedToo))
	require.Equal(t, int64(6), r.Matched)
	require.Equal(t, 6, b.advance(e.ID, 2))
	queued := b.queued(e.ID)
	require.Len(t, queued, 6)
	for i, p := range missed {
		d := b.find(queued[i])
		require.Equal(t, p.Event.ID, d.EventID, "in the order of publication")
		require.Equal(t, webhook.StatusPending, d.Status)
		require.Equal(t, p.CreatedAt, d.CreatedAt)
		require.Equal(t, p.CreatedAt.Truncate(time.Millisecond), d.ID.Time())
		sending, err := b.Sending(t.Context(), store.Target{Tenant: "acme", EventKey: p.Event.Key, DeliveryID: d.ID, EndpointID: e.ID})
		require.NoError(t, err)
		require.Equal(t, p.Body.Bytes, sending.Body.Bytes)
	}
	for _, id := range queued {
		b.attempted(id, webhook.StatusDelivered)
	}
	b.advance(e.ID, 2)
	require.Equal(t, webhook.RecoveryCompleted, b.findRecovery(r.ID).Status)
	require.Zero(t, must(b.CountRecovery(t.Context(), recovery(e.ID, missedToo))).Matched, "none is made twice")
}

// Settled deliveries come first, then missed events, and a recovery may be of missed events alone.
func TestRecovery_OfMissedEventsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.publish(publication("acme", "missed"))
	e := b.endpoint("acme")
	b.unsent(e.ID, webhook.StatusExhausted)
	require.Equal(t, int64(2), must(b.CountRecovery(t.Context(), recovery(e.ID, missedToo))).Matched)
	b.start(recovery(e.ID, func(r *webhook.Recovery) { r.Missed, r.Statuses = true, []webhook.Status{} }))
	require.Equal(t, 1, b.advance(e.ID, 10))
	require.Equal(t, "missed", b.find(b.queued(e.ID)[0]).EventID)
}

func TestRecovery_KeepsItsRate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	for range 5 {
		b.unsent(e.ID, webhook.StatusExhausted)
	}
	b.start(recovery(e.ID, func(r *webhook.Recovery) { r.Rate = 2 }))
	sent, next, err := b.AdvanceRecovery(t.Context(), "acme", e.ID, 100)
	require.NoError(t, err)
	require.Equal(t, 2, sent)
	require.Equal(t, time.Second, next)
	sent, next, err = b.AdvanceRecovery(t.Context(), "acme", e.ID, 100)
	require.NoError(t, err)
	require.Zero(t, sent)
	require.Greater(t, next, time.Duration(0))
	require.LessOrEqual(t, next, time.Second)
	b.exec(`UPDATE recoveries SET page_at = now()`)
	sent, next, err = b.AdvanceRecovery(t.Context(), "acme", e.ID, 1)
	require.NoError(t, err)
	require.Equal(t, 1, sent)
	require.Equal(t, time.Second/2, next, "a smaller page leaves a shorter pause")
}

func TestRecovery_GoesOnlyForward(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	first, second := b.unsent(e.ID, webhook.StatusExhausted), b.unsent(e.ID, webhook.StatusExhausted)
	third := b.unsent(e.ID, webhook.StatusExhausted)
	r := b.start(recovery(e.ID))
	sent, _, err := b.AdvanceRecovery(t.Context(), "acme", e.ID, 1)
	require.NoError(t, err)
	require.Equal(t, 1, sent)
	b.attempted(first, webhook.StatusExhausted)
	b.exec(`UPDATE deliveries SET status = 'retrying', indexed_status = 'retrying', queue_due_at = now(), uncounted = attempts, asked = true WHERE id = $1`, second)
	require.Equal(t, 1, b.advance(e.ID, 1), "what failed again is not sent twice, and what a person opened meanwhile is left to them")
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries WHERE recovery_id IS NOT NULL AND id = $1`, third))
	require.Equal(t, 1, b.count(`SELECT count(*) FROM deliveries WHERE asked AND id = $1`, second))
	got := b.findRecovery(r.ID)
	require.Equal(t, []int64{3, 2, 0, 1}, []int64{got.Matched, got.Sent, got.Delivered, got.Failed})
}

func TestRecovery_WaitsForItsEndpoint(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.unsent(e.ID, webhook.StatusExhausted)
	disabled := func() {
		_, _, err := b.DisableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()})
		require.NoError(t, err)
	}
	disabled()
	requireCode(t, webhook.CodeConflict, b.CreateRecovery(t.Context(), recovery(e.ID), nil))
	require.Equal(t, int64(1), must(b.CountRecovery(t.Context(), recovery(e.ID))).Matched, "what would be sent can be asked for")
	_, _, err := b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()})
	require.NoError(t, err)
	r := b.start(recovery(e.ID))
	requireCode(t, webhook.CodeConflict, b.CreateRecovery(t.Context(), recovery(e.ID), nil))
	disabled()
	require.Zero(t, b.advance(e.ID, 10))
	require.Equal(t, webhook.RecoveryRunning, b.findRecovery(r.ID).Status)
	_, _, err = b.EnableEndpoint(t.Context(), "acme", e.ID, webhook.Change{At: now()})
	require.NoError(t, err)
	require.Equal(t, 1, b.advance(e.ID, 10))

	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	require.Equal(t, webhook.RecoveryCanceled, b.findRecovery(r.ID).Status)
	requireCode(t, webhook.CodeNotFound, b.CreateRecovery(t.Context(), recovery(e.ID), nil))
	_, err = b.CountRecovery(t.Context(), recovery(e.ID))
	requireCode(t, webhook.CodeNotFound, err)
}
