package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"waybill/activities"
	"waybill/webhook"
)

// Bounds of the lists of networks: each is looked through for every connection, and each tenant in the first has connections
// of its own.
const (
	maxAllowed   = 1000
	maxAddresses = 100
)

// checkEgress parses what outbound calls may do.
func (s *settings) checkEgress(wrong func(variable, format string, args ...any)) {
	var err error
	if s.rules.Allow, err = parseAllowed(s.EgressAllowCIDRs); err != nil {
		wrong("WAYBILL_EGRESS_ALLOW_CIDRS", "%s", err)
	}
	if s.rules.Own, err = parseAddresses(s.EgressAddresses); err != nil {
		wrong("WAYBILL_EGRESS_ADDRESSES", "%s", err)
	}
	if s.proxy, err = parseProxy(s.EgressProxy); err != nil {
		wrong("WAYBILL_EGRESS_PROXY", "%s", err)
	}
	s.rules.Ports = s.EgressPorts
}

// parseAllowed reads networks such as 10.0.0.0/8, 10.0.0.0/8:443, [fd00::/8]:443 and acme@10.0.0.0/8:443.
func parseAllowed(texts []string) ([]activities.AllowedNetwork, error) {
	if len(texts) > maxAllowed {
		return nil, fmt.Errorf("has %d networks; at most %d fit", len(texts), maxAllowed)
	}
	var all []activities.AllowedNetwork
	for _, text := range texts {
		n, ok := parseNetwork(strings.TrimSpace(text))
		if !ok {
			return nil, fmt.Errorf("is a list of networks such as 10.0.0.0/8, 10.0.0.0/8:443, [fd00::/8]:443 and acme@10.0.0.0/8; %q is none", text)
		}
		all = append(all, n)
	}
	return all, nil
}

func parseNetwork(text string) (n activities.AllowedNetwork, ok bool) {
	network := text
	if tenant, rest, limited := strings.Cut(text, "@"); limited {
		if !webhook.IsTenantID(tenant) {
			return n, false
		}
		n.Tenant, network = tenant, rest
	}
	var port string
	if bracketed, found := strings.CutPrefix(network, "["); found {
		network, port, found = strings.Cut(bracketed, "]")
		if !found || strings.Trim(port, ":") == "" && port != "" || port != "" && port[0] != ':' {
			return n, false
		}
		port = strings.TrimPrefix(port, ":")
	} else if bits := strings.LastIndexByte(network, '/'); bits >= 0 {
		var length string
		var limited bool
		length, port, limited = strings.Cut(network[bits:], ":")
		if limited && port == "" {
			return n, false
		}
		network = network[:bits] + length
	}
	if port != "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return n, false
		}
		n.Port = uint16(number)
	}
	p, err := netip.ParsePrefix(network)
	n.Prefix = p.Masked()
	return n, err == nil && !p.Addr().Is4In6() // the transport never sees such an address
}

// parseAddresses reads addresses and networks, such as 203.0.113.7 and 203.0.113.0/28.
func parseAddresses(texts []string) ([]netip.Prefix, error) {
	if len(texts) > maxAddresses {
		return nil, fmt.Errorf("has %d addresses; at most %d fit", len(texts), maxAddresses)
	}
	var all []netip.Prefix
	for _, text := range texts {
		text = strings.TrimSpace(text)
		p, ok := webhook.ParseNetwork(text)
		if !ok {
			return nil, fmt.Errorf("is a list of addresses such as 203.0.113.7, 203.0.113.0/28 and 2001:db8::7; %q is none", text)
		}
		all = append(all, p)
	}
	return all, nil
}

// parseProxy reads the proxy's URL; nil: there is none. Its errors never show the URL, which may have a password.
func parseProxy(text string) (*url.URL, error) {
	if text == "" {
		return nil, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" ||
		u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("is a URL such as http://user:password@proxy.internal:3128, or https where the proxy speaks TLS; characters such as / ? # % in the password are written %2F %3F %23 %25")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has a port that is none")
		}
	}
	return u, nil
}
