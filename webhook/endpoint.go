package webhook

import (
	"maps"
	"reflect"
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
	// EventTypes are the subscriptions: exact types ("order.confirmed"), all types below a prefix ("order.*"), or all types
	// ("*").
	EventTypes []string `json:"event_types" db:"-"`
	// Filter narrows the subscription: for each attribute in it the event must have one of the values.
	Filter      map[string][]string `json:"filter,omitempty" db:"-"`
	Description string              `json:"description" db:"description"`
	// Headers are sent in addition to the dialect's.
	Headers map[string]string `json:"headers,omitempty" db:"-"`
	// Auth are the credentials that are sent to the receiver; nil: none. Whoever changes them sets another Auth. Only its type is shown.
	Auth *Auth `json:"auth,omitempty" db:"-"`
	// CertificateExpiresAt is when the client certificate of Auth ends; Normalize sets it.
	CertificateExpiresAt *time.Time `json:"certificate_expires_at,omitempty" db:"certificate_expires_at"`
	// Retry and Timeout replace the tenant's and the dialect's; nil keeps those.
	Retry   *RetryPolicy `json:"retry,omitempty" db:"-"`
	Timeout *Duration    `json:"timeout,omitempty" db:"-"`

	// AutoDisable replaces the dialect's rule; nil keeps it.
	AutoDisable *AutoDisable `json:"auto_disable,omitempty" db:"-"`
	// Signing is what the endpoint chose of how it is signed; nil: nothing.
	Signing *Signing `json:"signing,omitempty" db:"-"`
	// AlsoSignAs is the second dialect that signs; nil: none.
	AlsoSignAs *AlsoSignAs `json:"also_sign_as,omitempty" db:"-"`
	// Metadata is the caller's own, shown and never sent.
	Metadata map[string]string `json:"metadata,omitempty" db:"-"`

	// Verification is what the endpoint asks of its receiver before anything is sent; nil: nothing, unless its tenant asks.
	Verification *Verification `json:"-" db:"-"`
	// Unverified says that the receiver has not proven itself yet: the endpoint is disabled until it has.
	Unverified bool `json:"-" db:"unverified"`
	// VerifiedAt is when the receiver proved itself for this URL; nil: it did not. AllowedRate is how many requests a minute it allows
	// (CloudEvents); 0: no limit.
	VerifiedAt  *time.Time `json:"-" db:"verified_at"`
	AllowedRate int        `json:"-" db:"allowed_rate"`

	// DisabledAt is when the endpoint was disabled; nil while it is enabled. DisabledBy and DisabledReason are those of the
	// Change.
	DisabledAt     *time.Time `json:"-" db:"disabled_at"`
	DisabledBy     string     `json:"-" db:"disabled_by"`
	DisabledReason string     `json:"-" db:"disabled_reason"`
	// Streak, LastSuccessAt and LastFailureAt are of its attempts, tests left out. They are read for people only: what an attempt
	// depends on does not have them.
	Streak        Streak     `json:"streak" db:"-"`
	LastSuccessAt *time.Time `json:"last_success_at,omitempty" db:"-"`
	LastFailureAt *time.Time `json:"last_failure_at,omitempty" db:"-"`
	CreatedAt     time.Time  `json:"created_at" db:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at" db:"updated_at"`
	// Version grows with every change of the endpoint.
	Version int64 `json:"-" db:"version"`
}

// Wants reports whether the endpoint subscribes to the event type, whatever its filter says.
func (e *Endpoint) Wants(eventType string) bool {
	return slices.ContainsFunc(e.EventTypes, func(p string) bool { return matchType(p, eventType) })
}

// admits reports whether an event with these attributes passes the filter. The dialect, which may be nil, says which of
// them are UUIDs. A filter that was stored before UUIDs were written in lower case admits the same events.
func (e *Endpoint) admits(attributes map[string]string, d *Dialect) bool {
	for name, values := range e.Filter {
		value, ok := attributes[name]
		if !ok || !slices.ContainsFunc(values, func(v string) bool {
			return v == value || strings.EqualFold(v, value) && d != nil && d.isUUID(name)
		}) {
			return false
		}
	}
	return true
}

// Normalize writes the UUIDs of the filter in lower case, as in events, and the timeout in whole milliseconds, as it is stored. It
// reads from the client certificate when it ends.
func (e *Endpoint) Normalize(d *Dialect) {
	e.CertificateExpiresAt = nil
	if e.Auth != nil && e.Auth.Type == AuthMTLS {
		if span, err := e.Auth.Span(); err == nil {
			e.CertificateExpiresAt = &span.Until
		}
	}
	if e.Timeout != nil {
		whole := Duration(e.Timeout.Std().Truncate(time.Millisecond))
		e.Timeout = &whole
	}
	normalizeFilter(e.Filter, d)
}

// normalizeFilter writes the UUIDs of a filter in lower case, as events have them.
func normalizeFilter(filter map[string][]string, d *Dialect) {
	for name, values := range filter {
		for i, v := range values {
			values[i] = d.AttributeAsStored(name, v)
		}
	}
}

// matchType reports whether pattern ("*", "order.*" or an exact type) covers the event type.
func matchType(pattern, eventType string) bool {
	if pattern == "*" || pattern == eventType {
		return true
	}
	group, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasSuffix(group, ".") && strings.HasPrefix(eventType, group)
}

// PatternsFor returns every pattern that covers the event type.
func PatternsFor(eventType string) []string {
	all := []string{"*", eventType}
	for i, r := range eventType {
		if r == '.' {
			all = append(all, eventType[:i+1]+"*")
		}
	}
	return all
}

// IsEventType reports whether text can be the name of an event type.
func IsEventType(text string) bool { return len(text) <= MaxTypeBytes && typePattern.MatchString(text) }

// Limits are the operator's and the dialect's bounds on an endpoint.
type Limits struct {
	Dialect *Dialect
	// Dialects are all that are loaded, for AlsoSignAs.
	Dialects map[string]*Dialect
	// Now is the time of the change.
	Now time.Time
	// AllowHTTP lifts the dialect's https rule for this instance.
	AllowHTTP bool
	// AllowUnknownTypes is the tenant's setting: event types outside of the catalogue are allowed.
	AllowUnknownTypes bool
	// Operator says that the tenant gets operational events.
	Operator bool
	// OwnTypes are the names of the tenant's own event types. They count as the dialect's do, where it has a catalogue.
	OwnTypes []string
	// Stored is the endpoint before a change; nil at its creation. Values that were accepted before stay valid under newer
	// rules.
	Stored *Endpoint
	// CheckAddress refuses a host and port that the operator does not allow; nil: only the guarded transport checks. Its
	// error is for the caller and completes a sentence that begins with the URL.
	CheckAddress func(host string, port uint16) error
	// ReservedHeaders are names in lower case that no custom header may have; see ReservedHeaders.
	ReservedHeaders map[string]bool
}

var typePattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)

// Validate checks the endpoint against the general limits and the dialect's. The error is CodeInvalid and lists every wrong
// field. It does not resolve the host: the guarded transport checks addresses at dial time.
func (e *Endpoint) Validate(l Limits) error {
	var found problems
	if l.Stored == nil || e.URL != l.Stored.URL {
		e.validateURL(l, &found)
	}
	e.validateSubscription(l, &found)
	if l.Stored == nil || !maps.Equal(e.Headers, l.Stored.Headers) {
		e.validateHeaders(l, &found)
	}
	if len(e.Description) > maxDescription {
		found.addf("description", "is at most %d bytes long", maxDescription)
	}
	if (l.Stored == nil || e.Description != l.Stored.Description) && !isLines(e.Description) {
		found.addf("description", "has a control character other than a line feed or a tab")
	}
	if e.Retry != nil && (l.Stored == nil || !reflect.DeepEqual(e.Retry, l.Stored.Retry)) {
		e.Retry.validate("retry", &found)
	}
	if e.Timeout != nil && (e.Timeout.Std() < time.Second || e.Timeout.Std() > MaxTimeout) {
		found.addf("timeout", "is from 1s to %s, not %s", Duration(MaxTimeout), *e.Timeout)
	}
	if e.AutoDisable != nil {
		e.AutoDisable.validate("auto_disable", &found)
	}
	e.validateSigning(l, &found)
	checkMetadata(e.Metadata, &found)
	if e.Verification != nil {
		e.Verification.validate("verification", &found)
	}
	e.validateAuth(l, &found)
	return found.err("endpoint")
}

func (e *Endpoint) validateSubscription(l Limits, found *problems) {
	if l.Stored == nil || !slices.Equal(e.EventTypes, l.Stored.EventTypes) {
		e.validateEventTypes(l, found)
	}
	if l.Stored == nil || !reflect.DeepEqual(e.Filter, l.Stored.Filter) {
		validateFilter(e.Filter, l.Dialect, found)
	}
}

func (e *Endpoint) validateEventTypes(l Limits, found *problems) {
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
}

// validateFilter refuses filters that are too large or that no event could match.
func validateFilter(filter map[string][]string, d *Dialect, found *problems) {
	if len(filter) > MaxAttributes {
		found.addf("filter", "names %d attributes; an event has at most %d", len(filter), MaxAttributes)
		return
	}
	values := 0
	for _, name := range slices.Sorted(maps.Keys(filter)) {
		list := filter[name]
		values += len(list)
		_, listed := d.Attributes[name]
		switch {
		case len(d.Attributes) > 0 && !listed:
			found.addf("filter."+name, "is not an attribute of the dialect %s, which has %s", d.Name,
				strings.Join(slices.Sorted(maps.Keys(d.Attributes)), ", "))
		case name == "" || len(name) > maxAttributeBytes:
			found.addf("filter."+name, "is no name of an attribute: it has 1 to %d bytes", maxAttributeBytes)
		case len(list) == 0:
			found.addf("filter."+name, "lists no value, so nothing could match")
		default:
			validateFilterValues(d, name, list, found)
		}
	}
	if values > MaxFilterValues {
		found.addf("filter", "lists %d values; at most %d fit", values, MaxFilterValues)
	}
}

// validateFilterValues reports the first value that no event's attribute can have.
func validateFilterValues(d *Dialect, name string, values []string, found *problems) {
	for i, value := range values {
		switch {
		case len(value) > maxAttributeBytes:
			found.addf(indexed("filter."+name, i), "is %d bytes long; an attribute has at most %d", len(value), maxAttributeBytes)
		case d.isUUID(name) && !uuidPattern.MatchString(value):
			found.addf(indexed("filter."+name, i), "is not a UUID: %q", value)
		default:
			continue
		}
		return
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
	case len(exact) > MaxTypeBytes:
		found.addf(field, "is longer than the %d bytes of an event type", MaxTypeBytes)
	case l.getsSome(pattern):
	case d.HasCatalogue() && !l.AllowUnknownTypes:
		if !l.knows(pattern) {
			found.addf(field, "%q is not an event type of the dialect %s or of the tenant, nor a prefix of one", pattern, d.Name)
		}
	case !wild && !d.carries(pattern):
		found.addf(field, "%q is in no group that the envelope of the dialect %s has a place for", pattern, d.Name)
	}
}

// knows reports whether the pattern covers a type of the dialect's catalogue or of the tenant's own.
func (l *Limits) knows(pattern string) bool {
	return slices.ContainsFunc(l.Dialect.EventTypes, func(t EventType) bool { return matchType(pattern, t.Type) }) ||
		slices.ContainsFunc(l.OwnTypes, func(own string) bool { return matchType(pattern, own) })
}

// RequestTimeout returns the timeout in force for the endpoint.
func (e *Endpoint) RequestTimeout(d *Dialect) time.Duration {
	if e.Timeout != nil {
		return e.Timeout.Std()
	}
	return d.Timeout.Std()
}
