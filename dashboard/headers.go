package dashboard

import (
	"net/url"
	"regexp"
	"strings"
)

// secureHeaders forbids browsers everything that these pages do not need. The logo of a tenant is the one thing that comes from
// elsewhere, where its settings name one.
func (c *call) secureHeaders() {
	images, frames := "'self'", "'none'"
	if origin := c.logoOrigin(); origin != "" {
		images += " " + origin
	}
	if c.framed() {
		frames = strings.Join(c.opts.FrameAncestors, " ")
	}
	h := c.w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "+images+
		"; form-action 'self'; base-uri 'none'; frame-ancestors "+frames)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // addresses of pages name tenants, and of portal links open them
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Frame-Options", "DENY")
	if c.framed() {
		h.Del("X-Frame-Options")
	}
}

// hostPattern is a host as a policy names a single one: no asterisk, which would stand for many, and nothing that ends the policy.
var hostPattern = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?$`)

func (c *call) logoOrigin() string {
	if c.Tenant == nil || c.Tenant.Branding.LogoURL == "" {
		return ""
	}
	at, err := url.Parse(c.Tenant.Branding.LogoURL)
	if err != nil || at.Scheme != "https" || !hostPattern.MatchString(at.Host) {
		return ""
	}
	return "https://" + at.Host
}
