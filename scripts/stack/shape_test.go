package stack

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// shaped is a stack of a shape of which nothing is started.
func shaped(t *testing.T, shape Shape) *Stack {
	t.Helper()
	s := shippedStack(t)
	var err error
	s.Shape = shape
	s.Ports, err = freePorts(shape)
	require.NoError(t, err)
	require.NoError(t, s.Ports.check())
	return s
}

func TestStack_TemporalNodes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"temporal"}, shaped(t, Shape{}).TemporalNodes())
	cluster := shaped(t, Cluster())
	require.Equal(t, []string{"temporal-1", "temporal-2", "temporal-3"}, cluster.TemporalNodes())
	require.Len(t, cluster.Frontends(), 3)
	require.NotContains(t, cluster.Frontends()[1:], cluster.Ports.Temporal.Addr())
	apart := shaped(t, Shape{Nodes: 2, Apart: true})
	require.Equal(t, []string{
		"temporal-1-frontend", "temporal-1-history", "temporal-1-matching", "temporal-1-worker",
		"temporal-2-frontend", "temporal-2-history", "temporal-2-matching", "temporal-2-worker",
	}, apart.TemporalNodes())
}

// Each database is where the shape has it.
func TestStack_DatabaseURL(t *testing.T) {
	t.Parallel()
	single, cluster := shaped(t, Shape{}), shaped(t, Cluster())
	require.Contains(t, single.DatabaseURL("temporal"), single.Ports.Postgres.Addr())
	require.Contains(t, cluster.DatabaseURL("waybill_test"), cluster.Ports.Postgres.Addr())
	for _, database := range TemporalDatabases {
		require.Contains(t, cluster.DatabaseURL(database), cluster.Ports.temporalPostgres.Addr())
	}
}

// What a cluster changes has to be in the shipped file.
func TestStack_shapedConfig(t *testing.T) {
	t.Parallel()
	s := shaped(t, Cluster())
	config, err := s.serverConfig()
	require.NoError(t, err)
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	require.Contains(t, string(text), "numHistoryShards: 16\n")
	require.NotContains(t, string(text), "publicClient")
	require.Contains(t, string(text), `rpcAddress: "`+s.Ports.Temporal.Addr()+`"`)
}

// A process ends before those that it uses, also where there are several of a kind.
func TestStopRank(t *testing.T) {
	t.Parallel()
	require.Less(t, stopRank("temporal-ui"), stopRank("temporal-1"))
	require.Equal(t, stopRank("temporal"), stopRank("temporal-3-history"))
	require.Less(t, stopRank("temporal-1"), stopRank("postgres-temporal"))
	require.Equal(t, stopRank("postgres"), stopRank("postgres-temporal"))
}
