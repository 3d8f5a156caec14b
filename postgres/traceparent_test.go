package postgres_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
	"waybill/webhook"
)

const traced webhook.Traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// storedTrace is what an event's row has.
func (b *bundle) storedTrace(eventID string) (stored sql.NullString) {
	b.t.Helper()
	require.NoError(b.t, b.db.Get(&stored, `SELECT traceparent FROM events WHERE event_id = $1`, eventID))
	return stored
}

// The trace of an event comes with it wherever it goes: to the dispatcher, by the relay, to each attempt. The next event, without
// one, writes nothing.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	var offered []store.Dispatch
	b := setup(t, func(o *postgres.Options) { o.OnAccepted = func(d []store.Dispatch) { offered = append(offered, d...) } })
	b.tenant("acme")
	b.endpoint("acme")
	p := publication("acme", "traced")
	p.Traceparent = traced
	d := b.publish(p).Deliveries[0]
	none := b.publish(publication("acme", "untraced")).Deliveries[0]
	require.Equal(t, string(traced), b.storedTrace("traced").String)
	require.False(t, b.storedTrace("untraced").Valid)
	require.Equal(t, []webhook.Traceparent{traced, ""}, []webhook.Traceparent{offered[0].Traceparent, offered[1].Traceparent})

	for what, s := range map[string]*postgres.Store{"from the cache": b.Store, "from the database": postgrestest.Open(t, b.opts)} {
		got, err := s.Sending(t.Context(), target("acme", d))
		require.NoError(t, err)
		require.Equal(t, traced, got.Traceparent, what)
		got, err = s.Sending(t.Context(), target("acme", none))
		require.NoError(t, err)
		require.Empty(t, got.Traceparent, what)
	}

	b.exec(`UPDATE dispatches SET lease_until = now()`)
	claimed, _, err := b.ClaimDispatches(t.Context(), store.DispatchClaim{Limit: 10, Lease: time.Minute})
	require.NoError(t, err)
	require.Len(t, claimed, 2)
	require.Equal(t, []webhook.Traceparent{traced, ""}, []webhook.Traceparent{claimed[0].Traceparent, claimed[1].Traceparent})

	_, err = b.EraseEvent(t.Context(), "acme", "traced", now())
	require.NoError(t, err)
	require.False(t, b.storedTrace("traced").Valid, "an erased event is in no trace")
}

// A repetition is the same request in whatever trace it comes, and the event stays in its first one.
func TestTraceparent_Repeated(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	b.endpoint("acme")
	p := publication("acme", "order-1")
	p.Traceparent = traced
	b.publish(p)
	again := publication("acme", "order-1")
	again.Traceparent = webhook.Traceparent("00-" + "11111111111111111111111111111111" + "-1111111111111111-00")
	require.True(t, b.publish(again).Repeated)
	require.Equal(t, string(traced), b.storedTrace("order-1").String)
}

// A producer's transaction says in a setting which trace it is in. One that is malformed, or as long as it likes, costs it nothing and
// is ignored; and a row that waits in quarantine keeps its trace.
func TestTraceparent_Outbox(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	publish := func(set, args string) string {
		t.Helper()
		tx := b.db.MustBegin()
		defer tx.Rollback()
		tx.MustExec(`SELECT set_config('waybill.traceparent', ` + set + `, true)`)
		var id string
		require.NoError(t, tx.Get(&id, `SELECT publish(`+args+`)`))
		require.NoError(t, tx.Commit())
		return id
	}
	of := map[string]sql.NullString{
		publish(`'`+string(traced)+`'`, `'acme', 'a', '1'`):            {String: string(traced), Valid: true},
		publish(`''`, `'acme', 'a', '1'`):                              {},
		publish(`'00-4bf92f3577b34da6'`, `'acme', 'a', '1'`):           {},
		publish(`repeat('é', 10000000)`, `'acme', 'a', '1'`):           {},
		publish(`E'00-\n{"}'`, `'acme', 'a', '1'`):                     {},
		publish(`'cc-`+string(traced[3:])+`-more'`, `'acme', 'a','1'`): {String: string(traced), Valid: true},
		b.call(`'acme', 'a', '1'`):                                     {},
	}
	require.LessOrEqual(t, b.count(`SELECT max(char_length(traceparent)) FROM outbox`), 100)
	require.Equal(t, store.Ingested{Published: len(of)}, b.drain())
	for id, want := range of {
		require.Equal(t, want, b.storedTrace(id))
	}

	id := publish(`'`+string(traced)+`'`, `'late', 'a', '1'`)
	require.Equal(t, store.Ingested{Quarantined: 1}, b.drain())
	b.tenant("late")
	require.NoError(t, b.RetryQuarantined(t.Context(), int64(b.count(`SELECT position FROM outbox_quarantine`))))
	require.Equal(t, store.Ingested{Published: 1}, b.drain())
	require.Equal(t, string(traced), b.storedTrace(id).String)
}
