package webhook

import "regexp"

// Branding is how a tenant's portal looks beside the tenant's name.
type Branding struct {
	// LogoURL is an https URL of a picture; "": none.
	LogoURL string `json:"logo_url,omitempty"`
	// AccentColor is "#rrggbb"; "": the dashboard's own.
	AccentColor string `json:"accent_color,omitempty"`
}

var colorPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

func (b *Branding) validate(found *problems) {
	if b.LogoURL != "" && !isTenantURL(b.LogoURL) {
		found.addf("branding.logo_url", "is an https URL of at most %d printable ASCII characters, without user name and fragment", maxTenantURLBytes)
	}
	if b.AccentColor != "" && !colorPattern.MatchString(b.AccentColor) {
		found.addf("branding.accent_color", "is a color such as #1a73e8, not %q", b.AccentColor)
	}
}
