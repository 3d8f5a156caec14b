package activities

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// AddressRules say which addresses an operator allows to be called. The API and the transport have the same.
type AddressRules struct {
	// Allow are networks that may be called although they are private or this installation's own.
	Allow []AllowedNetwork
	// Ports are the ports that may be called everywhere else; empty: DefaultPorts.
	Ports []uint16
	// Own are public addresses of this installation that its machines do not know, such as those of a NAT in front of them.
	Own []netip.Prefix
	// Machine knows the addresses of this machine; nil: they are not refused.
	Machine *Machine
}

// Validate refuses entries that could never match. The error names the entry.
func (r AddressRules) Validate() error {
	prefixes := slices.Clone(r.Own)
	for _, n := range r.Allow {
		prefixes = append(prefixes, n.Prefix)
	}
	for _, p := range prefixes {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("the network %q is not a CIDR such as 10.1.0.0/16 or fd00::/8", p)
		}
	}
	return nil
}

// Check refuses a host and port, as written in a URL, that no endpoint of the tenant may have: a literal address outside of
// the public internet that Allow does not cover, in any notation, names of this machine, names that cannot exist, and ports
// that are not allowed. A name may resolve into an allowed network, so its ports are allowed for names too; the transport
// decides. Check resolves no names; the transport checks the addresses. Check catches mistakes early and is not the
// protection itself. The error's text is for the caller and continues a sentence: "is a private or reserved address
// (127.0.0.1), ...".
func (r AddressRules) Check(tenant, host string, port uint16) error {
	g := newGuard(r, tenant)
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		to := netip.AddrPortFrom(addr, port)
		if err := g.checkLiteral(to); err != nil || g.allows(to) {
			return err
		}
		return g.checkPort(port)
	}
	switch {
	case !hostPattern.MatchString(name):
		return hostFault(name)
	case isLocalName(name):
		if g.allows(netip.AddrPortFrom(loopback4, port)) || g.allows(netip.AddrPortFrom(loopback6, port)) {
			return nil
		}
		return fmt.Errorf("is %s, this machine itself, which Waybill must not call", name)
	case endsInNumber(name):
		return g.checkNumber(name, port)
	case len(name) > maxHostBytes:
		return fmt.Errorf("has a host of %d bytes; a name has at most %d", len(name), maxHostBytes)
	case slices.ContainsFunc(strings.Split(name, "."), func(label string) bool { return len(label) > maxLabelBytes }):
		return fmt.Errorf("has a host with a label of more than %d bytes between two dots", maxLabelBytes)
	case slices.ContainsFunc(g.allow, func(n AllowedNetwork) bool { return n.Port == 0 || n.Port == port }):
		return nil
	default:
		return g.checkPort(port)
	}
}

// Limits of a host name (RFC 1035, section 2.3.4).
const (
	maxHostBytes  = 253
	maxLabelBytes = 63
)

// hostFault says what is wrong with a host that is not a valid name, and suggests the correct form of the name that was
// probably meant.
func hostFault(name string) error {
	ascii, err := idna.Lookup.ToASCII(name)
	if err == nil && ascii != name && hostPattern.MatchString(ascii) && !endsInNumber(ascii) {
		return fmt.Errorf("has a host with letters that are not ASCII; write it as %s", ascii)
	}
	return errors.New("has a host that is neither a name in ASCII letters, digits, dashes and dots nor an IP address")
}

func (g *guard) checkPort(port uint16) error {
	if slices.Contains(g.ports, port) {
		return nil
	}
	return fmt.Errorf("has the port %d, which this Waybill may not call; it may call %s", port, strings.Trim(fmt.Sprint(g.ports), "[]"))
}

var (
	hostPattern = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)
	loopback4   = netip.MustParseAddr("127.0.0.1")
	loopback6   = netip.IPv6Loopback()
)

func (g *guard) checkLiteral(to netip.AddrPort) error {
	a := to.Addr()
	switch {
	case a.Zone() != "":
		return fmt.Errorf("is an address with a zone (%s), which this Waybill must not call", a)
	case g.allows(to):
		return nil
	case a.Is4In6() && !g.refuses(a.Unmap()):
		return fmt.Errorf("is an IPv4 address written as IPv6; write it as %s", a.Unmap())
	case g.refuses(a):
		return fmt.Errorf("is a private or reserved address (%s), which this Waybill must not call", a.Unmap())
	default:
		return nil
	}
}

func isLocalName(name string) bool {
	names := []string{"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}
	return slices.Contains(names, name) || strings.HasSuffix(name, ".localhost")
}

// endsInNumber reports whether a resolver may read the name as an IPv4 address. No top-level domain is a number.
func endsInNumber(name string) bool {
	_, ok := numberPart(name[strings.LastIndexByte(name, '.')+1:])
	return ok
}

// checkNumber refuses the old forms of inet_aton, such as 2130706433, 0x7f.1 and 0177.0.0.1. Some resolvers accept them,
// and they interpret them differently.
func (g *guard) checkNumber(name string, port uint16) error {
	addr, ok := parseLoose(name)
	if !ok {
		return errors.New("has a host that is neither a name nor an IP address")
	}
	if err := g.checkLiteral(netip.AddrPortFrom(addr, port)); err != nil {
		return err
	}
	return fmt.Errorf("is an IP address in an unusual form; write it as %s", addr)
}

// parseLoose reads an address of one to four numbers. The last number fills all remaining bytes.
func parseLoose(name string) (netip.Addr, bool) {
	parts := strings.Split(name, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var bits uint64
	for i, part := range parts {
		n, ok := numberPart(part)
		last := i == len(parts)-1
		limit := uint64(1) << 8
		if last {
			limit = 1 << (8 * (4 - i))
		}
		if !ok || n >= limit {
			return netip.Addr{}, false
		}
		if last {
			bits |= n
		} else {
			bits |= n << (8 * (3 - i))
		}
	}
	return netip.AddrFrom4([4]byte{byte(bits >> 24), byte(bits >> 16), byte(bits >> 8), byte(bits)}), true
}

// numberPart reads a decimal, octal (leading 0) or hexadecimal (leading 0x) number. A number too large for 64 bits is
// still a number.
func numberPart(s string) (uint64, bool) {
	base := 10
	if digits, ok := strings.CutPrefix(s, "0x"); ok {
		s, base = "0"+digits, 16
	} else if len(s) > 1 && s[0] == '0' {
		base = 8
	}
	n, err := strconv.ParseUint(s, base, 64)
	if base == 8 && errors.Is(err, strconv.ErrSyntax) {
		n, err = strconv.ParseUint(s, 10, 64) // 08 is not octal, and is no name either
	}
	return n, err == nil || errors.Is(err, strconv.ErrRange)
}
