package webhook

import (
	"bytes"
	"crypto/sha256"
	"time"
)

// Publication is a checked request to publish one event, with all that is needed to store it and its deliveries.
type Publication struct {
	Event *Event
	Body  Body
	// CallerID says that the caller chose Event.ID (or sent an Idempotency-Key), so that it may have been used before.
	CallerID bool
	Digest   [sha256.Size]byte
	// Earlier is the digest that versions which kept UUIDs as they were written stored of the same request; zero where it is
	// Digest.
	Earlier [sha256.Size]byte
	// Only, when set, sends the event to this endpoint alone, whatever it subscribes to: an endpoint's test.
	Only EndpointID
	// Audit is written in the transaction that stores the event: who asked for a test. nil: none.
	Audit *AuditEntry
	// TestSecret is the secret that signs a test alone; "": what signs every attempt.
	TestSecret SecretChoice
	// Traceparent is kept with the event. It is no part of what was asked for, so that a repetition may have another.
	Traceparent Traceparent
	CreatedAt   time.Time

	dialect *Dialect // nil: no attribute has a format
}

// Schemas checks data against the JSON Schema of its event type.
type Schemas interface {
	// Validate checks data of a type of a dialect's catalogue, or of Operational. It answers CodeSchemaViolation with the fields, and
	// nil when the type has no schema.
	Validate(dialect, eventType string, data []byte) error
	// ValidateOwn is Validate for a tenant's own type. Its checks have bounds, so data that is too large or nested too deep for the
	// schema is a violation too.
	ValidateOwn(own *OwnType, data []byte) error
	// CheckSchema checks a schema that a tenant wrote. It answers CodeInvalid with the places that are wrong or beyond the bounds.
	CheckSchema(schema []byte) error
}

// NewPublication checks an event by its tenant's dialect, writes its UUIDs in lower case and renders the body, whose bytes
// are final from then on. own is as in Event.Validate. asked is the time of the event as the producer gave it; nil: left out. now
// is the time of acceptance. The error is CodeInvalid, CodeUnknownEventType or CodeSchemaViolation.
func NewPublication(e *Event, t *Tenant, d *Dialect, own *OwnType, s Schemas, asked *time.Time, now time.Time) (*Publication, error) {
	if err := e.Validate(t, d, own); err != nil {
		return nil, err
	}
	var earlier [sha256.Size]byte
	if asWritten := *e; e.normalize(d) {
		earlier = asWritten.Digest(asked)
	}
	catalogue := d.Name
	_, known := d.EventType(e.Type)
	if !known && t.gets(e.Type) {
		catalogue, known = Operational, true
	}
	if known {
		if err := s.Validate(catalogue, e.Type, e.Data); err != nil {
			return nil, err
		}
	} else if own != nil {
		if err := s.ValidateOwn(own, e.Data); err != nil {
			return nil, err
		}
	}
	return &Publication{Event: e, Body: d.Render(e), Digest: e.Digest(asked), Earlier: earlier, CreatedAt: now, dialect: d}, nil
}

// Repeats reports whether the publication asks for the same as one whose digest was stored.
func (p *Publication) Repeats(digest []byte) bool {
	return bytes.Equal(digest, p.Digest[:]) || p.Earlier != [sha256.Size]byte{} && bytes.Equal(digest, p.Earlier[:])
}

// Receipt is the answer to a publication.
type Receipt struct {
	EventID    string            `json:"id"`
	Deliveries []ReceiptDelivery `json:"deliveries"`
	// RuledOut says why no endpoint gets the event; nil when one does, and in a repetition.
	RuledOut *RuledOut `json:"ruled_out,omitempty"`
	// Repeated says that the event was published before and this is the first answer again.
	Repeated bool `json:"-"`
}

// ReceiptDelivery names one delivery of a receipt.
type ReceiptDelivery struct {
	ID         DeliveryID `json:"id"`
	EndpointID EndpointID `json:"endpoint_id"`
}

// RuledOut counts the endpoints of a tenant that do not get an event. A disabled endpoint is not ruled out: its deliveries
// are held.
type RuledOut struct {
	// ByType counts those that do not subscribe to the event's type.
	ByType int `json:"by_type"`
	// ByFilter subscribe to the type, but the event does not pass their filter.
	ByFilter int `json:"by_filter"`
}

// Recipients returns the endpoints that the publication goes to, and counts the others. Disabled endpoints are recipients:
// their deliveries are held.
func (p *Publication) Recipients(endpoints []Endpoint) ([]EndpointID, RuledOut) {
	var out []EndpointID
	var others RuledOut
	for i := range endpoints {
		e := &endpoints[i]
		switch {
		case !p.Only.IsZero():
			if e.ID == p.Only {
				out = append(out, e.ID)
			}
		case !e.Wants(p.Event.Type):
			others.ByType++
		case !e.admits(p.Event.Attributes, p.dialect):
			others.ByFilter++
		default:
			out = append(out, e.ID)
		}
	}
	return out, others
}

// NewReceipt returns the answer to the first publication of an event.
func NewReceipt(eventID string, deliveries []ReceiptDelivery, others RuledOut) *Receipt {
	r := &Receipt{EventID: eventID, Deliveries: deliveries}
	if len(deliveries) == 0 {
		r.RuledOut = &others
	}
	return r
}

// TooManyRecipients is the answer to a publication that would go to more endpoints than most.
func TooManyRecipients(recipients, most int) error {
	return Errorf(CodeRecipientLimit, "the event would go to %d endpoints; one event can go to at most %d", recipients, most)
}
