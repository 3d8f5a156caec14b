package main

import (
	"bytes"
	"database/sql"
	"flag"
	"io"
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
	}{{[]string{"-dry-run"}, 1}, {[]string{"-audit-retention=50h"}, 1}, {nil, 0}, {nil, 0}} {
		err := run(t.Context(), append([]string{"retention"}, c.args...), []string{
			"WAYBILL_DATABASE_URL=" + postgrestest.URL(t), "WAYBILL_DATABASE_SCHEMA=" + schema, "WAYBILL_AUDIT_RETENTION=48h",
		}, io.Discard)
		require.NoError(t, err)
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
	environ := []string{"WAYBILL_DATABASE_URL=postgres://127.0.0.1/w"}
	for arg, want := range map[string]bool{"-dry-run": true, "--dry-run": true, "-dry-run=false": false} {
		c, err := parseConfig("retention", []string{"-audit-retention=50h", arg}, environ, io.Discard)
		require.NoError(t, err)
		require.Equal(t, want, c.dryRun, arg)
	}
	for command := range commands {
		var help bytes.Buffer
		_, err := parseConfig(command, []string{"-h"}, environ, &help)
		require.ErrorIs(t, err, flag.ErrHelp)
		if command == "retention" {
			require.Contains(t, help.String(), "-dry-run")
			continue
		}
		require.NotContains(t, help.String(), "-dry-run")
		_, err = parseConfig(command, []string{"-dry-run"}, environ, io.Discard)
		require.Error(t, err, "%s has no dry run, so it must not begin", command)
	}
}
