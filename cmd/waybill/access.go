package main

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"waybill/api"
)

const (
	// minAPIKey is the least length of an administrator's key, and maxAPIKeys how many there may be.
	minAPIKey  = 16
	maxAPIKeys = 20
)

// adminName is the form of the name of an administrator's key.
var adminName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9._-]{0,62}$`)

// checkAccess reads who may use the API, and how.
func (s *settings) checkAccess(wrong func(variable, format string, args ...any)) {
	var err error
	if s.adminKeys, err = parseAdminKeys(s.APIKey); err != nil {
		wrong("WAYBILL_API_KEY", "%s", err)
	}
	if s.trustedProxies, err = parsePrefixes(s.TrustedProxies); err != nil {
		wrong("WAYBILL_TRUSTED_PROXIES", "%s", err)
	}
}

// parseAdminKeys reads "key" or "name:key,name:key". Errors never show a key.
func parseAdminKeys(text string) ([]api.AdminKey, error) {
	entries := strings.Split(text, ",")
	if len(entries) > maxAPIKeys {
		return nil, fmt.Errorf("has %d keys; %d is the limit", len(entries), maxAPIKeys)
	}
	var keys []api.AdminKey
	names := map[string]bool{}
	for i, entry := range entries {
		name, key, named := strings.Cut(strings.TrimSpace(entry), ":")
		if !named || len(entries) == 1 && !adminName.MatchString(name) {
			name, key, named = "", strings.TrimSpace(entry), false
		}
		switch {
		case len(key) < minAPIKey && len(entries) == 1:
			return nil, fmt.Errorf("is required: %d characters or more, hard to guess, such as the output of: openssl rand -hex 32", minAPIKey)
		case len(key) < minAPIKey:
			return nil, fmt.Errorf("has a bad entry %d: each is name:key, and a key has %d characters or more", i+1, minAPIKey)
		case len(entries) > 1 && !named:
			return nil, fmt.Errorf("has no name for the key %d: several keys are written name:key,name:key", i+1)
		case named && !adminName.MatchString(name):
			return nil, fmt.Errorf("has a bad name for the key %d: a letter, and then at most 62 letters, digits, dots, dashes and underscores", i+1)
		case names[name]:
			return nil, fmt.Errorf("has the name %q twice", name)
		}
		for _, other := range keys {
			if other.Key == key {
				return nil, errors.New("has the same key twice, so that the log could not tell who used it")
			}
		}
		names[name] = true
		keys = append(keys, api.AdminKey{Name: name, Key: key})
	}
	if len(keys) == 1 && keys[0].Name != "" { // a key with a colon, from when there was one key without a name
		keys = append(keys, api.AdminKey{Key: strings.TrimSpace(text)})
	}
	return keys, nil
}

// parsePrefixes reads networks. An IPv4 network inside of IPv6 would match nothing.
func parsePrefixes(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil || p.Addr().Is4In6() {
			return nil, fmt.Errorf("is a list of networks such as 10.0.0.0/8,fd00::/8; %q is none", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}
