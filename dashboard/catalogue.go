package dashboard

import (
	"net/url"
	"slices"
	"strings"

	"waybill/webhook"
)

// eventType is an event type of a tenant, as a list of the API shows it.
type eventType struct {
	Type        string `json:"type"`
	Source      string `json:"source"`
	Description string `json:"description"`
	Deprecated  bool   `json:"deprecated"`
}

// Summary is the first sentence of the description. The full stop of an abbreviation ends none.
func (t eventType) Summary() string {
	line := firstLine(t.Description)
	for at := range line {
		if head := line[:at]; strings.HasPrefix(line[at:], ". ") && !strings.HasSuffix(head, "e.g") && !strings.HasSuffix(head, "i.e") {
			return shorten(maxSummary, head+".")
		}
	}
	return shorten(maxSummary, line)
}

const maxSummary = 100

// maxTypePages bounds how many pages of event types a form asks for: all that a tenant and its dialect can have.
const maxTypePages = 8

// eventTypes returns the event types of the tenant: its dialect's and its own, by name.
func (c *call) eventTypes() ([]eventType, error) {
	var all []eventType
	query := url.Values{"limit": {"200"}}
	for range maxTypePages {
		var found list[eventType]
		if err := c.get(c.path("event-types"), query, &found); err != nil {
			return nil, err
		}
		all = append(all, found.Data...)
		if found.NextCursor == "" {
			break
		}
		query.Set("cursor", found.NextCursor)
	}
	return all, nil
}

// typeGroup is the event types whose names have the same first part.
type typeGroup struct {
	Name  string
	Types []eventType
}

// Pattern stands for all types of the group.
func (g typeGroup) Pattern() string { return g.Name + ".*" }

// groupTypes groups types, which are in the order of their names.
func groupTypes(types []eventType) []typeGroup {
	var groups []typeGroup
	for _, t := range types {
		name, _, _ := strings.Cut(t.Type, ".")
		if len(groups) == 0 || groups[len(groups)-1].Name != name {
			groups = append(groups, typeGroup{Name: name})
		}
		last := &groups[len(groups)-1]
		last.Types = append(last.Types, t)
	}
	return groups
}

// wanted returns the types that an endpoint subscribes to first, for a choice of what to test it with.
func wanted(types []eventType, e *endpoint) []eventType {
	var first, rest []eventType
	for _, t := range types {
		if e.Wants(t.Type) {
			first = append(first, t)
		} else {
			rest = append(rest, t)
		}
	}
	return slices.Concat(first, rest)
}

// onlyType reports whether the tenant's endpoints name one exact event type each.
func onlyType(d *webhook.Dialect) bool { return d.Endpoints.MaxEventTypes == 1 }
