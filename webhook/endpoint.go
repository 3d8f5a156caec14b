package webhook

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of an endpoint.
const (
	MaxTimeout      = 60 * time.Second
	MaxURLBytes     = 2048
	MaxEventTypes   = 100
	MaxFilterValues = 1000
	maxHeaderBytes  = 4096
	maxDescription  = 1000
)

// Endpoint is one receiver of a tenant's webhooks.
type Endpoint struct {
	ID       EndpointID `json:"id" db:"id"`
	TenantID string     `json:"tenant" db:"tenant_id"`
	URL      string     `json:"url" db:"url"`
	// EventTypes subscribes to exact types ("order.confirmed"), to all below a prefix ("order.*"), or to all ("*").
	EventTypes []string `json:"event_types" db:"-"`
	// Filter narrows the subscription: for each attribute named here the event must carry one of the values.
	Filter      map[string][]string `json:"filter,omitempty" db:"-"`
	Description string              `json:"description" db:"description"`
	// Headers are sent besides the dialect's own.
	Headers map[string]string `json:"headers,omitempty" db:"-"`
	// Retry and Timeout replace the tenant's and the dialect's; nil keeps those.
	Retry   *RetryPolicy `json:"retry,omitempty" db:"-"`
	Timeout *Duration    `json:"timeout,omitempty" db:"-"`

	// DisabledAt is when the endpoint was disabled; nil while it is enabled.
	DisabledAt     *time.Time `json:"disabled_at,omitempty" db:"disabled_at"`
	DisabledReason string     `json:"disabled_reason,omitempty" db:"disabled_reason"`
	CreatedAt      time.Time  `json:"created_at" db:"created_at"`
	UpdatedAt      time.Time  `json:"updated_at" db:"updated_at"`
	// Version grows with every change of the endpoint.
	Version int64 `json:"-" db:"version"`
}

// Subscribes reports whether the endpoint wants an event of this type and these attributes.
func (e *Endpoint) Subscribes(eventType string, attributes map[string]string) bool {
	if !slices.ContainsFunc(e.EventTypes, func(p string) bool { return matchType(p, eventType) }) {
		return false
	}
	for name, values := range e.Filter {
		value, ok := attributes[name]
		if !ok || !slices.Contains(values, value) {
			return false
		}
	}
	return true
}

// matchType reports whether pattern ("*", "order.*" or an exact type) covers the event type.
func matchType(pattern, eventType string) bool {
	if pattern == "*" || pattern == eventType {
		return true
	}
	group, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasSuffix(group, ".") && strings.HasPrefix(eventType, group)
}

// Limits are the operator's and the dialect's bounds on an endpoint.
type Limits struct {
	Dialect *Dialect
	// AllowHTTP lifts the dialect's https rule for this instance.
	AllowHTTP bool
	// AllowUnknownTypes is the tenant's: event types outside the catalogue may be named.
	AllowUnknownTypes bool
	// CheckAddress refuses a host and port that the operator does not let call; nil: the guarded transport judges alone. Its
	// error is for the caller and continues a sentence that begins with the URL.
	CheckAddress func(host string, port uint16) error
	// ReservedHeaders are names in lower case that no custom header may have; see ReservedHeaders.
	ReservedHeaders map[string]bool
}

var typePattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// Validate checks the endpoint against the general limits and the dialect's. The error is CodeInvalid and lists every
// wrong field. It does not resolve the host: the guarded transport judges addresses at dial time.
func (e *Endpoint) Validate(l Limits) error {
	var found problems
	e.validateURL(l, &found)
	e.validateSubscription(l, &found)
	e.validateHeaders(l, &found)
	if len(e.Description) > maxDescription {
		found.addf("description", "is at most %d bytes long", maxDescription)
	}
	if e.Retry != nil {
		e.Retry.validate("retry", &found)
	}
	if e.Timeout != nil && (e.Timeout.Std() < time.Second || e.Timeout.Std() > MaxTimeout) {
		found.addf("timeout", "is from 1s to %s, not %s", Duration(MaxTimeout), *e.Timeout)
	}
	return found.err("endpoint")
}

func (e *Endpoint) validateSubscription(l Limits, found *problems) {
	d, rule := l.Dialect, l.Dialect.Endpoints
	if len(e.EventTypes) == 0 {
		found.addf("event_types", `is required, for example ["*"]`)
	}
	if len(e.EventTypes) > MaxEventTypes {
		found.addf("event_types", "names %d types; at most %d fit", len(e.EventTypes), MaxEventTypes)
	}
	if rule.MaxEventTypes > 0 && len(e.EventTypes) > rule.MaxEventTypes {
		found.addf("event_types", "names %d types; the dialect %s allows %d", len(e.EventTypes), d.Name, rule.MaxEventTypes)
	}
	for i, pattern := range e.EventTypes {
		validatePattern(l, indexed("event_types", i), pattern, found)
	}
	values := 0
	for name, list := range e.Filter {
		values += len(list)
		if len(list) == 0 {
			found.addf("filter."+name, "lists no value, so nothing could match")
		}
	}
	if values > MaxFilterValues {
		found.addf("filter", "lists %d values; at most %d fit", values, MaxFilterValues)
	}
}

func validatePattern(l Limits, field, pattern string, found *problems) {
	d := l.Dialect
	exact, group := strings.CutSuffix(pattern, ".*")
	wild := group || pattern == "*"
	switch {
	case pattern != "*" && !typePattern.MatchString(exact):
		found.addf(field, `is "*", an event type, or a prefix such as "order.*", not %q`, pattern)
	case wild && d.Endpoints.MaxEventTypes == 1:
		found.addf(field, "is a pattern; an endpoint of the dialect %s names one exact event type", d.Name)
	case !wild && d.HasCatalogue() && !l.AllowUnknownTypes:
		if _, ok := d.EventType(pattern); !ok {
			found.addf(field, "%q is not an event type of the dialect %s", pattern, d.Name)
		}
	}
}

// RequestTimeout returns the timeout in force for the endpoint.
func (e *Endpoint) RequestTimeout(d *Dialect) time.Duration {
	if e.Timeout != nil {
		return e.Timeout.Std()
	}
	return d.Timeout.Std()
}
