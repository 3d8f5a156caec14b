package dashboard

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// colorPattern is a color as a tenant's branding has it.
var colorPattern = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// showTheme is GET /tenants/{tenant}/theme.css: buttons in the tenant's color. The policy for content allows no style inside of a page.
func showTheme(c *call) error {
	color := c.Tenant.Branding.AccentColor
	css := ""
	if colorPattern.MatchString(color) {
		css = fmt.Sprintf(":root { --accent-fill: %s; --on-accent: %s; }\n", color, readableOn(color)) + edge
	}
	return c.write(0, "text/css; charset=utf-8", []byte(css))
}

// edge keeps what has the tenant's color apart from the page where the color is that of the page, or nearly so.
const edge = ".primary, button.primary, .mark, .policy li::before { border: 1px solid color-mix(in srgb, var(--accent-fill), var(--text) 50%); }\n"

// readableOn is black or white, whichever has the greater contrast with a color (WCAG 2.2, relative luminance).
func readableOn(color string) string {
	light := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		value, _ := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8) // the pattern holds
		light += weight * linear(float64(value)/255)
	}
	if (light+0.05)/0.05 > 1.05/(light+0.05) {
		return "#000000"
	}
	return "#ffffff"
}

// linear undoes the gamma of sRGB.
func linear(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}
