package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakePostgres puts programs into dir that report a version as Postgres does.
func fakePostgres(t *testing.T, dir, version string, programs ...string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(dir, 0o755))
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %s'\n", version)
	for _, program := range programs {
		require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755))
	}
}

func TestFindPostgres(t *testing.T) {
	// No t.Parallel: PATH belongs to the whole process.
	t.Setenv("PATH", t.TempDir())

	root := t.TempDir()
	dir := func(name string) string { return filepath.Join(root, name, "bin") }
	fakePostgres(t, dir("9"), "9.6.24", "postgres", "initdb")
	fakePostgres(t, dir("15"), "15.18 (Debian 15.18-0+deb12u1)", "postgres", "initdb")
	fakePostgres(t, dir("16"), "16beta1", "postgres", "initdb")
	fakePostgres(t, dir("17"), "17.2", "postgres") // the client package alone has no initdb
	fakePostgres(t, dir("broken"), "", "postgres", "initdb")
	patterns := []string{filepath.Join(root, "none", "bin"), filepath.Join(root, "*", "bin")}

	t.Run("the newest that is whole", func(t *testing.T) {
		found, ok := findPostgres(t.Context(), patterns, 0)
		require.True(t, ok)
		require.Equal(t, pgInstall{dir: dir("16"), major: 16}, found)
	})
	t.Run("the one the data belongs to", func(t *testing.T) {
		found, ok := findPostgres(t.Context(), patterns, 15)
		require.True(t, ok)
		require.Equal(t, dir("15"), found.dir)
	})
	t.Run("none of the version asked for", func(t *testing.T) {
		_, ok := findPostgres(t.Context(), patterns, 17)
		require.False(t, ok)
	})
	t.Run("too old", func(t *testing.T) {
		_, ok := findPostgres(t.Context(), []string{dir("9")}, 0)
		require.False(t, ok)
	})
	t.Run("a link on PATH to a program elsewhere", func(t *testing.T) {
		path := t.TempDir()
		require.NoError(t, os.Symlink(filepath.Join(dir("15"), "postgres"), filepath.Join(path, "postgres")))
		t.Setenv("PATH", path)
		found, ok := findPostgres(t.Context(), nil, 0)
		require.True(t, ok)
		require.Equal(t, 15, found.major)
	})
}
