package main

import (
	"bytes"
	"database/sql"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/postgres/postgrestest"
	"waybill/store"
)

// The command removes what is older than it is kept, needs no key for it, and changes nothing where it is to tell only.
func TestRetentionCommand(t *testing.T) {
	t.Parallel()
	schema := postgrestest.New(t).Schema()
	u, err := url.Parse(postgrestest.URL(t))
	require.NoError(t, err)
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	db, err := sql.Open("postgres", u.String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Exec(`INSERT INTO audit (id, tenant_id, at, actor, address, request_id, action, target)
		VALUES (uuid_floor(now() - interval '49 hours'), '', now(), 'a', '', '', 'a', 'b')`)
	require.NoError(t, err)
	for _, c := range []struct {
		args []string
		left int
		says string
	}{
		{[]string{"--dry-run"}, 1, "WOULD GO"}, {[]string{"--dry-run=true"}, 1, "WOULD GO"}, {[]string{"--audit-retention=50h"}, 1, "Nothing is older"},
		{[]string{"--dry-run=false"}, 0, "REMOVED"}, {nil, 0, "Nothing is older"},
	} {
		code, out, messages := called(t, []string{
			"WAYBILL_DATABASE_URL=" + postgrestest.URL(t), "WAYBILL_DATABASE_SCHEMA=" + schema, "WAYBILL_AUDIT_RETENTION=48h",
		}, append([]string{"retention"}, c.args...)...)
		require.Zero(t, code, messages)
		require.Contains(t, out, c.says)
		var left int
		require.NoError(t, db.QueryRow(`SELECT count(*) FROM audit`).Scan(&left))
		require.Equal(t, c.left, left, c.args)
	}
}

func TestWriteExpired(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	writeExpired(&out, []store.Expired{{What: "deliveries_2026_01", Rows: 1000, Kept: 4, Bytes: 3 << 20}, {What: "audit entries", Rows: 7}}, true)
	require.Equal(t, ""+
		"WOULD GO            ROWS  KEPT, UNSETTLED  MiB\n"+
		"deliveries_2026_01  1000  4                3.0\n"+
		"audit entries       7     0                \n", out.String())
	out.Reset()
	writeExpired(&out, nil, false)
	require.Equal(t, "Nothing is older than it is kept.\n", out.String())
}

// Only `waybill retention` has the flag, and its help tells of it.
func TestConfig_DryRun(t *testing.T) {
	t.Parallel()
	_, out, _ := called(t, nil, "retention", "--help")
	require.Contains(t, out, "--dry-run")
	for _, command := range []string{"serve", "api", "worker", "migrate", "reseal"} {
		code, _, messages := called(t, good(), command, "--dry-run")
		require.Equal(t, 2, code, "%s has no dry run, so it must not begin", command)
		require.Contains(t, messages, "there is no flag --dry-run")
	}
}
