package main

import (
	"flag"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"waybill/scripts/stack"
)

func TestParseOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, &options{cases: caseNames(), modes: []string{"workflow"}, runs: 3, scale: 1, fanOut: 10, logAttempts: 1_000_000, logMonths: 3, settle: time.Second, floor: "2026-11"}, o)

	o, err = parseOptions([]string{"-quick", "-cases", "rate,one", "-modes", "workflow,express", "-json", "x.json"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, &options{cases: []string{"one", "rate"}, modes: []string{"workflow", "express"}, runs: 1, scale: quickScale, fanOut: 10, logAttempts: 1_000_000, logMonths: 3, jsonFile: "x.json", settle: 200 * time.Millisecond, floor: "2026-11"}, o)

	for _, bad := range [][]string{
		{"-cases", "one,none"}, {"-backlog-fan-out", "0"}, {"-log-attempts", "0"}, {"-log-months", "1"}, {"-without", "pgx,none"}, {"-modes", "fast"}, {"-floor", "2026-10"}, {"-floor", "none", "-cases", "floor"}, {"-runs", "0"}, {"-events", "0"}, {"-events", "NaN"}, {"-events", "x"}, {"one"}, {"-shape", "flat"}, {"-shape", "cluster", "-stock"}, {"-shape", "nodes", "-stock"}, {"-shape", "cluster", "-pprof", "x"}, {"-cases", "rest", "-url", "http://127.0.0.1:1", "-api-key", "k"},
	} {
		_, err := parseOptions(bad, io.Discard)
		require.Error(t, err, bad)
	}
	_, err = parseOptions([]string{"-h"}, io.Discard)
	require.ErrorIs(t, err, flag.ErrHelp)
}

func TestParseOptions_Without(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"-without", "gogc,pgx"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, []stack.Setting{stack.WithoutGOGC, stack.WithoutPGX}, o.without)
	require.Equal(t, floorShipped, o.floor, "what is left out is to show in the floor")
	o, err = parseOptions([]string{"-stock", "-without", "pgx"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, stack.Settings(), o.without)
}

func TestParseOptions_Given(t *testing.T) {
	t.Parallel()
	const database, address, running = "-database-url=postgres://u:secret@db/x", "-temporal-address=temporal:7233", "-url=http://127.0.0.1:1/"
	o, err := parseOptions([]string{database, address}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, slices.DeleteFunc(caseNames(), func(name string) bool { return name == caseRetention }), o.cases)
	require.Equal(t, floorShipped, o.floor)

	o, err = parseOptions([]string{running, "-api-key=k"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:1", o.url)
	require.Equal(t, []string{"one", "ten", "rate", "batch", "retry", "neighbor", "outage"}, o.cases, "what leaves that Waybill as it is")
	o, err = parseOptions([]string{running, "-api-key=k", address}, io.Discard)
	require.NoError(t, err)
	require.Contains(t, o.cases, caseFloor)

	for _, bad := range [][]string{
		{database}, {address}, {running}, {database, running, "-api-key=k"}, {running, "-api-key=k", "-temporal-namespace=n"},
		{running, "-api-key=k", "-cases=one,accept"}, {running, "-api-key=k", "-cases=floor"}, {database, address, "-stock"}, {database, address, "-floor=2026-11"}, {database, address, "-cases=retention"},
		{"-database-url=mysql://u:secret@db/x", address}, {"-url=127.0.0.1:1", "-api-key=k"},
	} {
		_, err := parseOptions(bad, io.Discard)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "secret")
	}
}

func TestOptions_Scaled(t *testing.T) {
	t.Parallel()
	full, quick := &options{scale: 1}, &options{scale: 0.01}
	require.Equal(t, 5000, full.scaled(5000, 1))
	require.Equal(t, 500, full.scaled(5000, 0.1))
	require.Equal(t, 50, quick.scaled(5000, 1))
	require.Equal(t, 20, quick.scaled(1000, 1), "never fewer than a few")
	require.Equal(t, 10, quick.scaled(10, 1), "nor more than there were")
}

// Each shape is a step to the cluster.
func TestShapeOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, stack.Shape{}, shapeOf(""))
	require.Equal(t, stack.Shape{Shards: 16}, shapeOf(shapeShards))
	require.Equal(t, stack.Shape{Shards: 16, Nodes: 3}, shapeOf(shapeNodes))
	require.Equal(t, stack.Cluster(), shapeOf(shapeCluster))
	for _, name := range shapeNames() {
		o, err := parseOptions([]string{"-shape", name}, io.Discard)
		require.NoError(t, err)
		require.Equal(t, name, o.shape)
	}
}
