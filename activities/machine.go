package activities

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// machineAge is how old the list of the machine's addresses may be, because addresses come and go.
const machineAge = 10 * time.Second

// Machine knows the addresses of this machine's network interfaces, at most 10 s late. It is safe for concurrent use.
type Machine struct {
	read func() ([]net.Addr, error)
	// last is never nil. Whoever finds it too old reads the list anew; a few may at the same time.
	last atomic.Pointer[machineAddresses]
}

type machineAddresses struct {
	at    time.Time
	addrs map[netip.Addr]bool
}

// NewMachine returns this machine's addresses as read lists them; nil: net.InterfaceAddrs. The error says that they cannot be
// read.
func NewMachine(read func() ([]net.Addr, error)) (*Machine, error) {
	if read == nil {
		read = net.InterfaceAddrs
	}
	m := &Machine{read: read}
	m.last.Store(new(machineAddresses))
	if err := m.refresh(time.Now()); err != nil {
		return nil, fmt.Errorf("read the addresses of this machine: %w", err)
	}
	return m, nil
}

// has reports whether the address is one of the machine's. A nil Machine has none.
func (m *Machine) has(a netip.Addr) bool {
	if m == nil {
		return false
	}
	if now := time.Now(); now.Sub(m.last.Load().at) >= machineAge {
		_ = m.refresh(now) // the list that was read before stays, and the next call tries again
	}
	return m.last.Load().addrs[a.Unmap().WithZone("")]
}

func (m *Machine) refresh(now time.Time) error {
	list, err := m.read()
	if err != nil {
		return err
	}
	fresh := &machineAddresses{now, make(map[netip.Addr]bool, len(list))}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			fresh.addrs[p.Addr().Unmap().WithZone("")] = true
		} else if a, err := netip.ParseAddr(a.String()); err == nil {
			fresh.addrs[a.Unmap().WithZone("")] = true
		}
	}
	m.last.Store(fresh)
	return nil
}
