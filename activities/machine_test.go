package activities

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Addresses come and go. What was read last stays while the list cannot be read.
func TestMachine_refreshes(t *testing.T) {
	t.Parallel()
	var list []net.Addr
	var fails error
	m, err := NewMachine(func() ([]net.Addr, error) { return list, fails })
	require.NoError(t, err)
	grow := func() {
		old := *m.last.Load()
		old.at = time.Now().Add(-machineAge)
		m.last.Store(&old)
	}
	list = []net.Addr{&net.IPNet{IP: net.IPv4(8, 8, 8, 8), Mask: net.CIDRMask(24, 32)}}
	require.False(t, m.has(netip.MustParseAddr("8.8.8.8")), "the list is new")
	grow()
	require.True(t, m.has(netip.MustParseAddr("8.8.8.8")))
	require.True(t, m.has(netip.MustParseAddr("::ffff:8.8.8.8")))
	fails = errors.New("no such device")
	grow()
	require.True(t, m.has(netip.MustParseAddr("8.8.8.8")))
	list, fails = nil, nil
	require.False(t, m.has(netip.MustParseAddr("8.8.8.8")), "it is read again at once")
}
