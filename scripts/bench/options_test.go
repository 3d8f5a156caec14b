package main

import (
	"flag"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions(nil, io.Discard)
	require.NoError(t, err)
	require.Equal(t, &options{cases: caseNames(), modes: []string{"workflow"}, runs: 3, scale: 1, settle: time.Second}, o)

	o, err = parseOptions([]string{"-quick", "-cases", "rate,one", "-modes", "workflow,express", "-json", "x.json"}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, &options{cases: []string{"one", "rate"}, modes: []string{"workflow", "express"}, runs: 1, scale: quickScale, jsonFile: "x.json", settle: 200 * time.Millisecond}, o)

	for _, bad := range [][]string{
		{"-cases", "one,none"}, {"-modes", "fast"}, {"-runs", "0"}, {"-events", "0"}, {"-events", "NaN"}, {"-events", "x"}, {"one"},
	} {
		_, err := parseOptions(bad, io.Discard)
		require.Error(t, err, bad)
	}
	_, err = parseOptions([]string{"-h"}, io.Discard)
	require.ErrorIs(t, err, flag.ErrHelp)
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
