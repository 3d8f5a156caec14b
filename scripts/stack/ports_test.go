package stack

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPort_check(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })

	port := Port{Number: taken.Addr().(*net.TCPAddr).Port, For: "Waybill's API", Variable: "WAYBILL_RUN_API_PORT"}
	err = port.check()
	require.ErrorContains(t, err, "port "+port.String())
	require.ErrorContains(t, err, "Waybill's API")
	require.ErrorContains(t, err, "WAYBILL_RUN_API_PORT=<port>")
}

// Temporal's services have ports at a distance from its own, which may be the one that was chosen for something else.
func TestPorts_chosenTwice(t *testing.T) {
	t.Parallel()
	ports, err := FreePorts()
	require.NoError(t, err)
	require.NoError(t, ports.check())
	ports.WebUI.Number, ports.WebUI.Variable = ports.internal["FRONTEND_MEMBERSHIP_PORT"].Number, "WAYBILL_RUN_UI_PORT"
	require.ErrorContains(t, ports.check(), "for the Web UI and for a service inside Temporal as well: choose another port with WAYBILL_RUN_UI_PORT=<port>")
	ports.WebUI, ports.Mail = Port{}, Port{}
	require.NoError(t, ports.check(), "what is left out has no port")
}

func TestFreePorts(t *testing.T) {
	t.Parallel()
	ports, err := freePorts(Cluster())
	require.NoError(t, err)
	require.Len(t, ports.all(), 7+3*7+2, "a Temporal node has a frontend and seven ports inside")
	seen := map[int]bool{}
	for _, p := range ports.all() {
		require.False(t, seen[p.Number], "port %d was found twice", p.Number)
		require.LessOrEqual(t, p.Number, highestTemporal)
		seen[p.Number] = true
	}
}

func TestPortsFromEnv(t *testing.T) {
	// No t.Parallel: the environment belongs to the whole process.
	for _, name := range []string{"API", "UI", "TEMPORAL", "POSTGRES", "DEMO"} {
		t.Setenv("WAYBILL_RUN_"+name+"_PORT", "")
	}
	t.Run("the usual ones", func(t *testing.T) {
		ports, err := PortsFromEnv()
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:8080", ports.API.Addr())
		require.Equal(t, "127.0.0.1:7234", ports.internal["HISTORY_GRPC_PORT"].Addr())
	})
	t.Run("changed", func(t *testing.T) {
		t.Setenv("WAYBILL_RUN_API_PORT", "48080")
		t.Setenv("WAYBILL_RUN_TEMPORAL_PORT", "17233")
		ports, err := PortsFromEnv()
		require.NoError(t, err)
		require.Equal(t, 48080, ports.API.Number)
		require.Equal(t, 16933, ports.internal["FRONTEND_MEMBERSHIP_PORT"].Number)
	})
	t.Run("every wrong one is named", func(t *testing.T) {
		t.Setenv("WAYBILL_RUN_DEMO_PORT", "http")
		t.Setenv("WAYBILL_RUN_TEMPORAL_PORT", "40000") // beyond what Temporal can store
		_, err := PortsFromEnv()
		require.ErrorContains(t, err, `WAYBILL_RUN_DEMO_PORT is "http"`)
		require.ErrorContains(t, err, `WAYBILL_RUN_TEMPORAL_PORT is "40000"`)
	})
}
