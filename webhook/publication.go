package webhook

import (
	"crypto/sha256"
	"time"
)

// Publication is an accepted request to publish one event: all that is needed to store it and its deliveries.
type Publication struct {
	Event *Event
	Body  Body
	// CallerID says that the caller chose Event.ID (or sent an Idempotency-Key), so that it may have been used before.
	CallerID bool
	Digest   [sha256.Size]byte
	// Only, when set, sends the event to this endpoint alone, whatever it subscribes to: an endpoint's test.
	Only      EndpointID
	CreatedAt time.Time
}

// Schemas checks data against the JSON Schema of its event type.
type Schemas interface {
	// Validate answers CodeSchemaViolation with the fields, and nil when the type has no schema.
	Validate(dialect, eventType string, data []byte) error
}

// NewPublication checks an event by its tenant's dialect and renders the body, whose bytes are final from here on. asked is
// the moment of the event as the producer gave it, nil when it was left out; now is the moment of acceptance. The error is
// CodeInvalid, CodeUnknownEventType or CodeSchemaViolation.
func NewPublication(e *Event, t *Tenant, d *Dialect, s Schemas, asked *time.Time, now time.Time) (*Publication, error) {
	if err := e.Validate(t, d); err != nil {
		return nil, err
	}
	if _, known := d.EventType(e.Type); known {
		if err := s.Validate(d.Name, e.Type, e.Data); err != nil {
			return nil, err
		}
	}
	return &Publication{Event: e, Body: d.Render(e), Digest: e.Digest(asked), CreatedAt: now}, nil
}

// Receipt is the answer to a publication.
type Receipt struct {
	EventID    string            `json:"id"`
	Deliveries []ReceiptDelivery `json:"deliveries"`
	// Repeated says that the event was published before and this is the first answer again.
	Repeated bool `json:"-"`
}

// ReceiptDelivery names one delivery of a receipt.
type ReceiptDelivery struct {
	ID         DeliveryID `json:"id"`
	EndpointID EndpointID `json:"endpoint_id"`
}

// Recipients returns the endpoints that the publication goes to. Disabled endpoints are among them: their deliveries
// are held.
func (p *Publication) Recipients(endpoints []Endpoint) []EndpointID {
	var out []EndpointID
	for i := range endpoints {
		e := &endpoints[i]
		if p.Only == e.ID || p.Only.IsZero() && e.Subscribes(p.Event.Type, p.Event.Attributes) {
			out = append(out, e.ID)
		}
	}
	return out
}
