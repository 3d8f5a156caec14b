package webhook

import (
	"cmp"
	"net/mail"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"
)

// Limits of a tenant.
const (
	// DefaultMaxEndpoints is how many endpoints a tenant may have unless the administrator says otherwise.
	DefaultMaxEndpoints = 500
	// MaxRecipients is how many endpoints one event may go to, and so the maximum of a tenant's limit.
	MaxRecipients = 10_000

	// MinTenantRetention is the least time for which a tenant keeps bodies and answers.
	MinTenantRetention = time.Hour

	maxTenantURLBytes = 200
)

// Tenant is the platform or partner whose endpoints and events are isolated from all others.
type Tenant struct {
	// ID is a slug the creator chose: 1 to 63 lower-case letters, digits and dashes.
	ID   string `json:"id" db:"id"`
	Name string `json:"name" db:"name"`
	// Dialect names the dialect of all the tenant's webhooks. It does not change.
	Dialect      string `json:"dialect" db:"dialect"`
	ContactEmail string `json:"contact_email,omitempty" db:"contact_email"`
	// URL is the platform's address as its users know it. Mail about its webhooks names it.
	URL string `json:"url,omitempty" db:"url"`
	// AllowUnknownTypes accepts event types that the catalogue does not list, without a check of their data.
	AllowUnknownTypes bool `json:"allow_unknown_types" db:"allow_unknown_types"`
	// Operator says that the tenant gets the operational events.
	Operator bool `json:"-" db:"-"`
	// VerifyEndpoints holds a new endpoint, and one whose URL changes, until its receiver has proven itself.
	VerifyEndpoints bool `json:"verify_endpoints,omitempty" db:"verify_endpoints"`
	// Express asks for attempts without a workflow for each event (design, "The way of an event", 2).
	Express bool `json:"express" db:"express"`
	// Retry replaces the dialect's retry policy; nil keeps it.
	Retry *RetryPolicy `json:"retry,omitempty" db:"-"`
	// Branding is how the tenant's portal looks; nil: as the dashboard does.
	Branding *Branding `json:"branding,omitempty" db:"-"`
	// Metadata is the caller's own, shown and never sent.
	Metadata map[string]string `json:"metadata,omitempty" db:"-"`
	// Retention is how long bodies and answers are kept, once they are settled; nil: as long as the log.
	Retention *Duration `json:"retention,omitempty" db:"-"`
	// Limits are set by the administrator; nil: the defaults.
	Limits    *TenantLimits `json:"limits,omitempty" db:"-"`
	CreatedAt time.Time     `json:"created_at" db:"created_at"`
	// Version increases with every change of the tenant or of one of its endpoints, so that a stale cache entry is
	// detected. By how much is no matter.
	Version int64 `json:"-" db:"version"`
	// TypesVersion increases with every change of the tenant's own event types; 0: it never had one.
	TypesVersion int64 `json:"-" db:"types_version"`
}

// TenantLimits bound the resources of a tenant.
type TenantLimits struct {
	// Endpoints is how many endpoints the tenant may have, 1 to MaxRecipients. Lowering it removes no endpoints.
	Endpoints int `json:"endpoints"`
	// Keys is how many live API keys the tenant may have, 1 to MaxKeys; 0: DefaultMaxKeys. Lowering it ends no keys.
	Keys int `json:"keys,omitempty"`
}

// LimitsInForce returns the tenant's limits, with defaults where it has none.
func (t *Tenant) LimitsInForce() TenantLimits {
	if t.Limits == nil {
		return TenantLimits{Endpoints: DefaultMaxEndpoints, Keys: DefaultMaxKeys}
	}
	return TenantLimits{Endpoints: t.Limits.Endpoints, Keys: cmp.Or(t.Limits.Keys, DefaultMaxKeys)}
}

// MaxEndpoints is how many endpoints the tenant may have: the lower of its own limit and the dialect's.
func (t *Tenant) MaxEndpoints(d *Dialect) int {
	own := t.LimitsInForce().Endpoints
	return min(own, cmp.Or(d.Endpoints.Max, own))
}

var (
	tenantIDPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// emailPattern asks for a domain with a dot, which the grammar of addresses does not.
	emailPattern = regexp.MustCompile(`^[^@\s<>]+@[^@\s<>\[\]]+\.[^@\s<>\[\]]+$`)
)

// isEmailAddress reports whether mail can be sent to text: an address alone, without a name, quotes or a comment.
func isEmailAddress(text string) bool {
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text && len(text) <= 254 && emailPattern.MatchString(text) && IsLine(text)
}

// IsTenantID reports whether text can be the id of a tenant.
func IsTenantID(text string) bool { return tenantIDPattern.MatchString(text) }

// Validate checks the fields that do not depend on the dialect. stored is the tenant before a change; nil at its creation.
// A stored name, contact and retry policy stay valid under newer rules. The error is CodeInvalid and lists every wrong field.
func (t *Tenant) Validate(stored *Tenant) error {
	var found problems
	if !IsTenantID(t.ID) {
		found.addf("id", "is 1 to 63 lower-case letters, digits and inner dashes, not %q", t.ID)
	}
	if t.Name == "" || len(t.Name) > 200 {
		found.addf("name", "is 1 to 200 bytes long")
	}
	if (stored == nil || t.Name != stored.Name) && !IsLine(t.Name) {
		found.addf("name", notLine)
	}
	if t.Dialect == "" {
		found.addf("dialect", `is required, for example "standard"`)
	}
	if (stored == nil || t.ContactEmail != stored.ContactEmail) && t.ContactEmail != "" && !isEmailAddress(t.ContactEmail) {
		found.addf("contact_email", "is not an e-mail address: %q", t.ContactEmail)
	}
	if t.URL != "" && !isTenantURL(t.URL) {
		found.addf("url", "is an https URL of at most %d printable ASCII characters, without user name and fragment", maxTenantURLBytes)
	}
	if t.Retry != nil && (stored == nil || !reflect.DeepEqual(t.Retry, stored.Retry)) {
		t.Retry.validate("retry", &found)
	}
	if t.Limits != nil && (t.Limits.Endpoints < 1 || t.Limits.Endpoints > MaxRecipients) {
		found.addf("limits.endpoints", "is from 1 to %d, not %d; limits as null means the default of %d", MaxRecipients, t.Limits.Endpoints, DefaultMaxEndpoints)
	}
	if t.Limits != nil && (t.Limits.Keys < 0 || t.Limits.Keys > MaxKeys) {
		found.addf("limits.keys", "is from 1 to %d, not %d; left out it means the default of %d", MaxKeys, t.Limits.Keys, DefaultMaxKeys)
	}
	if t.Retention != nil && t.Retention.Std() < MinTenantRetention {
		found.addf("retention", "is at least %s, not %s; null keeps bodies and answers as long as the log", Duration(MinTenantRetention), t.Retention)
	}
	if t.Branding != nil {
		t.Branding.validate(&found)
	}
	checkMetadata(t.Metadata, &found)
	return found.err("tenant")
}

// isTenantURL reports whether text is a valid URL for the subject line of a mail.
func isTenantURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) <= maxTenantURLBytes && u.Scheme == "https" && u.Hostname() != "" && u.User == nil &&
		!strings.Contains(text, "#") && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}
