package stack

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sleeper starts a process to end, and returns its identity and a channel that closes when it has ended.
func sleeper(t *testing.T) (identity, <-chan struct{}) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // killed, one way or another
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	id, err := identify(cmd.Process.Pid)
	require.NoError(t, err)
	return id, ended
}

func TestEndLeftovers(t *testing.T) {
	t.Parallel()
	out := NewPrinter(io.Discard)

	t.Run("a child of an earlier run is ended", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		id, ended := sleeper(t)
		require.NoError(t, writeRecord(filepath.Join(dir, "child.pid"), record{identity: id, Stop: int(syscall.SIGTERM)}))

		require.NoError(t, endLeftovers(t.Context(), dir, out))
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("the leftover still runs")
		}
		require.NoFileExists(t, filepath.Join(dir, "child.pid"))
	})

	t.Run("a stranger with the same process id is left alone", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		id, ended := sleeper(t)
		earlier := identity{PID: id.PID, Started: id.Started + "0"}
		require.NoError(t, writeRecord(filepath.Join(dir, "child.pid"), record{identity: earlier, Stop: int(syscall.SIGKILL)}))

		require.NoError(t, endLeftovers(t.Context(), dir, out))
		require.True(t, id.alive())
		select {
		case <-ended:
			t.Fatal("the stranger was ended")
		default:
		}
		require.NoFileExists(t, filepath.Join(dir, "child.pid"))
	})

	t.Run("a damaged record names nobody", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "child.pid"), []byte(`{"pid":`), 0o600))
		require.NoError(t, endLeftovers(t.Context(), dir, out))
		require.NoFileExists(t, filepath.Join(dir, "child.pid"))
	})
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	self, err := identify(os.Getpid())
	require.NoError(t, err)
	require.True(t, self.alive())

	require.False(t, identity{}.alive(), "nobody")
	require.False(t, identity{PID: self.PID}.alive(), "an identity needs its start time")
	require.False(t, identity{PID: 1, Started: self.Started}.alive(), "init is never ours")
}

func TestTakeLock(t *testing.T) {
	t.Parallel()
	out := NewPrinter(io.Discard)

	t.Run("one runner at a time", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		lock, err := takeLock(t.Context(), dir, out)
		require.NoError(t, err)

		_, err = takeLock(t.Context(), dir, out)
		require.ErrorContains(t, err, "is up already")

		require.NoError(t, lock.Close())
		lock, err = takeLock(t.Context(), dir, out)
		require.NoError(t, err)
		require.NoError(t, lock.Close())
	})
}

func TestProcess_Failure(t *testing.T) {
	t.Parallel()
	s := &Stack{Options: Options{Dir: t.TempDir()}, keeper: newKeeper(), exited: make(chan *Process, 1)}
	require.NoError(t, os.Mkdir(s.path("run"), 0o755))
	require.NoError(t, os.Mkdir(s.path("log"), 0o755))

	_, err := s.start(processSpec{
		name: "clerk", path: "/bin/sh", args: []string{"-c", "echo out of paper; read never; exit 3"},
		stop: syscall.SIGTERM, orphaned: syscall.SIGKILL, grace: time.Second, hint: "Bring paper.",
	})
	if err == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		watched := s.Watch(ctx)
		<-watched.Done()
		err = context.Cause(watched)
	}
	for _, part := range []string{"clerk stopped", "exit status 3", "out of paper", "Bring paper."} {
		require.ErrorContains(t, err, part)
	}
}

func TestLastLines(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.log")
	require.NoError(t, os.WriteFile(path, []byte("one\ntwo\n"+strings.Repeat("x", widest+1)+"\n"), 0o600))
	require.Equal(t, "    two\n    "+strings.Repeat("x", widest)+"...", lastLines(path, 2))
}
