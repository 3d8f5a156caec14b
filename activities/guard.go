package activities

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// DefaultPorts are the ports that may be called outside of the networks in the operator's allow-list.
var DefaultPorts = []uint16{80, 443, 8080, 8443}

// AllowedNetwork is a network that an operator allows to be called although the guard would refuse its addresses.
type AllowedNetwork struct {
	Prefix netip.Prefix
	// Port is the only one that may be called there; 0: every port.
	Port uint16
	// Tenant is the only one whose endpoints may be there; "": every tenant.
	Tenant string
}

// covers reports whether the network holds the address and port. Prefix.Contains is false for every zone and for IPv4-mapped
// IPv6.
func (n AllowedNetwork) covers(to netip.AddrPort) bool {
	return (n.Port == 0 || n.Port == to.Port()) && n.Prefix.Contains(to.Addr())
}

// guard decides which addresses may be dialed for a tenant: the public internet on a few ports, and the networks that the
// operator allows.
type guard struct {
	allow    []AllowedNetwork
	ports    []uint16
	own      []netip.Prefix
	machine  *Machine
	internet *ssrf.Guardian
}

// newGuard returns the guard of a tenant.
func newGuard(r AddressRules, tenant string) *guard {
	g := &guard{ports: r.Ports, own: r.Own, machine: r.Machine, internet: ssrf.New(ssrf.WithAnyPort())}
	if len(g.ports) == 0 {
		g.ports = DefaultPorts
	}
	for _, n := range r.Allow {
		if n.Tenant == "" || n.Tenant == tenant {
			g.allow = append(g.allow, n)
		}
	}
	return g
}

// blockedError refuses a dial or a request before anything is sent. It names no resolved address, because a tenant must not
// learn how names resolve inside the operator's network.
type blockedError struct {
	text string
	// address says that no port of the address may be called.
	address bool
}

func (e *blockedError) Error() string { return e.text }

// control is a net.Dialer's Control. It checks every address after name resolution, right before the connect. This defeats
// DNS rebinding, where a name resolves differently the second time.
func (g *guard) control(network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return &blockedError{text: "the host's address is not one that this Waybill may call", address: true}
	}
	return g.check(to)
}

// check refuses an address and port. The error is a blockedError.
func (g *guard) check(to netip.AddrPort) error {
	switch {
	case g.allows(to):
		return nil
	case g.refuses(to.Addr()):
		return &blockedError{text: "the host's address is private or reserved, which this Waybill must not call", address: true}
	case !slices.Contains(g.ports, to.Port()):
		return &blockedError{text: fmt.Sprintf("port %d is not one that this Waybill may call", to.Port())}
	default:
		return nil
	}
}

// allows reports whether the operator allows the address and port.
func (g *guard) allows(to netip.AddrPort) bool {
	return slices.ContainsFunc(g.allow, func(n AllowedNetwork) bool { return n.covers(to) })
}

// refuses reports whether the address is outside of the public internet: IANA's special-purpose ranges, all of IPv6 except
// 2000::/3 (which also refuses IPv4-mapped addresses and NAT64), 6to4, and every address with a zone, which no range
// contains. It also refuses this installation's own public addresses, because a service that listens there may trust who
// calls from the same machine.
func (g *guard) refuses(a netip.Addr) bool {
	return g.internet.SafeAddr(a) != nil || g.machine.has(a) ||
		slices.ContainsFunc(g.own, func(p netip.Prefix) bool { return p.Contains(a) })
}
