package postgres_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/store"
	"waybill/webhook"
)

func (b *bundle) quarantined(page store.Page) []store.QuarantinedRow {
	b.t.Helper()
	rows, err := b.QuarantinedRows(b.t.Context(), page)
	require.NoError(b.t, err)
	return rows
}

// A row in quarantine can be read, retried and deleted, each once.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.call(`'acme', 'order.confirmed', '{ "n" : 1 }', 'order-1', attributes => '{"shop": "oslo"}'`)
	b.call(`'nobody', NULL, NULL`)
	require.Equal(t, store.Ingested{Quarantined: 2}, b.drain())
	rows := b.quarantined(store.Page{Limit: 10})
	require.Len(t, rows, 2)
	require.Equal(t, "nobody", rows[0].TenantID, "the newest first")
	first := rows[1]
	require.Equal(t, "order.confirmed", first.EventType)
	require.Equal(t, "order-1", *first.EventID)
	require.Equal(t, webhook.CodeNotFound, first.Code)
	require.Equal(t, `there is no tenant "acme"`, first.Reason)
	require.Positive(t, first.Bytes)
	require.WithinDuration(t, time.Now(), first.QuarantinedAt, time.Minute)
	require.Nil(t, first.Data)
	require.Equal(t, rows[:1], b.quarantined(store.Page{Limit: 1}))
	require.Equal(t, rows[1:], b.quarantined(store.Page{Limit: 1, After: strconv.FormatInt(rows[0].Position, 10)}))

	whole, err := b.QuarantinedRow(t.Context(), first.Position)
	require.NoError(t, err)
	require.Equal(t, `{ "n" : 1 }`, string(whole.Data), "as written")
	require.JSONEq(t, `{"shop": "oslo"}`, string(whole.Attributes))

	b.tenant("acme")
	require.NoError(t, b.RetryQuarantined(t.Context(), first.Position))
	requireCode(t, webhook.CodeNotFound, b.RetryQuarantined(t.Context(), first.Position))
	require.Equal(t, store.Ingested{Published: 1}, b.drain())
	got, err := b.Event(t.Context(), "acme", "order-1")
	require.NoError(t, err)
	require.Equal(t, `{ "n" : 1 }`, string(got.Data))

	require.NoError(t, b.DeleteQuarantined(t.Context(), rows[0].Position))
	requireCode(t, webhook.CodeNotFound, b.DeleteQuarantined(t.Context(), rows[0].Position))
	_, err = b.QuarantinedRow(t.Context(), rows[0].Position)
	requireCode(t, webhook.CodeNotFound, err)
	_, err = b.QuarantinedRows(t.Context(), store.Page{After: "x", Limit: 1})
	requireCode(t, webhook.CodeInvalid, err)
	require.Empty(t, b.quarantined(store.Page{Limit: 10}))
}

// The producer of a very large row can commit, and neither the outbox nor the quarantine keeps its texts.
func TestQuarantine_LargeRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.tenant("acme")
	in := func(in *store.Ingestion) { in.RowBytes = 64 << 20 } // more than publish keeps
	for _, args := range []string{
		`'acme', 'a', to_json(repeat('x', 50000000))`,
		`'acme', repeat('x', 50000000), '1'`,
		`repeat('x', 50000000), 'a', '1'`,
		`'acme', 'a', '1', repeat('x', 50000000)`,
		`'acme', 'a', '1', attributes => json_build_object('a', repeat('x', 50000000))`,
	} {
		b.exec(`SELECT publish(` + args + `)`)
		require.Less(t, b.count(`SELECT pg_column_size(o.*) FROM outbox o`), 4000, args)
		require.Equal(t, store.Ingested{Quarantined: 1}, b.drain(in), args)
		row := b.quarantined(store.Page{Limit: 1})[0]
		require.Equal(t, webhook.CodeTooLarge, row.Code)
		require.Equal(t, "the event exceeds 8388608 bytes", row.Reason)
		require.Greater(t, row.Bytes, int64(50_000_000))
		require.True(t, row.Cut)
		requireCode(t, webhook.CodeConflict, b.RetryQuarantined(t.Context(), row.Position))
		require.Less(t, b.count(`SELECT pg_column_size(q.*) FROM outbox_quarantine q`), 6000, args)
		b.exec(`DELETE FROM outbox_quarantine`)
	}
	// At the limit: two quotes, the tenant and the type count too.
	b.call(`'acme', 'a', to_json(repeat('x', 8388608 - 7))`)
	require.Equal(t, 8388608, b.count(`SELECT bytes FROM outbox WHERE data IS NOT NULL`))
	require.Equal(t, store.Ingested{Published: 1}, b.drain(in))
}

// The quarantine is bounded in rows, bytes and age: the oldest go first, and their number is told.
func TestQuarantine_Bounds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bound func(*postgres.Options)
		kept  int
	}{
		"rows":  {func(o *postgres.Options) { o.QuarantineRows = 5 }, 5},
		"bytes": {func(o *postgres.Options) { o.QuarantineBytes = 4 * 1019 }, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, test.bound)
			trimmed := 0
			for n := range 12 {
				b.call(fmt.Sprintf(`'nobody', 'a', to_json(lpad('%d', 1000 + 10 - 8))`, n)) // 6 + 1 + 1004 and so 1011 bytes
				out, err := b.IngestOutbox(t.Context(), step(t))
				require.NoError(t, err)
				require.Equal(t, 1, out.Quarantined)
				trimmed += out.Trimmed
				require.LessOrEqual(t, b.count(`SELECT count(*) FROM outbox_quarantine`), test.kept)
			}
			rows := b.quarantined(store.Page{Limit: 100})
			require.Len(t, rows, test.kept)
			require.Equal(t, 12-test.kept, trimmed)
			require.Equal(t, rows[0].Position-int64(test.kept)+1, rows[test.kept-1].Position, "the newest are kept")
		})
	}
	t.Run("age", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.call(`'nobody', 'a', '1'`)
		b.call(`'nobody', 'a', '2'`)
		require.Equal(t, store.Ingested{Quarantined: 2}, b.drain())
		b.exec(`UPDATE outbox_quarantine SET quarantined_at = now() - interval '90 days 1 minute' WHERE data::text = '1'`)
		trimmed, err := b.TrimQuarantine(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, trimmed)
		require.Len(t, b.quarantined(store.Page{Limit: 10}), 1)
	})
	t.Run("of before", func(t *testing.T) {
		t.Parallel()
		b := setup(t, func(o *postgres.Options) { o.QuarantineRows = 10 })
		b.exec(`INSERT INTO outbox_quarantine (position, event_key, bytes, created_at, code, reason, quarantined_at)
			SELECT n, gen_random_uuid(), 1, now(), 'invalid', '', now() FROM generate_series(1, 2500) n`)
		trimmed, err := b.TrimQuarantine(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2490, trimmed, "in several statements")
	})
}

// A quarantine may have millions of rows, of a time without bounds: to trim it takes no longer for that, because every row that
// enters waits for it.
func TestQuarantine_TrimsWithoutReadingAll(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`INSERT INTO outbox_quarantine (position, event_key, bytes, created_at, code, reason, quarantined_at)
		SELECT n, gen_random_uuid(), 1, now(), 'invalid', '', now() FROM generate_series(1, 50000) n`)
	query, args := postgres.TrimQuery(10)
	require.Less(t, postgres.Buffers(t, b.Store, query, args), 50)
	require.Equal(t, 49_999, b.count(`SELECT count(*) FROM outbox_quarantine`))
	require.Equal(t, 2, b.count(`SELECT min(position) FROM outbox_quarantine`))
}

// A page shows the beginnings of texts that are as long as a row may be. One row has them whole.
func TestQuarantine_ListsBeginnings(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`SELECT publish(repeat('t', 9000), repeat('y', 9000), '1', repeat('e', 9000))`)
	require.Equal(t, store.Ingested{Quarantined: 1}, b.drain(func(in *store.Ingestion) { in.RowBytes = 64 << 10 }))
	row := b.quarantined(store.Page{Limit: 10})[0]
	require.Len(t, row.TenantID+row.EventType+*row.EventID, 600)
	whole, err := b.QuarantinedRow(t.Context(), row.Position)
	require.NoError(t, err)
	require.Len(t, whole.TenantID+whole.EventType+*whole.EventID, 27_000)
}

// The note of a row is no way around the bounds, whoever writes it.
func TestQuarantine_LongNote(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(`SELECT publish('acme', 'a', '1') FROM set_config('waybill.note', repeat('x', 1000000), false)`)
	require.Less(t, b.count(`SELECT pg_column_size(o.*) FROM outbox o`), 2000)
	require.Equal(t, store.Ingested{Quarantined: 1}, b.drain())
	require.Less(t, b.count(`SELECT pg_column_size(q.*) FROM outbox_quarantine q`), 4000)
}
