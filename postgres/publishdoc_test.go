package postgres_test

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/require"

	"waybill/postgres"
	"waybill/postgres/postgrestest"
	"waybill/store"
)

// sqlBlocks returns the SQL of a page, block by block.
func sqlBlocks(t *testing.T, page string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	var blocks []string
	for _, part := range strings.Split(string(text), "```sql\n")[1:] {
		block, _, closed := strings.Cut(part, "```")
		require.True(t, closed)
		blocks = append(blocks, block)
	}
	return blocks
}

// database creates a database of its own, where the schema can have the name that the documentation uses.
func database(t *testing.T, name string) string {
	t.Helper()
	admin := rawDB(t, "public")
	drop := func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // it waits for a checkpoint
		defer cancel()
		for _, query := range []string{`DROP DATABASE IF EXISTS ` + name + ` WITH (FORCE)`, `DROP ROLE IF EXISTS auction_app`} {
			_, err := admin.ExecContext(ctx, query)
			require.NoError(t, err)
		}
	}
	drop() // of a run that was killed
	_, err := admin.ExecContext(t.Context(), `CREATE DATABASE `+name)
	require.NoError(t, err)
	t.Cleanup(drop)
	u, err := url.Parse(postgrestest.URL(t))
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}

// The page's examples, as written, from the grants to what is put back from quarantine.
func TestDocumentation_SQLPublishing(t *testing.T) {
	t.Parallel()
	o := postgres.Options{
		URL: database(t, "waybill_documentation"), Schema: "waybill", MaxConns: 2, Keys: []postgres.Key{postgrestest.Key()},
		Logger: slog.New(slog.DiscardHandler),
	}
	require.NoError(t, postgres.Migrate(t.Context(), o.URL, o.Schema, o.Logger))
	b := &bundle{t: t, Store: postgrestest.Open(t, o), opts: o}
	db, err := sqlx.Open("postgres", o.URL)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	db.SetMaxOpenConns(1)
	run := func(query string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), query)
		require.NoError(t, err, query)
	}
	blocks := sqlBlocks(t, "../docs/sql-publishing.md")
	require.Len(t, blocks, 7)
	grants, call, inTrace, trigger, change, look, putBack := blocks[0], blocks[1], blocks[2], blocks[3], blocks[4], blocks[5], blocks[6]

	run(grants)
	run(`GRANT CREATE ON SCHEMA public TO auction_app; SET ROLE auction_app`)
	run(call)
	require.Equal(t, store.Ingested{Quarantined: 1}, b.drain(), "there is no such tenant yet")
	b.tenantOf("auction-excellence", "auctions")
	b.endpoint("auctions")
	run(inTrace)
	run(trigger)
	run(change)

	run(`RESET ROLE`)
	aside := map[string]any{}
	require.NoError(t, db.QueryRowx(look).MapScan(aside))
	require.Equal(t, "not_found", aside["code"])
	run(putBack)
	require.Equal(t, store.Ingested{Published: 3}, b.drain())

	var events []struct {
		Type  string  `db:"event_type"`
		Body  string  `db:"body"`
		Trace *string `db:"traceparent"`
	}
	require.NoError(t, db.Select(&events, `SELECT event_type, convert_from(body, 'UTF8') AS body, traceparent FROM waybill.events ORDER BY id`))
	require.Len(t, events, 3)
	require.Contains(t, events[0].Body, `"data":{"message_id": "msg_17", "channel_id": "chn_3", "text": "Gate 4 is open"}}`)
	require.Contains(t, events[1].Body, `"message_id": "msg_18"`)
	require.Equal(t, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", *events[1].Trace)
	require.Equal(t, "problem.status_changed", events[2].Type)
	require.Contains(t, events[2].Body, `"auction_id":"9b2f6c1e-0d3a-4c58-8f41-7a5de2b90c13","data":{"problem_id":"prb_9","from":"open","to":"in_progress"}}`)
	require.Nil(t, events[2].Trace, "the setting ended with its transaction")
}
