package dashboard

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"waybill/webhook"
)

// settingsRoutes are the pages of a tenant's settings, and of its end.
func settingsRoutes() []route {
	return []route{
		{"GET", tenantPath + "/settings", tenantKeys, showSettings},
		{"POST", tenantPath + "/settings", tenantKeys, saveSettings},
		{"GET", tenantPath + "/secret", tenantKeys, showSecret},
		{"POST", tenantPath + "/secret", tenantKeys, changeSecret},
		{"GET", tenantPath + "/retire-secret", tenantKeys, askRetireSecret},
		{"GET", tenantPath + "/erase", tenantKeys, askErase},
		{"POST", tenantPath + "/erase", tenantKeys, eraseTenant},
		{"GET", "/erasures/{erasure}", operators, showErasure},
	}
}

// showSettings is GET /tenants/{tenant}/settings.
func showSettings(c *call) error {
	var t tenant
	etag, err := c.getTagged(c.path(), &t)
	if err != nil {
		return err
	}
	values := url.Values{
		"name": {t.Name}, "contact_email": {t.ContactEmail}, "url": {t.URL},
		"branding.logo_url": {t.Branding.LogoURL}, "branding.accent_color": {t.Branding.AccentColor},
	}
	if t.Retention != nil {
		values.Set("retention", t.Retention.String())
	}
	if t.Limits != nil {
		values.Set("limits.endpoints", strconv.Itoa(t.Limits.Endpoints))
	}
	for name, on := range map[string]bool{"allow_unknown_types": t.AllowUnknownTypes, "express": t.Express, "verify_endpoints": t.VerifyEndpoints} {
		if on {
			values.Set(name, "true")
		}
	}
	return c.showSettingsForm(&settingsForm{newForm(values), etag})
}

// settingsForm are the settings as somebody changes them.
type settingsForm struct {
	form
	// ETag makes that nobody overwrites what somebody else changed since.
	ETag string
}

func (c *call) showSettingsForm(f *settingsForm) error {
	return c.show("settings", view{Title: "Settings", Section: "settings", Status: f.status(), Data: f})
}

// saveSettings is POST /tenants/{tenant}/settings. What only the administrator may set is not sent by others, whose form has no such field.
func saveSettings(c *call) error {
	f := &settingsForm{c.posted(), c.r.PostForm.Get("etag")}
	in := map[string]any{
		"name": f.Value("name"), "contact_email": f.Value("contact_email"), "url": f.Value("url"), "allow_unknown_types": f.Has("allow_unknown_types", "true"),
		"branding": branding(&f.form), "retention": text(f.Value("retention")),
	}
	if c.Operator() {
		in["express"], in["verify_endpoints"] = f.Has("express", "true"), f.Has("verify_endpoints", "true")
		if limits := changedLimits(c.Tenant.Limits, &f.form); limits != nil {
			in["limits"] = limits
		}
	}
	header := http.Header{}
	if f.ETag != "" {
		header.Set("If-Match", f.ETag)
	}
	err := c.sendWith(http.MethodPatch, c.path(), header, in, nil)
	if f.refusedBy(err) {
		if f.Problem.Status == http.StatusPreconditionFailed {
			return c.settingsChanged(f)
		}
		return c.showSettingsForm(f)
	}
	if err != nil {
		return err
	}
	return c.done(c.Href("settings"), "The settings are saved.")
}

// settingsChanged shows a form again that is older than the settings.
func (c *call) settingsChanged(f *settingsForm) error {
	etag, err := c.getTagged(c.path(), nil)
	if err != nil {
		return err
	}
	f.ETag, f.Problem = etag, changedMeanwhile("these settings", "Compare it with the settings in another tab")
	return c.showSettingsForm(f)
}

// changedLimits are the tenant's limits with what the form changes, because they are replaced as a whole; nil: it changes nothing.
func changedLimits(stored *webhook.TenantLimits, f *form) map[string]any {
	limits := map[string]any{}
	changed := false
	text, _ := json.Marshal(stored) // numbers
	_ = json.Unmarshal(text, &limits)
	for name, value := range limits {
		if given := f.Value("limits." + name); given != "" && given != fmt.Sprint(value) {
			limits[name], changed = number(given), true
		}
	}
	if !changed {
		return nil
	}
	return limits
}

// branding is nil where nothing is set, which takes it away.
func branding(f *form) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"logo_url", "accent_color"} {
		if value := f.Value("branding." + name); value != "" {
			out[name] = value
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// askErase is GET /tenants/{tenant}/erase.
func askErase(c *call) error { return c.showErase(nil) }

func (c *call) showErase(p *problem) error {
	if !c.Operator() {
		return notFound("Only an operator can erase a tenant.")
	}
	return c.confirm("settings", confirmation{
		Title: "Erase the tenant " + c.Tenant.Name + "?", Button: "Erase everything", Danger: true, Action: c.Href("erase"), Back: c.Href("settings"), Problem: p,
		Effects: []string{
			"Its keys and endpoints end at once, what waits to be delivered is canceled, and then all of its events, deliveries, attempts and settings are deleted.",
			"This cannot be undone. One audit entry stays.",
		},
		Fields: []confirmField{{Kind: "text", Name: "confirm", Label: "Type " + c.Tenant.ID + " to go on", Required: true}},
	})
}

// eraseTenant is POST /tenants/{tenant}/erase.
func eraseTenant(c *call) error {
	err := c.send(http.MethodDelete, c.path()+"?"+url.Values{"confirm": {c.r.PostFormValue("confirm")}}.Encode(), nil, nil)
	if p := mendable(err); p != nil {
		return c.showErase(p)
	}
	if err != nil {
		return err
	}
	return c.redirect("/erasures/" + url.PathEscape(c.Tenant.ID))
}

// erasure is the erasure of a tenant as the API tells.
type erasure struct {
	Tenant     string     `json:"tenant"`
	Status     string     `json:"status"`
	Rows       int64      `json:"rows"`
	StartedAt  time.Time  `json:"started_at"`
	FinishedAt *time.Time `json:"finished_at"`
}

// showErasure is GET /erasures/{erasure}.
func showErasure(c *call) error {
	var e erasure
	if err := c.get("/v1/erasures/"+url.PathEscape(c.part("erasure")), nil, &e); err != nil {
		return err
	}
	return c.show("erasure", view{Title: "Erasure", Section: "tenants", Data: &e})
}
