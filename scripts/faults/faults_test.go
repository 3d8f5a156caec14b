package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/scripts/stack"
)

// seed is fixed here: a test that fails must fail again. make faults rolls a new one each time.
const seed = 20260527

// testWorld is a schema and a namespace of their own on the stack of make test.
func testWorld(t *testing.T) *world {
	t.Helper()
	variable := func(name string) string {
		value := os.Getenv(name)
		require.NotEmpty(t, value, "%s is not set: run the tests with make test", name)
		return value
	}
	name := fmt.Sprintf("faults_%x", randomBytes(4))
	w := &world{
		dir: t.TempDir(), binary: variable("WAYBILL_TEST_BINARY"), databaseURL: variable("WAYBILL_TEST_DATABASE_URL"), schema: name,
		temporalAddress: variable("WAYBILL_TEST_TEMPORAL_ADDRESS"), temporalNS: name,
	}
	require.NoError(t, stack.EnsureNamespace(t.Context(), w.temporalAddress, name))
	require.NoError(t, w.open(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_, err := w.db.ExecContext(ctx, "DROP SCHEMA "+name+" CASCADE")
		require.NoError(t, err)
		require.NoError(t, w.close())
	})
	return w
}

// A selection of what make faults performs.
func TestNothingLost(t *testing.T) {
	t.Parallel()
	ahead := clockScenarios()[0]
	ahead.what, ahead.faults = "the clock of `serve` is an hour ahead of the database's", calm(time.Second)
	for kills, selection := range map[int][]scenario{
		0: {ahead, sqlDisable()},
		2: {{name: "kill-serve", what: "`serve` is killed twice", endpoints: usual, faults: killServe(2)}, atFailpoint("after-commit")},
	} {
		for _, sc := range selection {
			t.Run(sc.name, func(t *testing.T) {
				t.Parallel()
				v, err := testWorld(t).perform(t.Context(), &sc, seed)
				require.NoError(t, err)
				t.Log(v.line(&sc))
				require.Empty(t, v.faults)
				require.Equal(t, kills, v.kills)
			})
		}
	}
}

// sqlDisable publishes half of the events by SQL and disables an endpoint.
func sqlDisable() scenario {
	return scenario{
		name: "sql-disable", what: "half of the events are published by SQL, and an endpoint is disabled", endpoints: []behavior{healthy, switched}, sql: true,
		faults: func(ctx context.Context, r *run) error {
			pause(ctx, time.Second)
			return errors.Join(r.disable(ctx, switched.name), calm(2*time.Second)(ctx, r))
		},
	}
}

// The oracle sees loss where there is loss.
func TestOracle_SeesReplyBeforeCommit(t *testing.T) {
	t.Parallel()
	sc := replyFirst()
	v, err := testWorld(t).perform(t.Context(), &sc, seed)
	require.NoError(t, err)
	t.Log(v.line(&sc))
	require.Positive(t, v.lost)
}

func TestOracle_SeesRelayOff(t *testing.T) {
	t.Parallel()
	sc := relayOff()
	v, err := testWorld(t).perform(t.Context(), &sc, seed)
	require.NoError(t, err)
	t.Log(v.line(&sc))
	require.Contains(t, fmt.Sprint(v.faults), "not settled")
	require.Contains(t, fmt.Sprint(v.faults), "stands as pending")
}
