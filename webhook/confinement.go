package webhook

import (
	"maps"
	"slices"
	"strings"
)

// Confinement is the filter of a portal session: the values of attributes that it may see (dialects, A14). Nil confines nothing.
type Confinement map[string][]string

// check writes the UUIDs as events have them. An empty confinement is refused, because it confines nothing and was meant to.
func (c Confinement) check(d *Dialect, found *problems) {
	if len(c) == 0 {
		found.addf("filter", "names no attribute; leave it out for a session that sees everything of the tenant")
	}
	normalizeFilter(c, d)
	validateFilter(c, d, found)
}

// CoversFilter reports whether an endpoint with this filter gets nothing but what the session may see: for each attribute it names a
// value, and only values that the session has.
func (c Confinement) CoversFilter(filter map[string][]string) bool {
	for name, mine := range c {
		values := filter[name]
		if len(values) == 0 || slices.ContainsFunc(values, func(v string) bool { return !slices.Contains(mine, v) }) {
			return false
		}
	}
	return true
}

// CoversEvent reports whether an event with these attributes is one that the session may see.
func (c Confinement) CoversEvent(attributes map[string]string) bool {
	for name, mine := range c {
		value, ok := attributes[name]
		if !ok || !slices.Contains(mine, value) {
			return false
		}
	}
	return true
}

// CheckFilter returns a CodeInvalid error when the session may not make an endpoint with this filter.
func (c Confinement) CheckFilter(filter map[string][]string) error {
	var found problems
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if one := (Confinement{name: c[name]}); !one.CoversFilter(filter) {
			found.addf("filter."+name, "names one or several of the values that this session is for, and no other: %s", strings.Join(c[name], ", "))
		}
	}
	return found.err("endpoint")
}

// CheckAttributes returns a CodeInvalid error when the session may not make an event with these attributes.
func (c Confinement) CheckAttributes(attributes map[string]string) error {
	var found problems
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if one := (Confinement{name: c[name]}); !one.CoversEvent(attributes) {
			found.addf("attributes."+name, "is one of the values that this session is for: %s", strings.Join(c[name], ", "))
		}
	}
	return found.err("event")
}
