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

// guard decides which addresses may be dialed: the public internet on a few ports, and the networks that the operator
// allows on any port.
type guard struct {
	allow    []netip.Prefix
	ports    []uint16
	internet *ssrf.Guardian
}

func newGuard(allow []netip.Prefix, ports []uint16) *guard {
	if len(ports) == 0 {
		ports = DefaultPorts
	}
	return &guard{allow: allow, ports: ports, internet: ssrf.New(ssrf.WithAnyPort())}
}

// blockedError refuses a dial or a request before anything is sent. It names no resolved address, because a tenant must not
// learn how names resolve inside the operator's network.
type blockedError struct{ text string }

func (e *blockedError) Error() string { return e.text }

// control is a net.Dialer's Control. It checks every address after name resolution, right before the connect. This defeats
// DNS rebinding, where a name resolves differently the second time.
func (g *guard) control(network, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	switch {
	case err != nil || network != "tcp4" && network != "tcp6":
		return &blockedError{"the host's address is not one that this Waybill may call"}
	case g.allows(to.Addr()):
		return nil
	case g.refuses(to.Addr()):
		return &blockedError{"the host's address is private or reserved, which this Waybill must not call"}
	case !slices.Contains(g.ports, to.Port()):
		return &blockedError{fmt.Sprintf("port %d is not one that this Waybill may call", to.Port())}
	default:
		return nil
	}
}

// allows reports whether the operator allows the address. Prefix.Contains is false for every zone and for
// IPv4-mapped IPv6.
func (g *guard) allows(a netip.Addr) bool {
	return slices.ContainsFunc(g.allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

// refuses reports whether the address is outside of the public internet: IANA's special-purpose ranges, all of IPv6 except
// 2000::/3 (which also refuses IPv4-mapped addresses and NAT64), 6to4, and every address with a zone, which no range
// contains.
func (g *guard) refuses(a netip.Addr) bool { return g.internet.SafeAddr(a) != nil }
