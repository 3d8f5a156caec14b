package stack

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChildren(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, cmd.Start())
	pids, err := children(os.Getpid())
	require.NoError(t, err)
	require.Contains(t, pids, cmd.Process.Pid)
	none, err := children(cmd.Process.Pid)
	require.NoError(t, err)
	require.Empty(t, none)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	pids, err = children(os.Getpid())
	require.NoError(t, err)
	require.NotContains(t, pids, cmd.Process.Pid)
}
