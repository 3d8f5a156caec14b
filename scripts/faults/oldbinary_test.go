package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"waybill/scripts/stack"
)

// checkout is a git repository with two commits, of which the second records a history anew.
func checkout(t *testing.T) (dir string, commits []string) {
	t.Helper()
	dir = t.TempDir()
	run := func(args ...string) string {
		out, err := stack.Git(t.Context(), dir, append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.com"}, args...)...)
		require.NoError(t, err)
		return out
	}
	run("init", "--quiet")
	history := filepath.Join(dir, "workflows", "testdata", "histories", "delivered.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(history), 0o700))
	for _, text := range []string{"first", "second"} {
		require.NoError(t, os.WriteFile(history, []byte(text), 0o600))
		run("add", ".")
		run("commit", "--quiet", "--no-gpg-sign", "-m", text)
		commits = append(commits, run("rev-parse", "HEAD"))
	}
	return dir, commits
}

func TestOldCommit(t *testing.T) {
	t.Parallel()
	dir, commits := checkout(t)

	found, err := oldCommit(t.Context(), dir, "")
	require.NoError(t, err)
	require.Equal(t, commits[1], found, "without a tag it is where a history was recorded anew")

	_, err = stack.Git(t.Context(), dir, "tag", "v1.0.0", commits[0])
	require.NoError(t, err)
	found, err = oldCommit(t.Context(), dir, "")
	require.NoError(t, err)
	require.Equal(t, commits[0], found, "it is the newest tag")

	found, err = oldCommit(t.Context(), dir, "HEAD")
	require.NoError(t, err)
	require.Equal(t, commits[1], found, "it is what was asked for")
}

// A binary from before a change of what a namespace needs cannot work beside one from after it.
func TestOldCommit_Namespace(t *testing.T) {
	t.Parallel()
	dir, _ := checkout(t)
	setup := filepath.Join(dir, "scripts", "stack", "temporal", "setup-namespace.sh")
	require.NoError(t, os.MkdirAll(filepath.Dir(setup), 0o700))
	require.NoError(t, os.WriteFile(setup, []byte("a type"), 0o600))
	_, err := stack.Git(t.Context(), dir, "add", ".")
	require.NoError(t, err)
	_, err = stack.Git(t.Context(), dir, "-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "--no-gpg-sign", "-m", "third")
	require.NoError(t, err)
	want, err := stack.Git(t.Context(), dir, "rev-parse", "HEAD")
	require.NoError(t, err)
	found, err := oldCommit(t.Context(), dir, "")
	require.NoError(t, err)
	require.Equal(t, want, found)
}

// Where the past is not known the scenario is not run, and says why.
func TestOldCommit_Unknown(t *testing.T) {
	t.Parallel()
	dir, _ := checkout(t)
	_, err := oldCommit(t.Context(), dir, "v9")
	require.ErrorContains(t, err, `no revision "v9"`)

	_, err = oldCommit(t.Context(), t.TempDir(), "")
	require.ErrorContains(t, err, "no git checkout")

	shallow := t.TempDir()
	_, err = stack.Git(t.Context(), shallow, "clone", "--quiet", "--depth=1", "file://"+dir, ".")
	require.NoError(t, err)
	_, err = oldCommit(t.Context(), shallow, "")
	require.ErrorContains(t, err, "shallow")
}
