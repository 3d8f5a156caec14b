package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
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

// What is added comes after what is shipped, and in place of it when that is left out.
func TestStack_DynamicConfig(t *testing.T) {
	t.Parallel()
	const added = "history.cacheTTL:\n  - value: 1m\nhistory.hostLevelCacheMaxSize:\n  - value: 1\n"
	for _, without := range [][]Setting{nil, {WithoutDynamicConfig}} {
		s := shippedStack(t, without...)
		s.DynamicConfig = added
		file, err := s.dynamicConfig()
		require.NoError(t, err)
		var values map[string]any
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, &values))
		require.Contains(t, values, "history.cacheTTL")
		require.Equal(t, []any{map[string]any{"value": 1}}, values["history.hostLevelCacheMaxSize"], "not the shipped value")
		require.Equal(t, len(without) == 0, values["matching.enableFairness"] != nil)
	}
}

// The floor's settings are what all later figures are compared with: a change here changes what they mean.
func TestStack_Frozen(t *testing.T) {
	t.Parallel()
	s := shippedStack(t)
	s.Frozen = Floor202611
	config, err := s.serverConfig()
	require.NoError(t, err)
	dynamic, err := s.dynamicConfig()
	require.NoError(t, err)
	indexes, err := s.visibilityIndexes()
	require.NoError(t, err)
	sum := sha256.New()
	for _, file := range []string{config, dynamic, s.postgresConfig()} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		_, _ = sum.Write(text)
	}
	_, _ = sum.Write([]byte(indexes))
	require.Equal(t, "d432253e4f7c42ea26b0339228c37a4da7ed6bcca5daaf628c4f8542823921da", hex.EncodeToString(sum.Sum(nil)), "make a new folder rather than change this one")
	require.Equal(t, []string{"GOGC=off", "GOMEMLIMIT=1500MiB"}, s.serverCollection(&node{}))
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

// The processes of a cluster write the configuration at the same time as others read it.
func TestStack_WriteConfigWhole(t *testing.T) {
	t.Parallel()
	s := shippedStack(t)
	text := strings.Repeat("persistence: {}\n", 10_000)
	path, err := s.writeConfig("server.yaml", text)
	require.NoError(t, err)
	err = Parallel(t.Context(), slices.Repeat([]func(context.Context) error{func(context.Context) error {
		for range 50 {
			if _, err := s.writeConfig("server.yaml", text); err != nil {
				return err
			}
			if data, err := os.ReadFile(path); err != nil || len(data) != len(text) {
				return fmt.Errorf("%d of %d bytes: %w", len(data), len(text), err)
			}
		}
		return nil
	}}, 4)...)
	require.NoError(t, err)
	files, err := os.ReadDir(s.Dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "nothing is left beside it")
}
