package activities

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// CheckHost refuses a host, as it stands in a URL without its port, that no endpoint may have: a literal address
// outside of the public internet that allow does not cover, however it is written, and names of this machine. It
// resolves no name, the transport judges what names resolve to; so this catches mistakes early and is no defense. The
// error's text is for the caller and continues a sentence: "is a private or reserved address (127.0.0.1), ...".
func CheckHost(host string, allow []netip.Prefix) error {
	g := newGuard(allow, nil)
	name := strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return g.checkLiteral(addr)
	}
	switch {
	case !hostPattern.MatchString(name):
		return errors.New("has a host that is neither a name in ASCII letters, digits, dashes and dots nor an IP address")
	case isLocalName(name):
		if g.allows(loopback4) || g.allows(loopback6) {
			return nil
		}
		return fmt.Errorf("is %s, this very machine, which this Waybill must not call", name)
	case endsInNumber(name):
		return g.checkNumber(name)
	default:
		return nil
	}
}

var (
	hostPattern = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)
	loopback4   = netip.MustParseAddr("127.0.0.1")
	loopback6   = netip.IPv6Loopback()
)

func (g *guard) checkLiteral(a netip.Addr) error {
	switch {
	case a.Zone() != "":
		return fmt.Errorf("is an address with a zone (%s), which this Waybill must not call", a)
	case g.allows(a):
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

// endsInNumber reports whether a resolver may take the name for an IPv4 address: no top-level domain is a number.
func endsInNumber(name string) bool {
	_, ok := numberPart(name[strings.LastIndexByte(name, '.')+1:])
	return ok
}

// checkNumber refuses the old forms of inet_aton, such as 2130706433, 0x7f.1 and 0177.0.0.1: some resolvers read them,
// and each reads them differently.
func (g *guard) checkNumber(name string) error {
	addr, ok := parseLoose(name)
	if !ok {
		return errors.New("has a host that is neither a name nor an IP address")
	}
	if err := g.checkLiteral(addr); err != nil {
		return err
	}
	return fmt.Errorf("is an IP address in an unusual form; write it as %s", addr)
}

// parseLoose reads one to four numbers, the last of which fills all bytes that are left.
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
		n, err = strconv.ParseUint(s, 10, 64) // 08 is no octal, and still no name
	}
	return n, err == nil || errors.Is(err, strconv.ErrRange)
}
