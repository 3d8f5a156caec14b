package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Dialect says how one platform's webhooks look on the wire and how failures are treated. It is data: a JSON file in
// schemas/dialects, checked at start-up against schemas/dialect.schema.json. The engine knows no platform by name.
type Dialect struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Description string `json:"description"`

	// Envelope lists the members of the JSON body, in their order.
	Envelope []EnvelopeField `json:"envelope"`
	// TimeFormat is how times are written in the envelope, always UTC with "Z".
	TimeFormat TimeFormat `json:"time_format"`
	// ASCIIOnly escapes every non-ASCII character of the body as \uXXXX.
	ASCIIOnly bool `json:"ascii_only"`

	Secret     SecretRule  `json:"secret"`
	Signatures []Signature `json:"signatures"`
	// MessageSignatures adds HTTP Message Signatures (RFC 9421) with a Content-Digest (RFC 9530), unless an endpoint says otherwise.
	MessageSignatures bool `json:"message_signatures,omitempty"`
	// Headers are sent with every attempt; values are templates (see Template).
	Headers map[string]string `json:"headers"`
	// Traceparent sends the trace of an event that is in one, as the header traceparent, which no signature covers.
	Traceparent bool `json:"traceparent,omitempty"`

	// Response says which part of an answer must arrive in time for it to count; "": ResponseComplete.
	Response ResponseRule `json:"response,omitempty"`
	// Timeout covers the whole request: dial, TLS, headers, body.
	Timeout Duration    `json:"timeout"`
	Retry   RetryPolicy `json:"retry"`
	// HTTPSOnly refuses http endpoints unless the operator lifts the rule for the instance.
	HTTPSOnly bool `json:"https_only"`
	// GoneDisables makes status 410 disable the endpoint (Standard Webhooks 1.0.0, "Operational considerations").
	GoneDisables bool         `json:"gone_disables"`
	AutoDisable  *AutoDisable `json:"auto_disable,omitempty"`
	// HoldFor is how long deliveries of a disabled endpoint are kept before they are canceled.
	HoldFor Duration `json:"hold_for"`

	// Alerts overrides when and how often a tenant's contact gets mail about an endpoint; nil: see Tells, MailInterval and MailSubject.
	Alerts *Alerts `json:"alerts,omitempty"`

	Endpoints EndpointRule `json:"endpoints"`
	// EventIDPattern is a regular expression (RE2) that every event id must match, where the platform documents a format.
	EventIDPattern string                   `json:"event_id_pattern,omitempty"`
	Attributes     map[string]AttributeRule `json:"attributes,omitempty"`
	// StatusWords are the platform's own words for StatusDelivered and StatusExhausted, for people to read.
	StatusWords map[Status]string `json:"status_words,omitempty"`
	// EventTypes is the catalogue. Empty: any event type is accepted.
	EventTypes []EventType `json:"event_types"`

	eventID *regexp.Regexp // of EventIDPattern; nil: any
}

// EnvelopeField is one member of the body.
type EnvelopeField struct {
	Name string `json:"name"`
	// From is where the value comes from.
	From Source `json:"from"`
	// Attribute is the attribute's name when From is "attribute".
	Attribute string `json:"attribute,omitempty"`
	// Types limits the member to event types that match one of these patterns; empty: all.
	Types []string `json:"types,omitempty"`
}

// Source is where an envelope member's value comes from.
type Source string

// The sources.
const (
	FromEventID    Source = "event_id"
	FromDeliveryID Source = "delivery_id" // the delivery's UUID; at most one member
	FromType       Source = "type"
	FromOccurredAt Source = "occurred_at"
	FromAttribute  Source = "attribute" // null when the event lacks it
	FromData       Source = "data"
)

// TimeFormat is the precision of times in the envelope.
type TimeFormat string

// The time formats.
const (
	TimeSeconds      TimeFormat = "seconds"
	TimeMilliseconds TimeFormat = "milliseconds"
	TimeMicroseconds TimeFormat = "microseconds"
)

func (f TimeFormat) layout() string {
	switch f {
	case TimeMilliseconds:
		return "2006-01-02T15:04:05.000Z"
	case TimeMicroseconds:
		return "2006-01-02T15:04:05.000000Z"
	default:
		return "2006-01-02T15:04:05Z"
	}
}

// ResponseRule says when an answer counts.
type ResponseRule string

// The response rules.
const (
	ResponseComplete ResponseRule = "complete" // once its body has ended
	ResponseHeaders  ResponseRule = "headers"  // once its headers have arrived; the body is only shown
)

// SecretRule says who owns the signing secret.
type SecretRule struct {
	// Scope is "endpoint" (each has its own) or "tenant" (all endpoints share one).
	Scope SecretScope `json:"scope"`
}

// SecretScope is the owner of a signing secret.
type SecretScope string

// The secret scopes.
const (
	SecretOfEndpoint SecretScope = "endpoint"
	SecretOfTenant   SecretScope = "tenant"
)

// Signature is one signature header.
type Signature struct {
	Header string `json:"header"`
	// Format is the header's value, where {signature} is replaced by the encoded signature.
	Format    Template  `json:"format"`
	Algorithm Algorithm `json:"algorithm"`
	// Ed25519 is the header's value where the endpoint chose Ed25519 in place of Algorithm; "": it cannot.
	Ed25519  Template `json:"ed25519,omitempty"`
	Encoding Encoding `json:"encoding"`
	// Input is what is signed: a template over {body}, {event_id}, {delivery_id} and {timestamp}.
	Input Template `json:"input"`
	// Key says how the key is read from the secret's text.
	Key KeyReading `json:"key"`
	// List says that the header can have several signatures with spaces between them, each in Format. After a rotation it has the
	// signatures of both secrets until the overlap ends.
	List bool `json:"list,omitempty"`
}

// Algorithm is a signature algorithm.
type Algorithm string

// The algorithms, by their names in RFC 9421.
const (
	HMACSHA256 Algorithm = "hmac-sha256"
	Ed25519    Algorithm = "ed25519"
)

// Encoding is how a signature is written as text.
type Encoding string

// The encodings.
const (
	EncodeHex    Encoding = "hex" // lower case
	EncodeBase64 Encoding = "base64"
)

// KeyReading says how the HMAC key is read from a secret.
type KeyReading string

// The key readings.
const (
	KeyText   KeyReading = "text"   // the secret's text as shown, "whsec_" included
	KeyBase64 KeyReading = "base64" // the decoded base64 after "whsec_" (Standard Webhooks)
)

// AutoDisable says when failures in a row disable an endpoint.
type AutoDisable struct {
	// Off means never. It is how an endpoint opts out of its dialect's rule.
	Off bool `json:"off,omitempty"`
	// Failures is how many attempts in a row failed; one success resets the count.
	Failures int `json:"failures,omitzero"`
	// Span is the least time between the first and the last of them.
	Span Duration `json:"span,omitzero"`
}

// EndpointRule limits the endpoints of a dialect. Zero values mean no limit by the dialect.
type EndpointRule struct {
	// Max is how many endpoints a tenant may have.
	Max int `json:"max,omitempty"`
	// MaxEventTypes is how many event types one endpoint may name; 1 forbids patterns too.
	MaxEventTypes int `json:"max_event_types,omitempty"`
	// MaxHeaders is how many custom headers it may add.
	MaxHeaders int `json:"max_headers"`
}

// AttributeRule is the rule for an event's attribute.
type AttributeRule struct {
	Required bool `json:"required"`
	// Format is "" (any text) or FormatUUID.
	Format string `json:"format,omitempty"`
}

// FormatUUID is the format of a UUID, where upper and lower case mean the same. It is stored, compared and sent in lower
// case.
const FormatUUID = "uuid"

// isUUID reports whether the attribute has the format FormatUUID.
func (d *Dialect) isUUID(attribute string) bool { return d.Attributes[attribute].Format == FormatUUID }

// EventType is one entry of the catalogue.
type EventType struct {
	Type        string `json:"type"`
	Description string `json:"description"`
	// Schema is the JSON Schema (2020-12) of data.
	Schema json.RawMessage `json:"schema"`
	// Example is an event as a producer would publish it.
	Example Example `json:"example"`
}

// Example is sample data for the endpoint test and for documentation.
type Example struct {
	Data       json.RawMessage   `json:"data"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// ParseDialect reads a dialect that has passed the JSON Schema and checks what a schema cannot: templates, the retry
// policy, unique event types. The error names the field. Examples are made compact, as in a body on the wire.
func ParseDialect(data []byte) (*Dialect, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	d := new(Dialect)
	if err := dec.Decode(d); err != nil {
		return nil, fmt.Errorf("dialect: %w", err)
	}
	if err := d.validate(); err != nil {
		return nil, err
	}
	for i := range d.EventTypes {
		example := &d.EventTypes[i].Example
		var compact bytes.Buffer
		if err := json.Compact(&compact, example.Data); err != nil {
			return nil, fmt.Errorf("dialect %s: %s: %w", d.Name, indexed("event_types", i)+".example.data", err)
		}
		example.Data = compact.Bytes()
	}
	return d, nil
}

func (d *Dialect) validate() error {
	var found problems
	d.Retry.validate("retry", &found)
	for i, s := range d.Signatures {
		field := indexed("signatures", i)
		s.Format.validate(field+".format", formatPlaceholders, &found)
		s.Input.validate(field+".input", inputPlaceholders, &found)
		s.Ed25519.validate(field+".ed25519", formatPlaceholders, &found)
		if s.Algorithm == Ed25519 && (s.Key != KeyBase64 || s.Ed25519 != "") {
			found.addf(field, "is ed25519: its key is base64, and format is its only format")
		}
	}
	d.validateAlgorithms(&found)
	for name, value := range d.Headers {
		Template(value).validate("headers."+name, headerPlaceholders, &found)
	}
	if d.Timeout.Std() < time.Second || d.Timeout.Std() > MaxTimeout {
		found.addf("timeout", "is from 1s to %s, not %s", Duration(MaxTimeout), d.Timeout)
	}
	d.validateEventIDPattern(&found)
	if d.Alerts != nil {
		d.Alerts.validate("alerts", &found)
	}
	deliveryIDs := 0
	for _, f := range d.Envelope {
		if f.From == FromDeliveryID {
			deliveryIDs++
		}
	}
	if deliveryIDs > 1 {
		found.addf("envelope", "has %d members from delivery_id; at most one is possible", deliveryIDs)
	}
	seen := map[string]bool{}
	for i, t := range d.EventTypes {
		if seen[t.Type] {
			found.addf(indexed("event_types", i)+".type", "%q is listed twice", t.Type)
		}
		seen[t.Type] = true
	}
	return found.err("dialect " + d.Name)
}

// validateAlgorithms asks for signatures that one key can make.
func (d *Dialect) validateAlgorithms(found *problems) {
	for _, s := range d.Signatures {
		if s.Algorithm != d.algorithm() {
			found.addf("signatures", "have two algorithms, but one key")
			break
		}
	}
	if name := d.setsOneOf(headerDigest, headerSignatureInput, headerSignature); d.MessageSignatures && name != "" {
		found.addf("message_signatures", "sets the header %s, which the dialect has already", name)
	}
}

// validateEventIDPattern compiles the pattern. It must match the ids that Waybill generates, otherwise an event without a
// producer's id, such as a test, could never be published.
func (d *Dialect) validateEventIDPattern(found *problems) {
	if d.EventIDPattern == "" {
		return
	}
	var err error
	if d.eventID, err = regexp.Compile(d.EventIDPattern); err != nil {
		found.addf("event_id_pattern", "is not a regular expression: %s", err)
		return
	}
	if made := IDFromIdempotencyKey(""); !d.fitsEventID(made) {
		found.addf("event_id_pattern", "does not match the ids that Waybill makes, such as %s", made)
	}
}

// fitsEventID reports whether an event's id has the format that the platform documents.
func (d *Dialect) fitsEventID(id string) bool { return d.eventID == nil || d.eventID.MatchString(id) }

// EventType returns the catalogue's entry for a type.
func (d *Dialect) EventType(name string) (EventType, bool) {
	for _, t := range d.EventTypes {
		if t.Type == name {
			return t, true
		}
	}
	return EventType{}, false
}

// HasCatalogue reports whether the dialect lists its event types.
func (d *Dialect) HasCatalogue() bool { return len(d.EventTypes) > 0 }

// Template is text with placeholders in braces, such as "sha256={signature}". Placeholders: {event_id},
// {delivery_id} (the delivery's UUID), {type}, {timestamp} (Unix seconds of the attempt); in a signature's input also
// {body}, in its format {signature}; in the subject of a mail {tenant_url} alone.
type Template string

var (
	headerPlaceholders = []string{"event_id", "delivery_id", "type", "timestamp"}
	inputPlaceholders  = []string{"event_id", "delivery_id", "timestamp", "body"}
	formatPlaceholders = []string{"signature", "timestamp"}

	subjectPlaceholders = []string{"tenant_url"}
)

// expand calls emit for each literal and each placeholder's value in turn.
func (t Template) expand(value func(name string) []byte, emit func([]byte)) {
	rest := string(t)
	for {
		before, after, ok := strings.Cut(rest, "{")
		emit([]byte(before))
		if !ok {
			return
		}
		name, tail, _ := strings.Cut(after, "}")
		emit(value(name))
		rest = tail
	}
}

func (t Template) validate(field string, known []string, found *problems) {
	rest := string(t)
	for {
		_, after, ok := strings.Cut(rest, "{")
		if !ok {
			return
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			found.addf(field, "has a { without }")
			return
		}
		if !slices.Contains(known, name) {
			found.addf(field, "has the unknown placeholder {%s}; known: %s", name, strings.Join(known, ", "))
		}
		rest = tail
	}
}

func indexed(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }
