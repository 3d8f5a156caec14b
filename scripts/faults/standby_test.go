package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What was accepted is on the standby when the primary is lost.
func TestNothingLost_PrimaryLost(t *testing.T) {
	t.Parallel()
	sc := standbyScenarios()[0]
	v, err := testWorld(t).perform(t.Context(), &sc, seed)
	require.NoError(t, err)
	t.Log(v.line(&sc))
	require.Empty(t, v.faults)
	require.Equal(t, 1, v.kills)
}

// The oracle sees what a standby that nobody waited for does not have.
func TestOracle_SeesAStaleStandby(t *testing.T) {
	t.Parallel()
	sc := staleStandby()
	v, err := testWorld(t).perform(t.Context(), &sc, seed)
	require.NoError(t, err)
	t.Log(v.line(&sc))
	require.Positive(t, v.lost)
}
