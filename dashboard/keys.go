package dashboard

import (
	"net/http"
	"net/url"
	"time"

	"waybill/webhook"
)

// keyRoutes are the pages of API keys and portal links.
func keyRoutes() []route {
	return []route{
		{"GET", tenantPath + "/keys", tenantKeys, listKeys},
		{"GET", tenantPath + "/new-key", tenantKeys, askKey},
		{"POST", tenantPath + "/new-key", tenantKeys, addKey},
		{"GET", tenantPath + "/keys/{key}/revoke", tenantKeys, askRevoke},
		{"POST", tenantPath + "/keys/{key}/revoke", tenantKeys, revokeKey},
		{"GET", tenantPath + "/keys/{key}/rotate", tenantKeys, askRotate},
		{"POST", tenantPath + "/keys/{key}/rotate", tenantKeys, rotateKey},
		{"GET", tenantPath + "/new-portal-link", tenantKeys, askPortalLink},
		{"POST", tenantPath + "/new-portal-link", tenantKeys, addPortalLink},
	}
}

// apiKey is a key as the API shows it. Key is its text, in the answer to its creation only.
type apiKey struct {
	webhook.APIKey
	Key                string     `json:"key"`
	PreviousValidUntil *time.Time `json:"previous_valid_until"`
}

// Status says whether the key works.
func (k *apiKey) Status(c *call) string {
	switch {
	case k.RevokedAt != nil && !k.RevokedAt.After(c.now):
		return "revoked"
	case k.ExpiredAt(c.now):
		return "expired"
	default:
		return "valid"
	}
}

// listKeys is GET /tenants/{tenant}/keys.
func listKeys(c *call) error {
	var found list[apiKey]
	if err := c.get(c.path("keys"), c.page(), &found); err != nil {
		return err
	}
	return c.show("keys", view{Title: "API keys", Section: "keys", Data: found})
}

// keyForm is a new key.
type keyForm struct {
	form
	Scopes []scopeChoice
}

// scopeChoice is a scope to tick, and what it allows.
type scopeChoice struct {
	Scope webhook.Scope
	Means string
}

// scopesOf are those that the session may pass on.
func (c *call) scopesOf() []scopeChoice {
	var out []scopeChoice
	for _, s := range []scopeChoice{
		{webhook.ScopePublish, "publish events"},
		{webhook.ScopeRead, "see endpoints, events, deliveries and attempts"},
		{webhook.ScopeManage, "change endpoints, deliveries and keys, and see signing secrets"},
	} {
		if c.May(s.Scope) {
			out = append(out, s)
		}
	}
	return out
}

// askKey is GET /tenants/{tenant}/new-key.
func askKey(c *call) error {
	return c.showKeyForm(&keyForm{form: newForm(url.Values{"scopes": {string(webhook.ScopePublish)}})})
}

func (c *call) showKeyForm(f *keyForm) error {
	f.Scopes = c.scopesOf()
	return c.show("new-key", view{Title: "Make an API key", Section: "keys", Status: f.status(), Data: f})
}

// addKey is POST /tenants/{tenant}/new-key.
func addKey(c *call) error {
	posted := c.posted()
	f := &keyForm{form: posted}
	in := map[string]any{"name": f.Value("name"), "scopes": f.Values["scopes"], "allow_cidrs": lines(f.Value("allow_cidrs"))}
	if at := f.Value("expires_at"); at != "" {
		in["expires_at"] = inUTC(at)
	}
	var made apiKey
	err := c.postOnce(c.path("keys"), f.Once, in, &made)
	if f.refusedBy(err) {
		return c.showKeyForm(f)
	}
	if err != nil {
		return err
	}
	return c.show("key-made", view{Title: "The key is made", Section: "keys", Data: made})
}

// askRevoke is GET .../keys/{key}/revoke.
func askRevoke(c *call) error { return c.showRevoke(nil) }

func (c *call) showRevoke(p *problem) error {
	return c.confirm("keys", confirmation{
		Title: "Revoke this key?", Button: "Revoke", Danger: true, Action: c.Href("keys", c.part("key"), "revoke"), Back: c.Href("keys"), Problem: p,
		Effects: []string{
			"Requests with the key " + c.part("key") + " are refused from now on, and everybody who signed in with it, or came by a portal link that it made, is signed out.",
			"This cannot be undone. To replace a key without a gap, rotate it instead.",
		},
		Fields: []confirmField{{Kind: "checkbox", Name: "made", Label: "Also revoke the keys that it made"}},
	})
}

// revokeKey is POST .../keys/{key}/revoke.
func revokeKey(c *call) error {
	path := c.path("keys", c.part("key"))
	if c.r.PostFormValue("made") != "" {
		path += "?made=true"
	}
	err := c.send(http.MethodDelete, path, nil, nil)
	if p := mendable(err); p != nil {
		return c.showRevoke(p)
	}
	if err != nil {
		return err
	}
	return c.done(c.Href("keys"), "The key is revoked.")
}

// askRotate is GET .../keys/{key}/rotate.
func askRotate(c *call) error { return c.showRotate("24h", newOnce(), nil) }

func (c *call) showRotate(overlap, once string, p *problem) error {
	return c.confirm("keys", confirmation{
		Title: "Rotate this key?", Button: "Rotate", Action: c.Href("keys", c.part("key"), "rotate"), Back: c.Href("keys"), Problem: p,
		Effects: []string{"A new key with the same name and rights is made and shown once. The old one works until the overlap ends, so that whoever uses it can change over."},
		Fields: []confirmField{
			{Kind: "text", Name: "overlap", Value: overlap, Label: "Overlap", Hint: "From 0s to 168h, such as 24h or 30m."},
			{Kind: "hidden", Name: "once", Value: once},
		},
	})
}

// rotateKey is POST .../keys/{key}/rotate.
func rotateKey(c *call) error {
	f := c.posted()
	overlap := f.Value("overlap")
	in := map[string]string{}
	if overlap != "" {
		in["overlap"] = overlap
	}
	var made apiKey
	err := c.postOnce(c.path("keys", c.part("key"), "rotate"), f.Once, in, &made)
	if f.refusedBy(err) {
		return c.showRotate(overlap, f.Once, f.Problem)
	}
	if err != nil {
		return err
	}
	return c.show("key-made", view{Title: "The key is rotated", Section: "keys", Data: made})
}
