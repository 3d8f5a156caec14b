package dashboard

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"waybill/webhook"
)

// auditRoutes are the pages of the audit.
func auditRoutes() []route {
	return []route{
		{"GET", tenantPath + "/audit", tenantKeys, showAudit},
		{"GET", "/audit", operators, showAllAudit},
	}
}

// auditPage is a page of audit entries.
type auditPage struct {
	list[auditEntry]
	Problem *problem
	// All says that the entries are of all tenants.
	All bool
}

// auditEntry is an entry with its changes field by field.
type auditEntry struct{ webhook.AuditEntry }

// auditChange is a field before and after.
type auditChange struct{ Field, Before, After string }

// Changes lists what was changed.
func (e *auditEntry) Changes() []auditChange {
	before, after := members(e.Before), members(e.After)
	var out []auditChange
	for _, name := range sortedNames(before, after) {
		out = append(out, auditChange{name, string(before[name]), string(after[name])})
	}
	return out
}

// Who says in words who acted where no person did; "": Actor says it.
func (e *auditEntry) Who() string {
	switch e.Actor {
	case webhook.ByFailures:
		return "Waybill, because attempts failed"
	case webhook.ByReceiver:
		return "the receiver, which answered 410 Gone"
	case webhook.BySignal, webhook.ByTemporal:
		return "an operator, in Temporal"
	case webhook.ByWaybill, webhook.ByVerification:
		return "Waybill"
	default:
		return ""
	}
}

// pagesOf are the sections of what can be the target of an entry, by the prefixes of ids.
var pagesOf = map[string]string{"ep": "endpoints", "dlv": "deliveries", "rec": "recoveries", "evt": "events"}

// Href is the page of the target, "" where it has none.
func (e *auditEntry) Href() string {
	prefix, _, _ := strings.Cut(e.Target, "_")
	if pagesOf[prefix] == "" || e.TenantID == "" {
		return ""
	}
	return "/tenants/" + url.PathEscape(e.TenantID) + "/" + pagesOf[prefix] + "/" + url.PathEscape(e.Target)
}

func members(object json.RawMessage) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	if len(object) > 0 {
		_ = json.Unmarshal(object, &out) // an entry is an object; another would have no fields to show
	}
	return out
}

// showAudit is GET /tenants/{tenant}/audit.
func showAudit(c *call) error { return c.showAuditOf(c.path("audit"), auditPage{}, "audit") }

// showAllAudit is GET /audit.
func showAllAudit(c *call) error {
	return c.showAuditOf("/v1/audit", auditPage{All: true}, "all-audit", "tenant")
}

func (c *call) showAuditOf(path string, p auditPage, section string, filters ...string) error {
	query := url.Values{}
	for _, name := range append(filters, "actor", "action", "target", "cursor") {
		if value := c.Query(name); value != "" {
			query.Set(name, value)
		}
	}
	for _, name := range []string{"since", "until"} {
		if value := c.Query(name); value != "" {
			query.Set(name, inUTC(value))
		}
	}
	err := c.get(path, query, &p.list)
	if p.Problem = mendable(err); err != nil && p.Problem == nil {
		return err
	}
	return c.show("audit", view{Title: "Audit", Section: section, Status: p.Problem.status(), Data: &p})
}

// sortedNames are the names of both, each once.
func sortedNames(a, b map[string]json.RawMessage) []string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}
