package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientAddress returns the address that a request came from. Behind trusted proxies it is the last address in X-Forwarded-For that is
// none of theirs: what is left of it was written by the client, and says nothing. The zero address: it is not known.
func (s *Server) ClientAddress(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	from := plainAddress(peer.Addr())
	if !s.isProxy(from) {
		return from
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if hop = strings.TrimSpace(hop); hop == "" {
			continue
		}
		if from = readHop(hop); !s.isProxy(from) {
			return from
		}
	}
	return from
}

// addressText is ClientAddress as an audit entry has it; "": it is not known.
func (s *Server) addressText(r *http.Request) string {
	if a := s.ClientAddress(r); a.IsValid() {
		return a.String()
	}
	return ""
}

// throughProxy reports whether a trusted proxy sent the request.
func (s *Server) throughProxy(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && s.isProxy(plainAddress(peer.Addr()))
}

func (s *Server) isProxy(a netip.Addr) bool {
	return slices.ContainsFunc(s.opts.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// readHop reads an address with or without a port. What is neither is the zero address, which no network has.
func readHop(text string) netip.Addr {
	if withPort, err := netip.ParseAddrPort(text); err == nil {
		return plainAddress(withPort.Addr())
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return plainAddress(a)
}

// plainAddress takes IPv4 out of IPv6 and leaves the zone away.
func plainAddress(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
