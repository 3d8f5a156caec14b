package stack

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shippedStack is a stack of the checkout's files of which nothing is started.
func shippedStack(t *testing.T, without ...Setting) *Stack {
	t.Helper()
	root, err := FindRoot()
	require.NoError(t, err)
	return &Stack{Options: Options{Root: root, Dir: t.TempDir(), Without: without}}
}

func TestStack_Shipped(t *testing.T) {
	t.Parallel()
	s := shippedStack(t)
	config, err := s.serverConfig()
	require.NoError(t, err)
	require.Equal(t, s.temporalConfig("server.yaml"), config)
	dynamic, err := s.dynamicConfig()
	require.NoError(t, err)
	require.Equal(t, s.temporalConfig("dynamicconfig.yaml"), dynamic)
	require.Contains(t, s.serverCollection(&node{}), "GOGC=off")
	require.Equal(t, "shared_buffers = 1\n", s.postgresSettings("shared_buffers = 1\n"))
	indexes, err := s.visibilityIndexes()
	require.NoError(t, err)
	require.NotEmpty(t, indexes)
}

// What is left out has to be in the shipped files, and nothing else may change.
func TestStack_WithoutServer(t *testing.T) {
	t.Parallel()
	shipped, err := os.ReadFile(shippedStack(t).temporalConfig("server.yaml"))
	require.NoError(t, err)
	for setting, text := range map[Setting]string{
		WithoutPGX: "pluginName: postgres12\n", WithoutShards: "numHistoryShards: 512\n", WithoutServerMetrics: "prometheus:",
	} {
		config, err := shippedStack(t, setting).serverConfig()
		require.NoError(t, err, setting)
		changed, err := os.ReadFile(config)
		require.NoError(t, err)
		require.Contains(t, string(changed), text)
		require.NotContains(t, string(shipped), text)
		require.LessOrEqual(t, differing(string(shipped), string(changed)), 5, setting)
	}
}

// differing counts the lines that only one of the texts has.
func differing(a, b string) int {
	count := map[string]int{}
	for line := range strings.Lines(a) {
		count[line]++
	}
	for line := range strings.Lines(b) {
		count[line]--
	}
	sum := 0
	for _, n := range count {
		sum += max(n, -n)
	}
	return sum
}

func TestStack_WithoutAll(t *testing.T) {
	t.Parallel()
	s := shippedStack(t, Settings()...)
	indexes, err := s.visibilityIndexes()
	require.NoError(t, err)
	require.Empty(t, indexes)
	require.Equal(t, []string{"GOGC=100", "GOMEMLIMIT=off"}, s.serverCollection(&node{}))
	dynamic, err := s.dynamicConfig()
	require.NoError(t, err)
	values, err := os.ReadFile(dynamic)
	require.NoError(t, err)
	require.Equal(t, "{}\n", string(values))

	conf, err := os.ReadFile("postgres.conf")
	require.NoError(t, err)
	stock := s.postgresSettings(string(conf))
	for _, kept := range []string{"fsync = on", "synchronous_commit = on", "full_page_writes = on", "max_connections = 200", "unix_socket_directories = ''"} {
		require.Contains(t, stock, kept)
	}
	for _, tuned := range []string{"shared_buffers", "work_mem", "max_wal_size", "autovacuum", "random_page_cost", "jit", "checkpoint", "#"} {
		require.NotContains(t, stock, tuned)
	}
}
