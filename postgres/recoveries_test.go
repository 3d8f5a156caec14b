package postgres_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

// recovery returns one of the last hour of the tenant acme, as the API would store it.
func recovery(endpoint webhook.EndpointID, change ...func(*webhook.Recovery)) *webhook.Recovery {
	at := now()
	r := &webhook.Recovery{
		ID: webhook.NewID[webhook.RecoveryID](uuid.Must(uuid.NewV7())), TenantID: "acme", EndpointID: endpoint, Since: at.Add(-time.Hour),
		CreatedAt: at,
	}
	for _, c := range change {
		c(r)
	}
	r.SetDefaults(at, webhook.DefaultRetention)
	return r
}

func missedToo(r *webhook.Recovery) { r.Missed = true }

// unsent publishes an event to an endpoint and settles its delivery with a status, after an attempt unless it is canceled.
func (b *bundle) unsent(endpoint webhook.EndpointID, status webhook.Status, change ...func(*webhook.Event)) webhook.DeliveryID {
	b.t.Helper()
	p := publication("acme", "", change...)
	p.Only = endpoint
	d := b.publish(p).Deliveries[0]
	if status == webhook.StatusCanceled {
		_, err := b.CancelDelivery(b.t.Context(), "acme", d.ID, "given up", now())
		require.NoError(b.t, err)
		return d.ID
	}
	b.record(record("acme", d.ID, 1, status))
	return d.ID
}

func ofType(eventType string) func(*webhook.Event) {
	return func(e *webhook.Event) { e.Type = eventType }
}

// start creates a recovery and returns it.
func (b *bundle) start(r *webhook.Recovery) *webhook.Recovery {
	b.t.Helper()
	require.NoError(b.t, b.CreateRecovery(b.t.Context(), r, nil))
	return r
}

// advance makes steps until the recovery has put everything into the queue, or limit once.
func (b *bundle) advance(endpoint webhook.EndpointID, limit int) (sent int) {
	b.t.Helper()
	for {
		n, next, err := b.AdvanceRecovery(b.t.Context(), "acme", endpoint, limit)
		require.NoError(b.t, err)
		if sent += n; next != 0 {
			return sent
		}
	}
}

func (b *bundle) find(id webhook.DeliveryID) *webhook.Delivery {
	b.t.Helper()
	d, err := b.Delivery(b.t.Context(), "acme", id)
	require.NoError(b.t, err)
	return d
}

func (b *bundle) findRecovery(id webhook.RecoveryID) *webhook.Recovery {
	b.t.Helper()
	r, err := b.Recovery(b.t.Context(), "acme", id)
	require.NoError(b.t, err)
	return r
}

// queued returns the deliveries in the queue of an endpoint in the order in which they are due.
func (b *bundle) queued(endpoint webhook.EndpointID) (ids []webhook.DeliveryID) {
	b.t.Helper()
	require.NoError(b.t, b.db.Select(&ids, `SELECT id FROM deliveries WHERE endpoint_id = $1 AND queue_due_at IS NOT NULL ORDER BY queue_due_at, id`, endpoint))
	return ids
}

// attempted records an attempt that the queue made.
func (b *bundle) attempted(id webhook.DeliveryID, status webhook.Status) {
	b.t.Helper()
	r := record("acme", id, b.find(id).Attempts+1, status)
	r.Queued = true
	require.Equal(b.t, status, b.record(r).Status)
}

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

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
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

func TestRecovery_Cancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.publish(publication("acme", ""))
	e := b.endpoint("acme")
	attempted, leased := b.unsent(e.ID, webhook.StatusExhausted), b.unsent(e.ID, webhook.StatusExhausted)
	failed, canceled := b.unsent(e.ID, webhook.StatusExhausted), b.unsent(e.ID, webhook.StatusCanceled)
	r := b.start(recovery(e.ID, missedToo))
	require.Equal(t, 5, b.advance(e.ID, 10))
	made := b.queued(e.ID)[0]
	b.attempted(attempted, webhook.StatusRetrying)
	b.exec(`UPDATE deliveries SET queue_lease = gen_random_uuid(), queue_due_at = now() + interval '1 minute' WHERE id = $1`, leased)

	got, err := b.CancelRecovery(t.Context(), "acme", r.ID, now())
	require.NoError(t, err)
	require.Equal(t, webhook.RecoveryCanceled, got.Status)
	require.NotNil(t, got.FinishedAt)
	require.Equal(t, []int64{5, 2, 0, 1}, []int64{got.Matched, got.Sent, got.Delivered, got.Failed})
	for id, want := range map[webhook.DeliveryID]webhook.Status{
		attempted: webhook.StatusRetrying, leased: webhook.StatusRetrying, failed: webhook.StatusExhausted, canceled: webhook.StatusCanceled, made: webhook.StatusCanceled,
	} {
		require.Equal(t, want, b.find(id).Status)
	}
	require.ElementsMatch(t, []webhook.DeliveryID{attempted, leased}, b.queued(e.ID))
	require.Contains(t, b.find(made).Reason, "recovery was canceled")
	require.Zero(t, b.count(`SELECT count(*) FROM deliveries WHERE status IN ('exhausted', 'canceled') AND next_attempt_at IS NOT NULL`))
	_, err = b.CancelRecovery(t.Context(), "acme", r.ID, now())
	requireCode(t, webhook.CodeConflict, err)
	_, err = b.CancelRecovery(t.Context(), "other", r.ID, now())
	requireCode(t, webhook.CodeNotFound, err)
	b.start(recovery(e.ID))
}

// The process that canceled died after its first transaction: the queue goes on.
func TestRecovery_CancelIsFinishedByTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	for range 3 {
		b.unsent(e.ID, webhook.StatusExhausted)
	}
	r := b.start(recovery(e.ID))
	require.Equal(t, 3, b.advance(e.ID, 10))
	b.exec(`UPDATE recoveries SET status = 'canceled', phase = 'withdrawing', position = '00000000-0000-0000-0000-000000000000', finished_at = now()`)
	require.Zero(t, b.advance(e.ID, 10))
	require.Empty(t, b.queued(e.ID))
	got := b.findRecovery(r.ID)
	require.Equal(t, []int64{0, 0, 0}, []int64{got.Sent, got.Delivered, got.Failed})
	require.Equal(t, 0, b.count(`SELECT count(*) FROM recoveries WHERE phase = 'withdrawing'`))
}

func TestRecovery_HasLimits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.fillUnsent(e.ID, webhook.MaxRecovery+1, "'exhausted'")
	r := recovery(e.ID)
	err := b.CreateRecovery(t.Context(), r, nil)
	requireCode(t, webhook.CodeInvalid, err)
	require.ErrorContains(t, err, fmt.Sprintf("matches %d deliveries", webhook.MaxRecovery+1))
	require.Equal(t, int64(webhook.MaxRecovery+1), must(b.CountRecovery(t.Context(), r)).Matched)
	b.exec(`DELETE FROM deliveries WHERE id = (SELECT id FROM deliveries LIMIT 1)`)
	b.start(r)
	require.Equal(t, int64(webhook.MaxRecovery), r.Matched)
}

// fillUnsent gives the tenant acme n events of the last minutes with a delivery each to an endpoint; status is SQL over n.
func (b *bundle) fillUnsent(endpoint webhook.EndpointID, n int, status string) {
	b.t.Helper()
	b.exec(`
		WITH made AS (
			SELECT n, now() - n * interval '1 ms' AS at,
				(left(uuid_floor(now() - n * interval '1 ms')::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid AS id
			FROM generate_series(1, $2) AS n
		), stored AS (
			INSERT INTO events (id, tenant_id, event_id, event_type, occurred_at, created_at, body, delivery_id_at, data_from, data_to)
			SELECT id, 'acme', id::text, 'order.confirmed', at, at, '{}', -1, 0, 2 FROM made
		)
		INSERT INTO deliveries (id, tenant_id, event_key, event_id, event_type, endpoint_id, attempts, created_at, updated_at, status,
			indexed_status)
		SELECT id, 'acme', id, id::text, CASE n % 3 WHEN 0 THEN 'item.sold' ELSE 'order.confirmed' END, $1, 1, at, at, `+status+`,
			nullif(`+status+`, 'delivered') FROM made`, endpoint, n)
}

func TestRecoveries_List(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e, other := b.endpoint("acme"), b.endpoint("acme")
	var ids []webhook.RecoveryID
	for range 3 {
		r := b.start(recovery(e.ID, func(r *webhook.Recovery) { r.Rate, r.Reason, r.EventTypes = 7, "outage", []string{"a.*"} }))
		b.advance(e.ID, 10)
		ids = append(ids, r.ID)
	}
	running := b.start(recovery(other.ID))
	slices.Reverse(ids)
	list := func(endpoint webhook.EndpointID, page store.Page) (found []webhook.RecoveryID) {
		t.Helper()
		for _, r := range must(b.Recoveries(t.Context(), "acme", endpoint, page)) {
			found = append(found, r.ID)
		}
		return found
	}
	require.Equal(t, append([]webhook.RecoveryID{running.ID}, ids...), list(webhook.EndpointID{}, store.Page{Limit: 10}))
	require.Equal(t, ids, list(e.ID, store.Page{Limit: 10}))
	require.Equal(t, ids[1:2], list(e.ID, store.Page{Limit: 1, After: ids[0].String()}))
	require.Empty(t, must(b.Recoveries(t.Context(), "other", webhook.EndpointID{}, store.Page{Limit: 10})))
	got := b.findRecovery(ids[0])
	require.Equal(t, 7, got.Rate)
	require.Equal(t, "outage", got.Reason)
	require.Equal(t, []string{"a.*"}, got.EventTypes)
	require.Equal(t, webhook.RecoveryCompleted, got.Status, "nothing matched")
}

func TestRecovery_TellsTheOperator(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *postgres.Options) { o.OperatorTenant = "ops" })
	b.tenant("acme")
	b.tenant("ops")
	e, own := b.endpoint("acme"), b.endpoint("ops")
	r := b.start(recovery(e.ID))
	b.advance(e.ID, 10)
	mine := b.start(recovery(own.ID, func(r *webhook.Recovery) { r.TenantID = "ops" }))
	_, err := b.CancelRecovery(t.Context(), "ops", mine.ID, now())
	require.NoError(t, err)
	var told []struct {
		Tenant string `db:"tenant_id"`
		Type   string `db:"event_type"`
		Data   []byte `db:"data"`
	}
	require.NoError(t, b.db.Select(&told, `SELECT tenant_id, event_type, data FROM outbox`))
	require.Len(t, told, 1)
	require.Equal(t, []string{"ops", "recovery.completed"}, []string{told[0].Tenant, told[0].Type})
	var data map[string]any
	require.NoError(t, json.Unmarshal(told[0].Data, &data))
	require.Equal(t, map[string]any{
		"tenant": "acme", "endpoint_id": e.ID.String(), "recovery_id": r.ID.String(), "status": "completed",
		"matched": 0.0, "sent": 0.0, "delivered": 0.0, "failed": 0.0,
	}, data)
}

// A count reads what was not sent, and not what was delivered; the statement of a page reads about a page.
func TestRecovery_ReadsWhatItIsAbout(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	b.fill(e.ID, 100)
	b.fillUnsent(e.ID, 30_000, "CASE n % 1000 WHEN 0 THEN 'exhausted' ELSE 'delivered' END")
	r := recovery(e.ID)
	query, args := postgres.CountQuery(r)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), mostPages)
	b.start(r)
	require.Equal(t, int64(30), r.Matched)
	query, args = postgres.AdvanceQuery(r, 10)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), 2*mostPages, "it writes, too")
	require.Len(t, b.queued(e.ID), 10)
	plan := postgres.ExplainGeneric(t, b.Store, postgres.UnattemptedQuery)
	require.Regexp(t, `Index Cond: \(endpoint_id = `, plan)
	for _, s := range b.scans(plan) {
		require.Equal(t, []string{"endpoint_id", "queue_due_at", "id"}, s.columns)
	}
}

// A repetition makes no second recovery, and gets the first answer even where the recovery could not be created now.
func TestCreateRecovery_Once(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	e := b.endpoint("acme")
	once := &store.Once{Scope: "acme", Hash: [32]byte{1}, Digest: [32]byte{2}, Answer: func() ([]byte, error) { return []byte("first"), nil }}
	require.NoError(t, b.CreateRecovery(t.Context(), recovery(e.ID), once))
	require.NoError(t, b.DeleteEndpoint(t.Context(), "acme", e.ID, now()))
	var again *store.Repetition
	require.ErrorAs(t, b.CreateRecovery(t.Context(), recovery(e.ID), once), &again)
	require.Equal(t, "first", string(again.Answer))
	once.Digest = [32]byte{3}
	requireCode(t, webhook.CodeIdempotencyConflict, b.CreateRecovery(t.Context(), recovery(e.ID), once))
	require.Len(t, must(b.Recoveries(t.Context(), "acme", e.ID, store.Page{Limit: 10})), 1)
}
