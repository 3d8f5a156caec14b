package dashboard

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"waybill/webhook"
)

// linkForm is a new portal link.
type linkForm struct {
	form
	// Attributes are those that a link may be limited to.
	Attributes []string
}

// madeLink is the API's answer to a new portal link.
type madeLink struct {
	URL       string    `json:"url"`
	ExpiresAt time.Time `json:"expires_at"`
}

// askPortalLink is GET /tenants/{tenant}/new-portal-link.
func askPortalLink(c *call) error {
	return c.showLinkForm(&linkForm{form: newForm(url.Values{"expires_in": {"1h"}, "scopes": {"manage"}})})
}

func (c *call) showLinkForm(f *linkForm) error {
	f.Attributes = slices.Sorted(maps.Keys(c.Dialect.Attributes))
	return c.show("new-portal-link", view{Title: "Make a portal link", Section: "keys", Status: f.status(), Data: f})
}

// addPortalLink is POST /tenants/{tenant}/new-portal-link.
func addPortalLink(c *call) error {
	posted := c.posted()
	f := &linkForm{form: posted}
	scopes := []webhook.Scope{webhook.ScopeRead}
	if f.Has("scopes", string(webhook.ScopeManage)) {
		scopes = append(scopes, webhook.ScopeManage)
	}
	in := map[string]any{"expires_in": f.Value("expires_in"), "scopes": scopes}
	if filter := readLinkFilter(f.Values); len(filter) > 0 {
		in["filter"] = filter
	}
	var made madeLink
	err := c.postOnce(c.path("portal-links"), f.Once, in, &made)
	if f.refusedBy(err) {
		return c.showLinkForm(f)
	}
	if err != nil {
		return err
	}
	return c.show("portal-link-made", view{Title: "The portal link is made", Section: "keys", Data: made})
}

// readLinkFilter reads the fields "filter.NAME", each with a value a line.
func readLinkFilter(values url.Values) map[string][]string {
	filter := map[string][]string{}
	for field := range values {
		if name, ok := strings.CutPrefix(field, "filter."); ok {
			if found := lines(values.Get(field)); len(found) > 0 {
				filter[name] = found
			}
		}
	}
	return filter
}
