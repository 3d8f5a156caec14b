package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// The file has every module that the command is built of, as it is now. "go run ./scripts/notices" writes it anew.
func TestNotices(t *testing.T) {
	t.Parallel()
	want, err := notices(t.Context(), "../..")
	require.NoError(t, err)
	got, err := os.ReadFile("../../THIRD_PARTY_NOTICES")
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "THIRD_PARTY_NOTICES is out of date: go run ./scripts/notices")
	require.True(t, bytes.Contains(got, []byte("\ngo.temporal.io/sdk v")), "the modules have their versions")
}
