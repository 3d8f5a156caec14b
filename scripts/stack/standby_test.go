package stack

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Tests that open stacks at the same time do not take each other's for abandoned ones.
func TestOpenTestPostgres_AtOnce(t *testing.T) {
	t.Parallel()
	root, err := FindRoot()
	require.NoError(t, err)
	var opens []func(context.Context) error
	for n := range 12 {
		opens = append(opens, func(ctx context.Context) error {
			s, err := OpenTestPostgres(ctx, root, fmt.Sprintf("at-once-%d", n), NewPrinter(io.Discard))
			if err != nil {
				return err
			}
			return s.Close()
		})
	}
	require.NoError(t, Parallel(t.Context(), opens...))
}

// What was committed on the primary is on its standby when the primary is lost, and the standby takes its place and its address.
func TestStandby(t *testing.T) {
	t.Parallel()
	root, err := FindRoot()
	require.NoError(t, err)
	s, err := OpenTestPostgres(t.Context(), root, "standby", NewPrinter(io.Discard))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	require.NoError(t, s.UpPostgres(t.Context()))
	b, err := s.AddStandby(t.Context(), s.Database)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.Close()) })

	at := map[string]*sql.DB{}
	for name, url := range map[string]string{"the address": s.DatabaseURL(s.Database), "both servers": b.URL(s.Database)} {
		at[name], err = sql.Open("postgres", url)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, at[name].Close()) })
	}
	exec := func(query string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := at["the address"].ExecContext(ctx, query)
		return err
	}
	require.NoError(t, exec(`CREATE TABLE t (n int)`))
	require.NoError(t, exec(`INSERT INTO t SELECT generate_series(1, 1000)`))

	require.NoError(t, b.Stop())
	done := make(chan error, 1)
	go func() { done <- exec(`INSERT INTO t VALUES (0)`) }()
	select {
	case err := <-done:
		require.Fail(t, "a COMMIT does not wait for the standby", err)
	case <-time.After(time.Second):
	}
	require.NoError(t, b.Start(t.Context()))
	require.NoError(t, <-done)

	require.NoError(t, b.LosePrimary())
	require.Error(t, exec(`SELECT 1`))
	require.NoError(t, b.TakeOver(t.Context()))
	require.ErrorContains(t, exec(`INSERT INTO t VALUES (0)`), "read-only transaction", "it is not promoted yet")
	require.Error(t, at["both servers"].PingContext(t.Context()), "there is no primary")
	require.NoError(t, b.Promote(t.Context()))
	require.NoError(t, exec(`INSERT INTO t VALUES (0)`))
	for name, db := range at {
		var rows int
		require.NoError(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM t`).Scan(&rows), name)
		require.Equal(t, 1002, rows, name)
	}
}
