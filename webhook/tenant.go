package webhook

import (
	"regexp"
	"time"
)

// Tenant is the platform or partner whose endpoints and events are isolated from all others.
type Tenant struct {
	// ID is a slug the creator chose: 1 to 63 lower-case letters, digits and dashes.
	ID   string `json:"id" db:"id"`
	Name string `json:"name" db:"name"`
	// Dialect names the dialect of all the tenant's webhooks. It does not change.
	Dialect      string `json:"dialect" db:"dialect"`
	ContactEmail string `json:"contact_email,omitempty" db:"contact_email"`
	// AllowUnknownTypes opts out of the catalogue: event types it does not list are accepted, unchecked.
	AllowUnknownTypes bool `json:"allow_unknown_types" db:"allow_unknown_types"`
	// Express asks for first attempts without a workflow (design, "The way of an event", 2).
	Express bool `json:"express" db:"express"`
	// Retry replaces the dialect's retry policy; nil keeps it.
	Retry     *RetryPolicy `json:"retry,omitempty" db:"-"`
	CreatedAt time.Time    `json:"created_at" db:"created_at"`
	// Version grows with every change of the tenant or of one of its endpoints, so that a cache can tell it is stale.
	Version int64 `json:"-" db:"version"`
}

var (
	tenantIDPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	emailPattern    = regexp.MustCompile(`^[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+$`)
)

// Validate checks what can be checked without knowing the dialects. The error is CodeInvalid and lists every field.
func (t *Tenant) Validate() error {
	var found problems
	if !tenantIDPattern.MatchString(t.ID) {
		found.addf("id", "is 1 to 63 lower-case letters, digits and inner dashes, not %q", t.ID)
	}
	if t.Name == "" || len(t.Name) > 200 {
		found.addf("name", "is 1 to 200 bytes long")
	}
	if t.Dialect == "" {
		found.addf("dialect", `is required, for example "standard"`)
	}
	if t.ContactEmail != "" && (len(t.ContactEmail) > 254 || !emailPattern.MatchString(t.ContactEmail)) {
		found.addf("contact_email", "is not an e-mail address: %q", t.ContactEmail)
	}
	if t.Retry != nil {
		t.Retry.validate("retry", &found)
	}
	return found.err("tenant")
}
