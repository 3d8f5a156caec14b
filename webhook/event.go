package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of an event. MaxEventIDBytes leaves room for the tenant in Temporal's workflow id (255 characters).
const (
	MaxEventIDBytes   = 150
	MaxTypeBytes      = 128
	MaxAttributes     = 20
	maxAttributeBytes = 256
)

// Event is what happened, published once and immutable.
type Event struct {
	// Key is the key of the stored row. It is shown only where it is the ID too.
	Key      EventKey
	TenantID string
	// ID is the id that the caller chose, or the Key's text. It is unique within the tenant.
	ID         string
	Type       string
	OccurredAt time.Time
	// Attributes are values that filters and envelopes can refer to.
	Attributes map[string]string
	// Metadata is the caller's own, shown and never sent.
	Metadata map[string]string
	// Test says that the event is an endpoint's test.
	Test bool
	// Data is the JSON value as published, byte for byte.
	Data json.RawMessage
}

// eventIDPattern accepts ids of other systems, such as nanoid and base64url. It refuses slashes, because they separate ids,
// and a leading dot, because ".." is removed from a path.
var eventIDPattern = regexp.MustCompile(`^[A-Za-z0-9_:+=@~-][A-Za-z0-9_.:+=@~-]*$`)

// Validate checks the event against the general limits, the catalogue and the dialect's attributes. own is the event's type where
// the dialect's catalogue does not list it, but the tenant's own; nil otherwise. The error is CodeInvalid or CodeUnknownEventType.
// NewPublication checks the schema of the data.
func (e *Event) Validate(t *Tenant, d *Dialect, own *OwnType) error {
	var found problems
	if len(e.ID) > MaxEventIDBytes || !eventIDPattern.MatchString(e.ID) {
		found.addf("id", "is 1 to %d letters, digits and _ . : + = @ ~ -, no dot first, not %q", MaxEventIDBytes, e.ID)
	} else if !d.fitsEventID(e.ID) {
		found.addf("id", "must match the event_id_pattern of the dialect %s, %s, which %q does not", d.Name, d.EventIDPattern, e.ID)
	}
	if !IsEventType(e.Type) {
		found.addf("type", `is a dot-separated name such as "order.confirmed", not %q`, e.Type)
	}
	if len(e.Data) == 0 {
		found.addf("data", "is required")
	} else if !utf8.Valid(e.Data) {
		found.addf("data", "is not valid UTF-8")
	}
	if year := e.OccurredAt.UTC().Year(); year < 1970 || year > 9999 {
		found.addf("occurred_at", "is from 1970 to 9999")
	}
	e.validateAttributes(d, &found)
	checkMetadata(e.Metadata, &found)
	if err := found.err("event"); err != nil {
		return err
	}
	if _, known := d.EventType(e.Type); !known && !t.gets(e.Type) && own == nil && d.HasCatalogue() && !t.AllowUnknownTypes {
		err := Errorf(CodeUnknownEventType, "%q is not an event type of the dialect %s, nor the tenant's own; GET /v1/tenants/%s/event-types lists them",
			e.Type, d.Name, e.TenantID)
		err.Fields = []FieldError{{Field: "type", Detail: "is not in the catalogue"}}
		return err
	}
	if !d.carries(e.Type) {
		found.addf("type", "%q is in no group that the envelope of the dialect %s has a place for", e.Type, d.Name)
	}
	return found.err("event")
}

func (e *Event) validateAttributes(d *Dialect, found *problems) {
	if len(e.Attributes) > MaxAttributes {
		found.addf("attributes", "has %d members; at most %d fit", len(e.Attributes), MaxAttributes)
	}
	checkStrings("attributes", e.Attributes, maxAttributeBytes, found)
	for _, name := range slices.Sorted(maps.Keys(d.Attributes)) {
		rule := d.Attributes[name]
		value, ok := e.Attributes[name]
		if !ok && rule.Required {
			found.addf("attributes."+name, "is required by the dialect %s", d.Name)
		}
		if ok && rule.Format == FormatUUID && !uuidPattern.MatchString(value) {
			found.addf("attributes."+name, "is not a UUID: %q", value)
		}
	}
}

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// normalize writes the UUIDs among the attributes in lower case, and reports whether any was not. The map itself may be shared,
// so it stays as it is.
func (e *Event) normalize(d *Dialect) (changed bool) {
	for name := range d.Attributes {
		value, ok := e.Attributes[name]
		if lower := strings.ToLower(value); ok && d.isUUID(name) && lower != value {
			e.Attributes = maps.Clone(e.Attributes)
			e.Attributes[name] = lower
			changed = true
		}
	}
	return changed
}

// AttributeAsStored returns the value of an attribute as events have it.
func (d *Dialect) AttributeAsStored(name, value string) string {
	if d.isUUID(name) {
		return strings.ToLower(value)
	}
	return value
}

// Digest identifies what a caller asked to publish: type, data, attributes, metadata and the time as given (zero when the
// caller left it out). Two publications of one id are the same request when their digests are equal. Without metadata it is the
// digest that earlier versions stored.
func (e *Event) Digest(occurredAt *time.Time) [sha256.Size]byte {
	h := sha256.New()
	part := func(b []byte) {
		h.Write(strconv.AppendInt(nil, int64(len(b)), 10))
		h.Write([]byte{':'})
		h.Write(b)
	}
	part([]byte(e.Type))
	part(e.Data)
	if occurredAt != nil {
		part([]byte(occurredAt.UTC().Format(time.RFC3339Nano)))
	} else {
		part(nil)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Attributes)) {
		part([]byte(name))
		part([]byte(e.Attributes[name]))
	}
	if len(e.Metadata) > 0 {
		part(nil) // no attribute has this name
	}
	for _, name := range slices.Sorted(maps.Keys(e.Metadata)) {
		part([]byte(name))
		part([]byte(e.Metadata[name]))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// IDFromIdempotencyKey derives an event id from an Idempotency-Key header, for a request without an id, so that one
// uniqueness rule serves both.
func IDFromIdempotencyKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return "evt_" + hex.EncodeToString(sum[:16])
}
