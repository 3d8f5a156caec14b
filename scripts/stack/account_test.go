package stack

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAccount_reaches(t *testing.T) {
	t.Parallel()
	// No user of this machine has this id, so only what is open to all counts.
	stranger := &account{name: "stranger", uid: 3_999_999_999, gid: 3_999_999_999}
	home := t.TempDir()
	checkout := filepath.Join(home, "checkout", ".waybill")
	require.NoError(t, os.MkdirAll(checkout, 0o755))

	require.NoError(t, os.Chmod(home, 0o700))
	reached, err := stranger.reaches(checkout)
	require.NoError(t, err)
	require.False(t, reached, "a home that is closed to others")

	var ourselves *account
	reached, err = ourselves.reaches(checkout)
	require.NoError(t, err)
	require.True(t, reached)

	for mode, passes := range map[os.FileMode]bool{0o700: false, 0o744: false, 0o711: true, 0o755: true} {
		require.NoError(t, os.Chmod(home, mode))
		info, err := os.Stat(home)
		require.NoError(t, err)
		require.Equal(t, passes, stranger.mayPass(info), "mode %o", mode)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	first, err := Secret(path, newHexKey)
	require.NoError(t, err)
	require.Len(t, first, 64)
	again, err := Secret(path, newHexKey)
	require.NoError(t, err)
	require.Equal(t, first, again)

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = Secret(path, newHexKey)
	require.ErrorContains(t, err, "is empty")
}
